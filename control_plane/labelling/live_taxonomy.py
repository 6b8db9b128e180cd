"""What the labels of a model are called now, as a worker knows it: a second old at most. Knows no model and no request.

A model answers the names of the day of its training. Meanwhile intents may have been renamed, or merged into others.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sqlalchemy import select
from sqlalchemy.orm import Session

from control_plane.database.database import Database
from control_plane.database.live_copy import LiveCopy
from control_plane.labelling.tables import TaxonomyChangeRow
from control_plane.labelling.taxonomy import CHANGE, TaxonomySnapshot, read_revision, read_taxonomy


@dataclass(frozen=True)
class Rename:
    """A change of an intent's name."""

    at: datetime
    before: str
    after: str


@dataclass(frozen=True, eq=False)
class Lineage:
    """The taxonomy, and how its intents came by their names."""

    taxonomy: TaxonomySnapshot
    renames: tuple[Rename, ...] = ()  # the oldest first

    def name_now(self, label: str, made_at: datetime) -> str:
        """Return the present name of the intent that was `label` at `made_at`; of a merged one, of what took it in.

        A name that leads to no intent stays: its model was trained for another taxonomy. A retired intent has its name.
        """
        later = [rename for rename in self.renames if rename.at > made_at]
        # A training goes by the names of its begin, so that a rename may also be a little older than the version.
        for renames in (later, self.renames):
            intent = self.taxonomy.by_name.get(_follow(label, renames))
            if intent is not None:
                return self.taxonomy.names_of([intent.id])[0]
        return label


class LiveTaxonomy:
    """The lineage of one worker. Each second it asks for the revision, and reads the taxonomy when that has changed."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds. Before the database was reached every label keeps its name."""
        self._database = database
        self._lineage = LiveCopy(Lineage(TaxonomySnapshot(0, ())), self._look, "the taxonomy", clock)

    def names_now(self, labels: tuple[str, ...], made_at: datetime) -> Mapping[str, str]:
        """Return the present name of each label of a version that was made at `made_at`."""
        return _names_now(self._lineage.get(), labels, made_at)

    def _look(self, known: Lineage) -> Lineage:
        with self._database.read() as session:
            is_same = read_revision(session) == known.taxonomy.revision
            return known if is_same else Lineage(read_taxonomy(session), tuple(_read_renames(session)))


@lru_cache(maxsize=16)
def _names_now(lineage: Lineage, labels: tuple[str, ...], made_at: datetime) -> dict[str, str]:
    return {label: lineage.name_now(label, made_at) for label in labels}


def _follow(name: str, renames: Iterable[Rename]) -> str:
    for rename in renames:
        name = rename.after if name == rename.before else name
    return name


def _read_renames(session: Session) -> Iterable[Rename]:
    rows = session.scalars(select(TaxonomyChangeRow).where(TaxonomyChangeRow.action == CHANGE)
                           .order_by(TaxonomyChangeRow.revision))
    return (Rename(row.at, row.intent, row.detail["to"]["name"]) for row in rows if "name" in row.detail["to"])
