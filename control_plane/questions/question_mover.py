"""Moves finished segments of the spool into the database, each exactly once. Knows nothing of requests."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session

from control_plane.database.database import Database
from control_plane.database.schema import utc_now
from control_plane.errors import DatabaseError, DatabaseUnavailableError
from control_plane.questions.daily_figures import add_to_days
from control_plane.questions.erasure import blank_erased
from control_plane.questions.spool import Segment, segment_names, taken
from control_plane.questions.spool_entry import SpoolEntry, read_line
from control_plane.questions.tables import QuestionRow, QuestionSegmentRow

_LOG = logging.getLogger(__name__)
# Is told of questions that have just come, by id the fingerprint of their words, in a transaction of its own.
NoteArrivals = Callable[[Session, Mapping[str, str]], None]


@dataclass(frozen=True)
class Moved:
    """What came into the database."""

    segments: int = 0
    questions: int = 0  # those only counted among them

    def plus(self, other: "Moved") -> "Moved":
        """Return both together."""
        return Moved(self.segments + other.segments, self.questions + other.questions)


class QuestionMover:
    """Takes what any process of this machine has spooled, also one that was killed. Several movers may run at once."""

    def __init__(self, database: Database, folder: Path,
                 note_arrivals: NoteArrivals = lambda session, words: None) -> None:
        self._database, self._folder, self._note_arrivals = database, folder, note_arrivals

    def run_once(self, stop: threading.Event | None = None) -> Moved:
        """Move every finished segment, or those that there is time for until `stop` is set.

        Raises DatabaseUnavailableError when the database cannot take them now; what is not moved stays where it is.
        """
        moved = Moved()
        for name in segment_names(self._folder):
            if stop is not None and stop.is_set():
                break
            with taken(self._folder, name) as segment:
                if segment is not None:
                    moved = moved.plus(self._move(segment))
        return moved

    def _move(self, segment: Segment) -> Moved:
        entries = _read(segment)
        try:
            with self._database.write() as session:
                moved, words = _insert(session, segment.name, entries)
        except DatabaseError as error:
            if _says_try_again(error):
                raise
            # One segment that cannot be taken must not keep back those behind it.
            _LOG.error("the database refuses %d questions; they are kept in %s: %s", len(entries), segment.set_aside(),
                       type(error.__cause__ or error).__name__)
            return Moved()
        # A crash before this leaves a file whose name the database knows, and one after it a row without a file.
        segment.remove()
        with self._database.write() as session:
            session.execute(delete(QuestionSegmentRow).where(QuestionSegmentRow.name == segment.name))
        if words:
            with self._database.write() as session:
                self._note_arrivals(session, words)
        return moved


def _read(segment: Segment) -> list[SpoolEntry]:
    """Return the entries of the whole lines; the rest is counted in the log, without its content."""
    entries, damaged = [], 0
    lines = segment.lines()
    for line in lines:
        try:
            entries.append(read_line(line))
        except ValueError:
            damaged += 1
    if damaged:
        _LOG.warning("%d of %d lines of the spool's segment %s are not whole: a process was killed while it wrote, "
                     "before it answered, or the disk was full", damaged, len(lines), segment.name)
    return entries


def _insert(session: Session, name: str, entries: list[SpoolEntry]) -> tuple[Moved, dict[str, str]]:
    """Insert what is new; returns by id the fingerprints of those questions besides."""
    if session.get(QuestionSegmentRow, name) is not None:
        return Moved(segments=1), {}
    session.add(QuestionSegmentRow(name=name, moved_at=utc_now()))
    rows = [row for entry in entries if (row := entry.to_row()) is not None]
    # A copy of a segment, from a backup perhaps, has another name and the same questions.
    known = _known_ids(session, [row["id"] for row in rows])
    new_rows = [row for row in rows if row["id"] not in known]
    if new_rows:
        session.execute(insert(QuestionRow.__table__), new_rows)
        blank_erased(session, {row["subject_digest"] for row in new_rows if row["subject_digest"] is not None})
    new = [entry for entry in entries if entry.kept is None or entry.kept.id not in known]
    add_to_days(session, new)
    return Moved(1, len(new)), {row["id"]: row["fingerprint"] for row in new_rows}


def _known_ids(session: Session, ids: list[str]) -> set[str]:
    return set(session.scalars(select(QuestionRow.id).where(QuestionRow.id.in_(ids))))


def _says_try_again(error: DatabaseError) -> bool:
    """Return whether it is the database's trouble and not the data's."""
    return isinstance(error, DatabaseUnavailableError) and not isinstance(error.__cause__, DataError)
