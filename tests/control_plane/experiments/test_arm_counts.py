"""Counts add up, and a latency comes back to within its bucket."""

import pytest

from control_plane.experiments.arm_counts import ArmCounts, count_request


def test_counts_add_up():
    both = count_request(10.0, is_error=True).plus(count_request(80.0, is_fallback=True, called_llm=True, agrees=True))
    both = both.plus(ArmCounts(dropped=3))
    assert (both.requests, both.errors, both.fallbacks, both.llm_calls, both.agreements, both.dropped) == (
        2, 1, 1, 1, 1, 3)
    assert both.error_share == 0.5
    assert both.latency_ms(0.95) == pytest.approx(80.0, rel=0.1)


def test_nothing_counted_has_no_latency_and_no_errors():
    assert (ArmCounts().latency_ms(0.95), ArmCounts().error_share) == (None, 0.0)
