"""Adds up usage by model and hour in the database, and reads it back. Knows nothing of requests."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone

from sqlalchemy import func, select
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.sql.dml import Insert

from control_plane.database.database import Database
from control_plane.observability.tables import ModelUsageRow


@dataclass(frozen=True)
class Usage:
    """What a model did; texts, characters and tokens are those of answered requests."""

    requests: int = 0
    errors: int = 0
    duration_ms: float = 0.0
    texts: int = 0
    characters: int = 0
    tokens: int = 0

    def plus(self, other: "Usage") -> "Usage":
        """Return both together."""
        return Usage(self.requests + other.requests, self.errors + other.errors, self.duration_ms + other.duration_ms,
                     self.texts + other.texts, self.characters + other.characters, self.tokens + other.tokens)


UsageByHour = Mapping[tuple[str, datetime], Usage]  # (model, beginning of the hour in UTC) -> sums
_SUMS = tuple(field.name for field in fields(Usage))


def hour_of(moment: datetime) -> datetime:
    """Return the beginning of the hour of UTC that `moment` lies in."""
    return moment.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)


class UsageStore:
    """The table model_usage."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, usage: UsageByHour) -> None:
        """Add to what is there already, all of it or, when an exception is raised, nothing."""
        with self._database.write() as session:
            dialect = session.get_bind().dialect.name
            # Always in the same order: two workers that lock rows crosswise would wait for each other for ever.
            for (model, hour), item in sorted(usage.items()):
                session.execute(_upsert(dialect, {"model": model, "hour": hour, **asdict(item)}))

    def sums(self, begin: datetime, end: datetime, model: str | None = None) -> dict[str, Usage]:
        """Return the sums by model over the hours that begin in [`begin`, `end`), of all models or of one."""
        query = select(ModelUsageRow.model, *(func.sum(getattr(ModelUsageRow, name)) for name in _SUMS)).where(
            ModelUsageRow.hour >= begin, ModelUsageRow.hour < end).group_by(ModelUsageRow.model).order_by(
            ModelUsageRow.model)
        if model is not None:
            query = query.where(ModelUsageRow.model == model)
        with self._database.read() as session:
            return {name: _usage(sums) for name, *sums in session.execute(query)}


def _upsert(dialect: str, values: dict) -> Insert:
    """Return the statement that inserts a row or adds to it; a row may be another worker's."""
    if dialect == "sqlite":
        statement = sqlite.insert(ModelUsageRow).values(values)
        return statement.on_conflict_do_update(
            index_elements=["model", "hour"],
            set_={name: getattr(ModelUsageRow, name) + statement.excluded[name] for name in _SUMS})
    statement = mysql.insert(ModelUsageRow).values(values)
    return statement.on_duplicate_key_update(
        {name: getattr(ModelUsageRow, name) + statement.inserted[name] for name in _SUMS})


def _usage(sums: list) -> Usage:
    """MySQL gives the sum of whole numbers as a Decimal."""
    return Usage(*(float(value) if name == "duration_ms" else int(value)
                   for name, value in zip(_SUMS, sums, strict=True)))
