"""Reads and writes the desired state and its history. Every change goes through here; knows nothing of Triton."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from control_plane.database.database import Database
from control_plane.database.schema import utc_now
from control_plane.errors import StaleRevisionError
from control_plane.lifecycle.placement import Placement
from control_plane.lifecycle.tables import PRELOAD, ModelEventRow, ModelRow, ModelTargetRow

# How long the version that was active before stays loaded beside the new one: until every worker has learnt of the
# switch (control_plane.lifecycle.routes) and what was under way has been answered.
DRAIN_S = 5.0
_ERROR_CHARS = 4000  # what a dying process says may be longer than a text column


@dataclass(frozen=True)
class Change:
    """Who changes something, and why."""

    actor: str
    reason: str = ""


@dataclass(frozen=True)
class ModelState:
    """The desired state of one model, detached from the database."""

    name: str
    is_wanted: bool = False
    policy: str = PRELOAD
    is_resident: bool = False
    active_version: int | None = None
    previous_version: int | None = None
    keeps_previous_warm: bool = False
    extra_versions: tuple[int, ...] = ()  # loaded beside the active one, for requests that name them
    targets: tuple[str, ...] | None = None
    configuration: dict[str, int] = field(default_factory=dict)
    revision: int = 0  # 0: nobody ever touched it
    activated_at: datetime | None = None
    last_used_at: datetime | None = None

    @property
    def should_be_loaded(self) -> bool:
        """Whether it should hold memory now."""
        return self.is_wanted and self.active_version is not None and (self.policy == PRELOAD or self.is_resident)

    def placement(self, now: datetime) -> Placement:
        """Return what each of its targets should hold at this moment."""
        versions = {self.active_version, *self.extra_versions} if self.should_be_loaded else set()
        if versions and self._previous_stays(now):
            versions.add(self.previous_version)
        return Placement(self.name, tuple(sorted(versions)), self.configuration)

    def spare_version(self, now: datetime) -> int | None:
        """Return the version that is loaded for a rollback alone, None where there is none."""
        needed = replace(self, keeps_previous_warm=False).placement(now)
        return next(iter(set(self.placement(now).versions).difference(needed.versions)), None)

    def is_placed_on(self, target: str) -> bool:
        """Return whether a target is one of the model's."""
        return self.targets is None or target in self.targets

    def _previous_stays(self, now: datetime) -> bool:
        if self.previous_version is None:
            return False
        # Triton gives requests without a version the highest one that is loaded, which must be the active one.
        is_warm = self.keeps_previous_warm and self.previous_version < self.active_version
        return is_warm or (self.activated_at is not None and now - self.activated_at < timedelta(seconds=DRAIN_S))


class ModelStore:
    """Desired states by model name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, name: str) -> ModelState:
        """Return the state of a model, one that wants nothing where nobody ever touched it."""
        with self._database.read() as session:
            row = session.get(ModelRow, name)
            return _state(row) if row else ModelState(name)

    def has(self, name: str) -> bool:
        """Return whether anybody ever touched a model."""
        with self._database.read() as session:
            return session.get(ModelRow, name) is not None

    def all(self) -> dict[str, ModelState]:
        """Return the states of all models that were ever touched, by name."""
        with self._database.read() as session:
            return {row.name: _state(row) for row in session.scalars(select(ModelRow))}

    def change(self, before: ModelState, action: str, change: Change, detail: dict | None = None,
               **values: object) -> ModelState:
        """Write new values and a line of history in one transaction.

        Raises StaleRevisionError when the model is no longer of the revision in `before`; nothing is then written.
        """
        after = replace(before, revision=before.revision + 1, **values)
        with self._database.write() as session:
            row = self._locked(session, before)
            _copy(after, row)
            session.add(ModelEventRow(
                model=before.name, action=action, actor=change.actor, reason=change.reason,
                from_version=before.active_version, to_version=after.active_version, detail=detail))
        return after

    def note(self, before: ModelState, **values: object) -> ModelState:
        """Write values that are no decision of anybody's (residency, last use): no history, no new revision."""
        after = replace(before, **values)
        with self._database.write() as session:
            _copy(after, self._locked(session, before))
        return after

    def note_use(self, models: set[str]) -> None:
        """Write down that these models were used just now; the least recently used ones give way first."""
        with self._database.write() as session:
            session.execute(update(ModelRow).where(ModelRow.name.in_(models)).values(last_used_at=utc_now()))

    def history(self, name: str, limit: int) -> list[ModelEventRow]:
        """Return the newest lines of a model's history, newest first."""
        with self._database.read() as session:
            return list(session.scalars(
                select(ModelEventRow).where(ModelEventRow.model == name).order_by(ModelEventRow.id.desc())
                .limit(limit)))

    def observations(self) -> dict[tuple[str, str], ModelTargetRow]:
        """Return what was last seen, by model and target."""
        with self._database.read() as session:
            return {(row.model, row.target): row for row in session.scalars(select(ModelTargetRow))}

    def observe(self, model: str, target: str, versions: tuple[int, ...], error: str | None = None,
                load_s: float | None = None) -> None:
        """Keep what was seen of a model on a target; `versions` are ready and proven, `load_s` is of a new load."""
        error = error if error is None else error[:_ERROR_CHARS]
        with self._database.read() as session:
            seen = session.get(ModelTargetRow, (model, target))
            if seen is not None and load_s is None and (tuple(seen.versions), seen.error) == (versions, error):
                return  # Most looks find nothing new, and a write would keep other writers waiting.
        row = ModelTargetRow(model=model, target=target, versions=list(versions), error=error, checked_at=utc_now())
        if load_s is not None:
            row.load_s = load_s  # Otherwise merge leaves the one of the last load alone.
        with self._database.write() as session:
            session.merge(row)

    @staticmethod
    def _locked(session: Session, before: ModelState) -> ModelRow:
        row = session.get(ModelRow, before.name, with_for_update=True)
        found = row.revision if row else 0
        if found != before.revision:
            raise StaleRevisionError(before.name, found)
        if row is None:
            row = ModelRow(name=before.name)
            session.add(row)
        return row


def group_by_model(observations: dict[tuple[str, str], ModelTargetRow]) -> dict[str, list[ModelTargetRow]]:
    """Return what was last seen of each model, a row for each target."""
    found: dict[str, list[ModelTargetRow]] = {}
    for (model, _), row in observations.items():
        found.setdefault(model, []).append(row)
    return found


_FIELDS = ("is_wanted", "policy", "is_resident", "active_version", "previous_version",
           "keeps_previous_warm", "revision", "activated_at", "last_used_at")


def _state(row: ModelRow) -> ModelState:
    return ModelState(name=row.name, targets=None if row.targets is None else tuple(row.targets),
                      extra_versions=tuple(row.extra_versions or ()), configuration=dict(row.configuration),
                      **{name: getattr(row, name) for name in _FIELDS})


def _copy(state: ModelState, row: ModelRow) -> None:
    for name in _FIELDS:
        setattr(row, name, getattr(state, name))
    row.targets = None if state.targets is None else list(state.targets)
    row.extra_versions = list(state.extra_versions) or None
    row.configuration = dict(state.configuration)
