"""A kind of job for tests: says that it began, waits until it may go on, and does what it was told."""

import os
import time
from pathlib import Path

from pydantic import BaseModel

from control_plane.jobs.kinds import JobKind
from control_plane.jobs.worker import Report
from export.contract import ConchError

_POLL_S = 0.02


class TinyArguments(BaseModel):
    """`began` gets a line with the process id for each beginning, `stopped` one for each polite end."""

    began: Path
    stopped: Path
    may_end: Path
    outcome: str = "succeeds"


def run(arguments: TinyArguments, report: Report) -> dict:
    """Wait for the file `may_end`, then end as told."""
    try:
        add_line(arguments.began, str(os.getpid()))
        report(0.5, "waiting")
        while not arguments.may_end.exists():
            time.sleep(_POLL_S)
    except BaseException:
        add_line(arguments.stopped, str(os.getpid()))
        raise
    if arguments.outcome == "fails":
        raise ConchError("the parity is too low")
    if arguments.outcome == "breaks":
        raise ValueError("a bug")
    return {"answer": 42}


def add_line(file: Path, line: str) -> None:
    """Append in one write, so that lines of several processes never mix."""
    with file.open("a", encoding="ascii") as opened:
        opened.write(f"{line}\n")


TINY_KINDS = {"tiny": JobKind(TinyArguments, "tests.control_plane.jobs.tiny_work")}
