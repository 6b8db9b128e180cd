"""Adds numbers to the rows of a table, whether they are there already or not. Knows no table of its own."""

from collections.abc import Mapping

from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.orm import Session

from control_plane.database.schema import Base


def add_to_rows(session: Session, table: type[Base], keys: tuple[str, ...],
                sums: Mapping[tuple, Mapping[str, float]]) -> None:
    """Insert rows or add to those that are there, in one statement.

    `keys` are the columns of the primary key; `sums` has, for each row's values of these, what to add to the others.
    """
    if not sums:
        return
    # Always in the same order: two processes that lock rows crosswise would wait for each other for ever.
    rows = [dict(zip(keys, key, strict=True)) | dict(sums[key]) for key in sorted(sums)]
    added = [name for name in rows[0] if name not in keys]
    if session.get_bind().dialect.name == "sqlite":
        statement = sqlite.insert(table).values(rows)
        session.execute(statement.on_conflict_do_update(
            index_elements=list(keys),
            set_={name: getattr(table, name) + statement.excluded[name] for name in added}))
        return
    statement = mysql.insert(table).values(rows)
    session.execute(statement.on_duplicate_key_update(
        {name: getattr(table, name) + statement.inserted[name] for name in added}))
