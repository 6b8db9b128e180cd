import pytest

from training.progress import Progress


def test_a_phase_is_a_part_of_the_whole_and_its_parts_are_too():
    told = []
    phase = Progress(lambda *report: told.append(report), 0.2, 0.6)
    phase.tell(0.5, "half")
    phase.part(0.5, 1.0).tell(0.5, "later")
    assert [fraction for fraction, _ in told] == pytest.approx([0.4, 0.5])


def test_time_left_is_told_from_the_second_report_at_the_speed_since_the_first(monkeypatch):
    clock, told = [100.0], []
    monkeypatch.setattr("training.progress.time.monotonic", lambda: clock[0])
    phase = Progress(lambda fraction, text: told.append(text), 0.0, 1.0)
    for now, fraction in ((100.0, 0.5), (110.0, 0.6), (700.0, 0.6 + 1e-9)):
        clock[0] = now
        phase.tell(fraction, "working")
    assert told[:2] == ["working", "working, 40 s left"]
    assert told[2].endswith(" min left")
