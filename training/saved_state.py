"""Keeps the state of an unfinished training on disk, so that a run that was killed goes on where it was.

Knows nothing of what the state says.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

_FOLDER, _FILE = ".state", "state.pt"


class SavedState:
    """One state in `directory`; a state of a training with another fingerprint is not seen."""

    def __init__(self, directory: Path, fingerprint: str) -> None:
        """Keep the state in a folder of `directory`."""
        self._folder, self._fingerprint = directory / _FOLDER, fingerprint

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the state in one step: a kill leaves the old one or the new one. Tensors and plain values only."""
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._folder / f"{_FILE}.partial"
        with partial.open("wb") as file:
            torch.save({"fingerprint": self._fingerprint, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._folder / _FILE)

    def load(self) -> dict[str, Any] | None:
        """Return the state on the CPU; None where there is none of this training."""
        file = self._folder / _FILE
        if not file.exists():
            return None
        state = torch.load(file, map_location="cpu", weights_only=True)
        return state if state["fingerprint"] == self._fingerprint else None

    def clear(self) -> None:
        """Remove the state."""
        shutil.rmtree(self._folder, ignore_errors=True)


def fingerprint(facts: Mapping[str, Any]) -> str:
    """Return a digest of everything that decides the outcome of a training."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
