"""Machine code is kept for as long as its sources are what they were."""

import os

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
