import pytest

from control_plane.questions.daily_figures import bucket_of, percentile_ms


@pytest.mark.parametrize("latency_ms", [0.11, 0.5, 1.0, 3.7, 42.0, 999.0, 60_000.0])
def test_the_middle_of_a_bucket_is_at_most_nine_percent_wrong(latency_ms):
    assert percentile_ms({bucket_of(latency_ms): 1}, 0.5) == pytest.approx(latency_ms, rel=0.0906)


def test_buckets_grow_with_the_latency_and_end():
    buckets = [bucket_of(latency_ms) for latency_ms in (0.0, 0.1, 0.2, 0.4, 1e9)]
    assert buckets == [0, 0, 4, 8, 100]


@pytest.mark.parametrize(("share", "bucket"), [(0.0, 4), (0.5, 4), (0.51, 8), (0.95, 8), (0.96, 12), (1.0, 12)])
def test_a_percentile_lies_in_the_bucket_where_that_share_is_reached(share, bucket):
    assert percentile_ms({12: 5, 4: 50, 8: 45}, share) == percentile_ms({bucket: 1}, 0.5)


def test_nothing_has_no_percentile():
    assert percentile_ms({}, 0.95) is None
