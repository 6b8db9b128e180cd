"""How many cores this process may use: affinity, cut by the container's quota."""

import os

import pytest

from serving.cores import available_cores

HAS = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("quota", "expected"), [
    ("max 100000\n", HAS),
    ("100000 100000\n", 1),
    ("50000 100000\n", 1),          # half a core still runs one thread
    ("100001 100000\n", min(HAS, 2)),  # a core and a bit
    ("6400000 100000\n", min(HAS, 64)),
    ("", HAS), ("max\n", HAS), ("a b c\n", HAS),
])
def test_the_quota_of_the_container_cuts_the_cores(tmp_path, quota, expected):
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert available_cores(file) == expected


def test_without_a_quota_file_affinity_decides(tmp_path):
    assert available_cores(tmp_path / "none") == HAS


def test_affinity_is_respected(tmp_path):
    one = min(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {one})
    try:
        assert available_cores(tmp_path / "none") == 1
    finally:
        os.sched_setaffinity(0, before)
