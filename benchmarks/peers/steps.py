"""Steps that prepare a peer's own environment: run once for each recipe, and without Conch's packages in sight."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path


def run_once(mark: Path, recipe: str, action: Callable[[], None]) -> None:
    """Run `action` unless it has succeeded with this recipe before, which the file `mark` then says."""
    if not mark.is_file() or mark.read_text() != recipe:
        action()
        mark.write_text(recipe)


def run_step(*command: str) -> None:
    """Run a command of another environment.

    Raises subprocess.CalledProcessError; what the command complained of stands on standard error.
    """
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": ""})
