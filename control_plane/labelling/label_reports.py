"""What the labels say as a whole: all of them for an export, how far people agree, what is in dispute or in doubt."""

from collections.abc import Iterator

from control_plane.database.database import Database
from control_plane.labelling.agreement import Agreement, measure_agreement
from control_plane.labelling.annotations import QuestionRecord
from control_plane.labelling.disputes import read_disputes
from control_plane.labelling.examples import LabelledRow, independent_opinions, labelled_chunk
from control_plane.labelling.out_of_fold import SuspectedLabel, suspected_labels
from control_plane.labelling.taxonomy import read_taxonomy

_CHUNK = 1000


class LabelReports:
    """Reads labels in bulk; changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def agreement(self) -> Agreement:
        """Return how far people agree where two labelled the same question without knowing of each other."""
        with self._database.read() as session:
            taxonomy = read_taxonomy(session)
            return measure_agreement(independent_opinions(session, taxonomy), taxonomy.labels)

    def suspected_labels(self, limit: int) -> list[SuspectedLabel]:
        """Return the labels that the newest training confidently contradicts, the surest first."""
        with self._database.read() as session:
            return suspected_labels(session, read_taxonomy(session), limit)

    def disputes(self, limit: int, after: str = "") -> list[QuestionRecord]:
        """Return disputed questions with what was said of them, the oldest first, behind the id `after`."""
        with self._database.read() as session:
            return read_disputes(session, limit, after)

    def labelled_chunks(self) -> Iterator[list[LabelledRow]]:
        """Yield all labelled questions in chunks, each read in a transaction of its own: readers may be slow."""
        after = ""
        while True:
            with self._database.read() as session:
                chunk = labelled_chunk(session, after, _CHUNK)
            if not chunk:
                return
            yield chunk
            after = chunk[-1].question.id
