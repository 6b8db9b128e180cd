"""Sums up in memory what the arms do and writes it down every few seconds, away from the request path."""

from control_plane.database.schema import utc_now
from control_plane.database.write_behind import FLUSH_S, WriteBehind
from control_plane.experiments.arm_counts import ArmCounts
from control_plane.experiments.experiment_store import ExperimentStore
from control_plane.observability.usage_store import hour_of


class ArmCounter:
    """The counts of one process since they were last written down."""

    def __init__(self, store: ExperimentStore, flush_s: float = FLUSH_S) -> None:
        self._sums = WriteBehind(store.add_counts, ArmCounts.plus,
                                 "the counts of %d arms are kept until the database takes them", flush_s)
        self.flush, self.close = self._sums.flush, self._sums.close

    def add(self, experiment_id: str, arm: str, counts: ArmCounts) -> None:
        """Add what an arm just did."""
        self._sums.add({(experiment_id, arm, hour_of(utc_now())): counts})
