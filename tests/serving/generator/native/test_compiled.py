"""Machine code is kept for as long as its sources are what they were."""

import os
import runpy
import threading
from pickle import UnpicklingError

import numpy as np
import pytest

from serving.generator.native import compiled


@pytest.fixture
def sources(monkeypatch, tmp_path):
    """Return a folder of sources, and keep the machine code in another one."""
    (tmp_path / "step.py").write_text("one")
    monkeypatch.setattr(compiled, "_HERE", tmp_path)
    monkeypatch.setattr(compiled, "_BASE", tmp_path / "kept")
    return tmp_path


def test_another_source_is_kept_in_another_folder(sources):
    folder = compiled._folder()
    assert folder.parent == sources / "kept"
    assert compiled._folder() == folder
    (sources / "step.py").write_text("other")
    assert compiled._folder() != folder


def test_where_nothing_can_be_written_nothing_is_kept_and_all_is_computed(sources, monkeypatch):
    (sources / "kept").write_text("a file, no folder")
    assert compiled._folder() is None
    assert compiled.compiled(lambda number: number + 1)(1) == 2
    monkeypatch.setattr(compiled, "_BASE", sources)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert compiled._folder() is None


def test_what_is_damaged_is_compiled_again(sources):
    (sources / "step.py").write_text("def add_to(numbers):\n    numbers[0] += 1\n")

    def load():
        return compiled.compiled(runpy.run_path(str(sources / "step.py"))["add_to"])

    numbers = np.zeros(1)
    load()(numbers)
    files = list((sources / "kept").rglob("*.nb?"))
    assert len(files) == 2
    for file in files:
        file.write_bytes(file.read_bytes()[:20])
    with pytest.raises((EOFError, UnpicklingError)):
        load()(numbers)
    compiled.call_first(load(), numbers)
    assert numbers[0] == 2
    assert len(list((sources / "kept").rglob("*.nb?"))) == 2


def test_of_two_processes_that_need_the_same_one_compiles_and_the_other_waits(sources):
    called = threading.Event()
    other = threading.Thread(target=lambda: compiled.call_first(called.set))
    with compiled._alone_in(compiled._folder()):  # As if it were another process: the lock is the open file's.
        other.start()
        assert not called.wait(0.3)
    other.join(20)
    assert called.is_set()
