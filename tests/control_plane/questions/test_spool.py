import os
import resource
import signal
import stat
import subprocess
import sys
import threading

import pytest

from control_plane.questions.spool import SEGMENT_BYTES, Spool, segment_names, taken

NEVER_S = 3600.0
# Appends numbered lines until somebody kills it, and says so with its first.
PROGRAM = """
import itertools, sys
from pathlib import Path
from control_plane.questions.spool import Spool
spool = Spool(Path(sys.argv[1]))
for number in itertools.count():
    spool.append(b"%d\\n" % number)
    print(number, flush=True)
"""


def take_all(folder) -> list[bytes]:
    """Take every finished segment and return its lines."""
    lines = []
    for name in segment_names(folder):
        with taken(folder, name) as segment:
            if segment is not None:
                lines += segment.lines()
                segment.remove()
    return lines


def test_lines_can_be_taken_once_the_segment_is_closed(folder):
    spool = Spool(folder, NEVER_S)
    spool.append(b"one\n")
    spool.append(b"two\n")
    assert take_all(folder) == []
    spool.close()
    assert take_all(folder) == [b"one", b"two"]
    assert segment_names(folder) == []


def test_nothing_is_made_before_the_first_line(folder):
    Spool(folder).close()
    assert not folder.exists()
    assert segment_names(folder) == []


def test_only_its_owner_may_read_it(folder):
    spool = Spool(folder, NEVER_S)
    spool.append(b"one\n")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()] == [0o600]


def test_a_segment_is_finished_after_a_while_without_another_line(folder):
    spool = Spool(folder, 0.01)
    for line in (b"one", b"two"):
        spool.append(line + b"\n")
        lines = []
        while not lines:
            lines = take_all(folder)
        assert lines == [line]


def test_a_segment_that_is_full_is_finished_and_another_begun(folder):
    spool = Spool(folder, NEVER_S)
    line = b"x" * (SEGMENT_BYTES // 2) + b"\n"
    for _ in range(3):
        spool.append(line)
    assert take_all(folder) == [line[:-1]] * 2
    spool.close()
    assert take_all(folder) == [line[:-1]]


def test_segments_come_in_the_order_of_their_making(folder):
    spool = Spool(folder, NEVER_S)
    for number in range(5):
        spool.append(b"%d\n" % number)
        spool.close()
    assert take_all(folder) == [b"0", b"1", b"2", b"3", b"4"]


def test_what_one_has_taken_no_other_takes(folder):
    spool = Spool(folder, NEVER_S)
    spool.append(b"one\n")
    spool.close()
    [name] = segment_names(folder)
    with taken(folder, name) as first, taken(folder, name) as second:
        assert first.lines() == [b"one"]
        assert second is None
        first.remove()
    with taken(folder, name) as gone:
        assert gone is None


def test_a_file_that_was_deleted_between_finding_and_locking_it_is_left_alone(folder, monkeypatch):
    spool = Spool(folder, NEVER_S)
    spool.append(b"one\n")
    spool.close()
    [name] = segment_names(folder)
    real_open = os.open

    def open_late(path, *arguments):
        descriptor = real_open(path, *arguments)
        path.unlink()
        return descriptor

    monkeypatch.setattr(os, "open", open_late)
    with taken(folder, name) as segment:
        assert segment is None


def test_a_refused_segment_stays_but_is_not_found_again(folder):
    spool = Spool(folder, NEVER_S)
    spool.append(b"one\n")
    spool.close()
    [name] = segment_names(folder)
    with taken(folder, name) as segment:
        path = segment.set_aside()
    assert segment_names(folder) == []
    assert path.read_bytes() == b"one\n"


def test_a_killed_process_leaves_every_line_that_it_had_appended(folder):
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder)], stdout=subprocess.PIPE) as process:
        said = [process.stdout.readline() for _ in range(500)]
        process.kill()
        said += process.stdout.readlines()
    lines = take_all(folder)
    assert len(lines) >= len([line for line in said if line.endswith(b"\n")])
    assert lines == [b"%d" % number for number in range(len(lines))]


def test_many_threads_write_whole_lines(folder):
    spool = Spool(folder, 0.01)
    threads = [threading.Thread(target=lambda first=first: [
        spool.append(b"%d\n" % number) for number in range(first, first + 300)]) for first in range(0, 2400, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spool.close()
    assert sorted(map(int, take_all(folder))) == list(range(2400))


def test_a_full_disk_is_an_error_and_later_lines_do_not_follow_half_a_line(folder):
    spool = Spool(folder, NEVER_S)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6, hard))
        spool.append(b"one\n")
        with pytest.raises(OSError, match="No space left"):
            spool.append(b"two\n")
        spool.append(b"three\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    spool.close()
    assert take_all(folder) == [b"one", b"tw", b"three"]
