"""Numbers are added to rows that are there and to rows that are not, all at once."""

from datetime import datetime, timezone

from sqlalchemy import select

from control_plane.database.sums import add_to_rows
from control_plane.experiments.tables import ExperimentLatencyRow

HOUR = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
KEYS = ("experiment_id", "arm", "hour", "bucket")


def _add(database, sums: dict[int, int]) -> None:
    with database.write() as session:
        add_to_rows(session, ExperimentLatencyRow, KEYS,
                    {("e", "control", HOUR, bucket): {"requests": count} for bucket, count in sums.items()})


def test_rows_are_made_or_added_to(database):
    for sums in ({3: 1, 1: 2}, {}, {1: 5, 2: 7}):
        _add(database, sums)
    with database.read() as session:
        rows = session.execute(select(ExperimentLatencyRow.bucket, ExperimentLatencyRow.requests)).all()
    assert dict(map(tuple, rows)) == {1: 7, 2: 7, 3: 1}
