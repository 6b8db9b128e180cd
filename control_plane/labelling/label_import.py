"""Takes labels from a file, for questions that were logged and for ones that never were. Knows no file format."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from control_plane.database.database import Database
from control_plane.database.schema import utc_now
from control_plane.errors import InvalidRequestError
from control_plane.labelling.import_rows import ImportRow, RefusedRow
from control_plane.labelling.standing import settle
from control_plane.labelling.tables import DISPUTED, LABELLED, AnnotationRow, ResolutionRow
from control_plane.labelling.taxonomy import TaxonomySnapshot, read_taxonomy
from control_plane.privacy.fingerprints import fingerprint
from control_plane.privacy.masking import mask_personal_data
from control_plane.questions.labels import lock_question
from control_plane.questions.tables import QuestionRow
from control_plane.tuning_errors import ImportRefusedError, UnknownIntentsError

MAX_ROWS = 10_000  # of one file: they are one transaction, and others wait for it
# The method of questions that nobody asked and no model answered; the daily figures have none of them.
IMPORTED = "imported"
_SHOWN = 100       # refused rows that are named
_CHUNK = 500


@dataclass(frozen=True)
class ImportReport:
    """What became of the rows; of refused ones the first are named."""

    imported: int
    unchanged: int  # labelled so already
    refused: int
    errors: tuple[RefusedRow, ...]


@dataclass(frozen=True)
class _Prepared:
    row: ImportRow
    intents: list[int]
    question: str | None  # masked
    fingerprint: str | None


class LabelImport:
    """Imports labels into the database."""

    def __init__(self, database: Database, privacy_key: str,
                 note_label: Callable[[str, Sequence[str]], None] = lambda question, intents: None) -> None:
        """`note_label` is told of each first label of a question that was asked: its masked text and its intents."""
        self._database, self._key, self._note_label = database, privacy_key, note_label

    def run(self, rows: Iterable[ImportRow | RefusedRow], labeler: str, origin: str,
            keeps_rest: bool) -> ImportReport:
        """Import rows in one transaction. `labeler` is who labelled where a row does not say; `origin` IMPORT or SEED.

        Refused rows leave the rest alone where `keeps_rest`; else they raise ImportRefusedError and nothing is kept.
        Raises InvalidRequestError for more than MAX_ROWS.
        """
        rows = list(islice(rows, MAX_ROWS + 1))
        if len(rows) > MAX_ROWS:
            raise InvalidRequestError("body", f"it has more than {MAX_ROWS} rows; send them in several files")
        refused = [row for row in rows if isinstance(row, RefusedRow)]
        with self._database.write() as session:
            batch = _Batch(session, labeler, origin)
            prepared = [self._prepare(row, batch.taxonomy, refused) for row in rows if isinstance(row, ImportRow)]
            readable = [row for row in prepared if row is not None]
            for begin in range(0, len(readable), _CHUNK):
                batch.add(readable[begin:begin + _CHUNK])
            refused = sorted([*refused, *batch.refused], key=lambda row: row.number)
            if refused and not keeps_rest:
                raise ImportRefusedError([(f"rows.{row.number}", row.reason) for row in refused[:_SHOWN]], len(refused))
        for question, intents in batch.labelled:
            self._note_label(question, intents)
        return ImportReport(batch.imported, batch.unchanged, len(refused), tuple(refused[:_SHOWN]))

    def _prepare(self, row: ImportRow, taxonomy: TaxonomySnapshot, refused: list[RefusedRow]) -> _Prepared | None:
        try:
            intents = taxonomy.ids_of(row.labels)
        except UnknownIntentsError as error:
            refused.append(RefusedRow(row.number, f"labels: {error}"))
            return None
        question = None if row.text is None else mask_personal_data(row.text).text
        return _Prepared(row, intents, question, None if question is None else fingerprint(question, self._key))


class _Batch:
    """One import under way."""

    def __init__(self, session: Session, labeler: str, origin: str) -> None:
        self._session, self._labeler, self._origin = session, labeler, origin
        self._now = utc_now()
        self.taxonomy = read_taxonomy(session)
        self.imported = self.unchanged = 0
        self.refused: list[RefusedRow] = []
        self.labelled: list[tuple[str, list[str]]] = []  # questions that were asked, with their first label

    def add(self, rows: Sequence[_Prepared]) -> None:
        """Import some rows; each sees what the ones before it did."""
        known = self._known(rows)
        resolutions = {row.question_id: row for row in self._session.scalars(
            select(ResolutionRow).where(ResolutionRow.question_id.in_({row.id for row in known.values()})))}
        new: dict[str, _Prepared] = {}
        for row in rows:
            self._add_one(row, known, resolutions, new)
        self._insert(list(new.values()))

    def _known(self, rows: Sequence[_Prepared]) -> dict[str, QuestionRow]:
        """Return the questions that rows may mean, by id and by fingerprint, there those that have a label first."""
        ids = [row.row.id for row in rows if row.row.id is not None]
        words = [row.fingerprint for row in rows if row.fingerprint is not None]
        by_id = {row.id: row for row in self._session.scalars(select(QuestionRow).where(QuestionRow.id.in_(ids)))}
        found = self._session.execute(
            select(QuestionRow, ResolutionRow.question_id)
            .outerjoin(ResolutionRow, ResolutionRow.question_id == QuestionRow.id)
            .where(QuestionRow.fingerprint.in_(words))).all()
        ordered = sorted(found, key=lambda pair: (pair[1] is not None, pair[0].id))
        return by_id | {question.fingerprint: question for question, _ in ordered}

    def _add_one(self, row: _Prepared, known: dict[str, QuestionRow], resolutions: dict[str, ResolutionRow],
                 new: dict[str, _Prepared]) -> None:
        question = known.get(row.row.id) or known.get(row.fingerprint)
        if question is not None:
            self._add_to(question, row, resolutions)
        elif row.question is None:
            self._refuse(row, f"id: there is no question {row.row.id!r}, and without a text none can be made")
        elif row.fingerprint not in new:
            new[row.fingerprint] = row
        else:
            self._compare(row, new[row.fingerprint].intents, f"row {new[row.fingerprint].row.number}")

    def _add_to(self, question: QuestionRow, row: _Prepared, resolutions: dict[str, ResolutionRow]) -> None:
        resolution = resolutions.get(question.id)
        if question.erased_at is not None:
            self._refuse(row, "id: this question was erased")
        elif row.fingerprint not in (None, question.fingerprint):
            self._refuse(row, "text: the question with this id has another text")
        elif resolution is not None and resolution.state == DISPUTED:
            self._refuse(row, f"the labels of question {question.id} differ; decide it with a review")
        elif resolution is not None and resolution.state == LABELLED:
            self._compare(row, resolution.intents, f"question {question.id}")
        else:
            self._session.add(AnnotationRow(**self._annotation(question.id, row)))
            settled = settle(self._session, lock_question(self._session, question.id), self.taxonomy, 0.0)
            resolutions[question.id] = settled
            self.imported += 1
            if question.method != IMPORTED:
                self.labelled.append((question.question, self.taxonomy.names_of(row.intents)))

    def _compare(self, row: _Prepared, intents: Sequence[int], where: str) -> None:
        """Refuse what contradicts a label that is there; a file decides no dispute."""
        names = self.taxonomy.names_of(intents)
        if names == self.taxonomy.names_of(row.intents):
            self.unchanged += 1
        else:
            self._refuse(row, f"labels: {where} is labelled {names} already; correct that with a review")

    def _refuse(self, row: _Prepared, reason: str) -> None:
        self.refused.append(RefusedRow(row.row.number, reason))

    def _insert(self, rows: Sequence[_Prepared]) -> None:
        """Make questions that were never asked, with their labels."""
        if not rows:
            return
        ids = [_new_question_id() for _ in rows]
        self._session.execute(insert(QuestionRow), [self._question(*pair) for pair in zip(ids, rows, strict=True)])
        annotations = [self._annotation(*pair) for pair in zip(ids, rows, strict=True)]
        self._session.execute(insert(AnnotationRow), annotations)
        self._session.execute(insert(ResolutionRow), [
            {"question_id": annotation["question_id"], "fingerprint": row.fingerprint, "state": LABELLED,
             "intents": row.intents, "time_intent": row.row.time_intent, "origin": self._origin, "slice": None,
             "first_labeler": annotation["labeler"], "wants_second": False, "resolved_at": self._now}
            for annotation, row in zip(annotations, rows, strict=True)])
        self.imported += len(rows)

    def _annotation(self, question_id: str, row: _Prepared) -> dict:
        return {"question_id": question_id, "labeler": row.row.labeler or self._labeler, "intents": row.intents,
                "time_intent": row.row.time_intent, "origin": self._origin, "slice": None, "created_at": self._now}

    def _question(self, question_id: str, row: _Prepared) -> dict:
        """Return a question that says of itself that nobody doubts it and no sample is to have it."""
        return {"id": question_id, "question": row.question, "intents": [], "confidence": 0.0, "method": IMPORTED,
                "model_version": "", "scores": {}, "latency_ms": 0.0, "has_consent": True,
                "fingerprint": row.fingerprint, "uncertainty": 1.0, "random_key": 1.0, "asked_at": self._now,
                "is_labeled": True, "correct_intent": self.taxonomy.names_of(row.intents),
                "correct_time_intent": row.row.time_intent}


def _new_question_id() -> str:
    """Return an id of 32 characters that retention, which goes by the time in logged ids, leaves alone."""
    return f"import-{secrets.token_hex(13)[:25]}"
