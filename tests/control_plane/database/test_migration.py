"""The schema moves up and down with its rows, is what the tables say, and a program that does not fit it refuses."""

import importlib
import pkgutil
import socket
from datetime import date, datetime

import pytest
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, MetaData, column, inspect, select, text
from sqlalchemy import table as sql_table

import control_plane
from control_plane.database import migration
from control_plane.database.database import Database
from control_plane.database.schema import Base
from control_plane.errors import DatabaseUnavailableError, SchemaError

# Every table registers itself where its module is imported.
for _module in pkgutil.walk_packages(control_plane.__path__, "control_plane."):
    if _module.name.endswith((".tables", ".leases")):
        importlib.import_module(_module.name)
REVISIONS = [script.revision for script in ScriptDirectory(str(migration._SCRIPTS)).walk_revisions()][::-1]
# What a revision gives up, and cannot give back on the way down.
GIVEN_UP = {("intent_question_intent_days", "method"), ("intent_question_latency_days", "method")}


def _stamp(database, revision: str) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def _tables(database) -> set[str]:
    return set(inspect(database.engine).get_table_names()) - {"alembic_version"}


def test_revisions_are_one_line_without_branches():
    assert REVISIONS
    assert migration.newest_revision() == REVISIONS[-1]
    assert sorted(REVISIONS) == REVISIONS


def test_the_migrated_schema_is_what_the_tables_say(database):
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_every_table_is_one_of_ours(database):
    assert _tables(database) == set(Base.metadata.tables)


def test_each_revision_goes_up_down_and_up_again(empty_database):
    for number, revision in enumerate(REVISIONS):
        below = _tables(empty_database)
        migration.upgrade(empty_database, revision)
        assert migration.current_revision(empty_database) == revision
        above = _tables(empty_database)
        migration.downgrade(empty_database, REVISIONS[number - 1] if number else "base")
        assert _tables(empty_database) == below
        migration.upgrade(empty_database, revision)
        assert _tables(empty_database) == above


def _fill(database) -> dict[str, list]:
    """Put a row into every table that there is and return what it then holds, by table, in the order of its columns."""
    found = MetaData()
    found.reflect(database.engine)
    with database.write() as session:
        for table in found.sorted_tables:
            if table.name != "alembic_version":
                session.execute(table.insert().values({item.name: _value(item) for item in table.columns}))
    return _read(database, _lasting({table.name: [item.name for item in table.columns] for table in found.sorted_tables
                                     if table.name != "alembic_version"}))


def _lasting(columns: dict[str, list[str]]) -> dict[str, list[str]]:
    return {table: [name for name in names if (table, name) not in GIVEN_UP] for table, names in columns.items()}


def _value(item) -> object:
    kind = item.type.python_type
    if kind is datetime:
        return datetime(2026, 1, 2, 3, 4, 5, 678901)
    if kind is date:
        return date(2026, 1, 2)
    # JSON is text on MariaDB and refuses what is none.
    return {int: 1, bool: True, float: 1.5, bytes: b"1"}.get(kind, "1")


def _read(database, columns: dict[str, list[str]]) -> dict[str, list]:
    with database.read() as session:
        return {table: session.execute(select(*map(column, names)).select_from(sql_table(table))).fetchall()
                for table, names in columns.items()}


def _columns(database, tables: set[str]) -> dict[str, list[str]]:
    seen = inspect(database.engine)
    return {table: [item["name"] for item in seen.get_columns(table)] for table in tables}


@pytest.mark.parametrize("oldest", range(len(REVISIONS)))
def test_rows_of_older_tables_survive_the_way_up_down_and_up(empty_database, oldest):
    migration.upgrade(empty_database, REVISIONS[oldest])
    rows = _fill(empty_database)
    all_columns = _columns(empty_database, set(rows))
    columns = _lasting(all_columns)
    assert all(len(found) == 1 for found in rows.values())
    migration.upgrade(empty_database)
    assert _read(empty_database, columns) == rows
    migration.downgrade(empty_database, REVISIONS[oldest])
    assert _columns(empty_database, set(rows)) == all_columns
    assert _read(empty_database, columns) == rows
    migration.upgrade(empty_database)
    assert _read(empty_database, columns) == rows


def _insert(database, table: str, rows: list[dict], json: tuple[str, ...] = ()) -> None:
    """Insert rows into a table as it is in the database now; columns that a row leaves out get any value."""
    found = MetaData()
    found.reflect(database.engine, only=[table])
    columns = {item.name: item for item in found.tables[table].columns}
    target = sql_table(table, *(column(name, JSON if name in json else None) for name in columns))
    with database.write() as session:
        for row in rows:
            session.execute(target.insert().values({item.name: _value(item) for item in columns.values()} | row))


def test_labels_that_were_there_before_are_compared_with_their_predictions(empty_database):
    migration.upgrade(empty_database, "0009")
    labels = {"a": (["x", "y"], ["y"]), "b": (["x"], []), "c": ([], []), "d": (["x"], None)}
    _insert(empty_database, "intent_user_questions", [
        {"id": name, "intents": predicted, "correct_intent": correct, "is_labeled": correct is not None}
        for name, (predicted, correct) in labels.items()], json=("intents", "correct_intent"))
    migration.upgrade(empty_database)
    rows = _read(empty_database, {"intent_user_questions": ["id", "shared_intents", "either_intents"]})
    assert sorted(rows["intent_user_questions"]) == [("a", 1, 2), ("b", 0, 1), ("c", 0, 0), ("d", None, None)]


def test_questions_that_were_disputed_before_stand_aside_and_wait_again_on_the_way_down(empty_database):
    migration.upgrade(empty_database, "0010")
    _insert(empty_database, "intent_user_questions", [
        {"id": name, "training_status": "pending", "erased_at": None} for name in "ab"])
    _insert(empty_database, "intent_resolutions", [
        {"question_id": name, "state": state} for name, state in (("a", "disputed"), ("b", "labelled"))])
    statuses = {"intent_user_questions": ["id", "training_status"]}
    moves = (migration.upgrade, "skipped"), (lambda database: migration.downgrade(database, "0010"), "pending")
    for move, disputed in moves:
        move(empty_database)
        assert sorted(_read(empty_database, statuses)["intent_user_questions"]) == [("a", disputed), ("b", "pending")]


def test_figures_that_differ_in_the_method_only_are_added_up_also_where_an_upgrade_was_cut_off(
        empty_database, monkeypatch):
    migration.upgrade(empty_database, "0012")
    for table, detail in (("intent_question_intent_days", "intent"), ("intent_question_latency_days", "bucket")):
        _insert(empty_database, table, [{"method": method, detail: value, "questions": count} for method, value, count
                                        in (("local_model", 1, 5), ("llm_fallback", 1, 2), ("local_model", 2, 1))])

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(op, "rename_table", stop)
        with pytest.raises(KeyboardInterrupt):
            migration.upgrade(empty_database)
    migration.upgrade(empty_database)
    rows = _read(empty_database, {"intent_question_intent_days": ["intent", "questions"],
                                  "intent_question_latency_days": ["bucket", "questions"]})
    assert sorted(rows["intent_question_intent_days"]) == [("1", 7), ("2", 1)]
    assert sorted(rows["intent_question_latency_days"]) == [(1, 7), (2, 1)]


def test_upgrading_what_is_up_to_date_changes_nothing(database):
    migration.upgrade(database)
    migration.check_schema(database)


def test_a_database_without_schema_is_older_and_is_refused_with_what_to_run(empty_database):
    assert migration.current_revision(empty_database) is None
    assert migration.is_older(empty_database)
    with pytest.raises(SchemaError, match=f"is of revision none and this Conch needs {REVISIONS[-1]}; run "
                                          "`conch db upgrade`"):
        migration.check_schema(empty_database)


def test_an_older_schema_is_refused_with_what_to_run(empty_database):
    migration.upgrade(empty_database, REVISIONS[-2])
    assert migration.is_older(empty_database)
    with pytest.raises(SchemaError, match=f"is of revision {REVISIONS[-2]} .* `conch db upgrade`"):
        migration.check_schema(empty_database)


def test_a_newer_schema_is_refused_and_stays_as_it_is(database):
    _stamp(database, "9999")
    assert not migration.is_older(database)
    with pytest.raises(SchemaError, match=r"is of revision 9999, which this Conch does not know.*conch db downgrade"):
        migration.check_schema(database)
    for move in (migration.upgrade, lambda database: migration.downgrade(database, "base")):
        with pytest.raises(SchemaError, match="9999"):
            move(database)
    assert migration.current_revision(database) == "9999"
    assert _tables(database) == set(Base.metadata.tables)


@pytest.mark.parametrize("move", [migration.upgrade, migration.downgrade])
def test_a_revision_that_does_not_exist_is_named(database, move):
    with pytest.raises(SchemaError, match="cannot move the schema to 'nope'"):
        move(database, "nope")
    migration.check_schema(database)


@pytest.mark.parametrize("ask", [
    migration.current_revision, migration.check_schema, migration.is_older, migration.upgrade,
    lambda database: migration.downgrade(database, "base")])
def test_a_database_that_is_away_is_unavailable(ask):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        database = Database(f"mysql+pymysql://user:password@127.0.0.1:{bound.getsockname()[1]}/conch")
        with pytest.raises(DatabaseUnavailableError, match="does not answer"):
            ask(database)
        database.dispose()


def test_nothing_but_alembics_own_table_is_left_at_the_bottom(database):
    migration.downgrade(database, "base")
    assert _tables(database) == set()
    assert migration.current_revision(database) is None
