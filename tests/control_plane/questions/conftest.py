"""The folder of a spool."""

import pytest


@pytest.fixture
def folder(tmp_path):
    """Where the spool is; made by the first line."""
    return tmp_path / "spool" / "questions"
