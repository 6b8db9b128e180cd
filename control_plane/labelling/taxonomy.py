"""The taxonomy: which intents there are, in order, and how it changes without losing what was labelled before.

Annotations refer to intents by id. So a rename carries past labels along, a merge makes them labels of another intent,
and a retired intent keeps them while future datasets do without. Keyword rules, which name intents, follow in the same
transaction. Knows nothing of questions.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from control_plane.database.database import Database
from control_plane.database.schema import utc_now
from control_plane.errors import BusyError, DuplicateRowError, InvalidRequestError
from control_plane.intents.rule_store import move_rules
from control_plane.labelling.tables import ACTIVE, MERGED, RETIRED, IntentRow, TaxonomyChangeRow
from control_plane.tuning_errors import IntentNotFoundError, TaxonomyStateError, UnknownIntentsError

INTENT_NAME_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"
OUT_OF_SCOPE = "out_of_scope"  # reserved: an empty list of intents means it
CHANGE = "change"  # the action of a change of an intent's names, as the history has it


@dataclass(frozen=True)
class Intent:
    """One intent, detached from the database."""

    id: int
    name: str
    display_name: str
    description: str
    state: str
    merged_into: int | None


@dataclass(frozen=True)
class TaxonomySnapshot:
    """The taxonomy at one revision; later changes do not reach it."""

    revision: int
    intents: tuple[Intent, ...]  # retired and merged ones too, in order

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of the active intents, in order: what a model is trained with."""
        return tuple(intent.name for intent in self.intents if intent.state == ACTIVE)

    @cached_property
    def by_name(self) -> dict[str, Intent]:
        """Every intent by its name."""
        return {intent.name: intent for intent in self.intents}

    @cached_property
    def by_id(self) -> dict[int, Intent]:
        """Every intent by its id."""
        return {intent.id: intent for intent in self.intents}

    def ids_of(self, names: Iterable[str]) -> list[int]:
        """Return the ids of active intents, in the taxonomy's order; raises UnknownIntentsError listing the others."""
        names = set(names)
        wrong = [self._why_not(name) for name in sorted(names) if name not in self.labels]
        if wrong:
            raise UnknownIntentsError(wrong, self.labels)
        return [intent.id for intent in self.intents if intent.name in names]

    def current(self, ids: Iterable[int]) -> list[Intent]:
        """Return what past labels are now, in the taxonomy's order: of merged intents, what they became."""
        found = {self._follow(intent_id) for intent_id in ids}
        return [intent for intent in self.intents if intent.id in found]

    def names_of(self, ids: Iterable[int]) -> list[str]:
        """Return the names of past labels as they are now, those of retired intents included."""
        return [intent.name for intent in self.current(ids)]

    def _follow(self, intent_id: int) -> int:
        intent = self.by_id[intent_id]
        return intent.id if intent.merged_into is None else self._follow(intent.merged_into)

    def _why_not(self, name: str) -> str:
        intent = self.by_name.get(name)
        if intent is None:
            return f"{name!r} is no intent"
        if intent.state == MERGED:
            return f"{name!r} was merged into {self.by_id[self._follow(intent.id)].name!r}"
        return f"{name!r} is retired"


class Taxonomy:
    """The taxonomy in the database. Each change makes a revision, with a line of history that stays."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def snapshot(self) -> TaxonomySnapshot:
        """Return the taxonomy as it is now; a training keeps the one that it began with."""
        with self._database.read() as session:
            return read_taxonomy(session)

    def add(self, name: str, display_name: str, description: str, actor: str, reason: str = "") -> TaxonomySnapshot:
        """Add an intent behind the others; raises TaxonomyStateError when there is or was one of that name."""
        def put(session: Session, rows: dict[str, IntentRow]) -> dict:
            _check_name(name, rows)
            session.add(IntentRow(name=name, display_name=display_name, description=description, position=len(rows)))
            return {"display_name": display_name}

        return self._apply("add", name, actor, reason, put)

    def change(self, name: str, /, actor: str, reason: str = "", **values: str) -> TaxonomySnapshot:
        """Give an intent another name, display_name or description; past labels and keyword rules go along."""
        def alter(session: Session, rows: dict[str, IntentRow]) -> dict:
            row = _find(rows, name)
            if values.get("name", name) != name:
                _check_name(values["name"], rows)
            before = {field: getattr(row, field) for field in values}
            _set(row, **values)
            if row.name != name:
                move_rules(session, name, row.name, actor, reason)
            return {"from": before, "to": values}

        return self._apply(CHANGE, name, actor, reason, alter)

    def merge(self, name: str, into: str, actor: str, reason: str = "") -> TaxonomySnapshot:
        """Make past labels and keyword rules of one intent those of another; it cannot be undone: they are one now.

        Raises IntentNotFoundError, InvalidRequestError where there is no `into`, and TaxonomyStateError.
        """
        def join(session: Session, rows: dict[str, IntentRow]) -> dict:
            row, target = _find(rows, name), rows.get(into)
            if target is None:
                raise InvalidRequestError("into", str(IntentNotFoundError(into)))
            if row is target or MERGED in (row.state, target.state) or target.state != ACTIVE:
                raise TaxonomyStateError(f"{name!r} ({row.state}) cannot be merged into {into!r} ({target.state}): an "
                                         "intent that is not merged is merged into another one that is active")
            _set(row, state=MERGED, merged_into=target.id)
            move_rules(session, name, into, actor, reason)
            return {"into": into}

        return self._apply("merge", name, actor, reason, join)

    def retire(self, name: str, actor: str, reason: str = "") -> TaxonomySnapshot:
        """Take an intent out of future datasets and out of what can be labelled; past labels stay."""
        return self._move(name, "retire", ACTIVE, RETIRED, actor, reason)

    def restore(self, name: str, actor: str, reason: str = "") -> TaxonomySnapshot:
        """Make a retired intent active again, with its past labels."""
        return self._move(name, "restore", RETIRED, ACTIVE, actor, reason)

    def history(self, limit: int, before: int | None = None) -> list[TaxonomyChangeRow]:
        """Return up to `limit` changes, newest first: those below the revision `before` where one is given."""
        query = select(TaxonomyChangeRow).order_by(TaxonomyChangeRow.revision.desc()).limit(limit)
        if before is not None:
            query = query.where(TaxonomyChangeRow.revision < before)
        with self._database.read() as session:
            return list(session.scalars(query))

    def _move(self, name: str, action: str, before: str, after: str, actor: str, reason: str) -> TaxonomySnapshot:
        def move(_: Session, rows: dict[str, IntentRow]) -> dict:
            row = _find(rows, name)
            if row.state != before:
                raise TaxonomyStateError(f"intent {name!r} is {row.state}; only one that is {before} can be {after}")
            _set(row, state=after)
            return {}

        return self._apply(action, name, actor, reason, move)

    def _apply(self, action: str, name: str, actor: str, reason: str, apply) -> TaxonomySnapshot:
        """Change the rows and write the history's line in one transaction; two at once would make one revision."""
        try:
            with self._database.write() as session:
                rows = {row.name: row for row in session.scalars(select(IntentRow).with_for_update())}
                detail = apply(session, rows)
                session.add(TaxonomyChangeRow(revision=read_revision(session) + 1, actor=actor, action=action,
                                              intent=name, detail=detail, reason=reason))
                session.flush()
                return read_taxonomy(session)
        except DuplicateRowError as error:
            raise BusyError("another change of the taxonomy is under way; try again when it is done") from error


def read_taxonomy(session: Session) -> TaxonomySnapshot:
    """Return the taxonomy as an open transaction sees it."""
    rows = session.scalars(select(IntentRow).order_by(IntentRow.position, IntentRow.id))
    return TaxonomySnapshot(read_revision(session), tuple(
        Intent(row.id, row.name, row.display_name, row.description, row.state, row.merged_into) for row in rows))


def read_revision(session: Session) -> int:
    """Return the revision of the taxonomy as an open transaction sees it; 0 before the first change."""
    return session.scalar(select(func.max(TaxonomyChangeRow.revision))) or 0


def _find(rows: dict[str, IntentRow], name: str) -> IntentRow:
    if name not in rows:
        raise IntentNotFoundError(name)
    return rows[name]


def _check_name(name: str, rows: dict[str, IntentRow]) -> None:
    if not re.fullmatch(INTENT_NAME_PATTERN, name) or name == OUT_OF_SCOPE:
        raise TaxonomyStateError(f"{name!r} cannot be an intent: names are a small letter and up to 63 small letters, "
                                 f"digits and _, and {OUT_OF_SCOPE} is what a question without intents is")
    if name in rows:
        raise TaxonomyStateError(f"there is an intent {name!r} already, which is {rows[name].state}")


def _set(row: IntentRow, **values: object) -> None:
    for field, value in values.items():
        setattr(row, field, value)
    row.updated_at = utc_now()
