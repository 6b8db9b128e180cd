"""Databases that are migrated once and emptied after each test, with a taxonomy, and questions to label."""

import pytest
from sqlalchemy import delete

from control_plane.database.schema import Base, utc_now
from control_plane.jobs.store import new_job_id
from control_plane.labelling.taxonomy import Taxonomy
from control_plane.questions.tables import LOCAL_MODEL, QuestionRow
from tests.databases import migrated_database


@pytest.fixture(scope="session", params=["sqlite", "mariadb"])
def migrated(request, tmp_path_factory):
    """A database with the schema of this program."""
    if request.param == "sqlite":
        with migrated_database(f"sqlite:///{tmp_path_factory.mktemp('labelling') / 'test.db'}") as database:
            yield database
        return
    with request.getfixturevalue("mariadb").database() as url, migrated_database(url) as database:
        yield database


@pytest.fixture
def database(migrated):
    """The migrated database, empty."""
    yield migrated
    with migrated.write() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(delete(table))


@pytest.fixture
def taxonomy(database):
    """Wealth, love and health."""
    taxonomy = Taxonomy(database)
    for name, display_name in (("wealth", "财运"), ("love", "爱情"), ("health", "健康")):
        taxonomy.add(name, display_name, f"问{display_name}", "admin")
    return taxonomy


@pytest.fixture
def ask(database):
    """Log questions and return their ids in order: texts, or columns to set."""
    def log(*questions: str | dict) -> list[str]:
        rows = [_row(item if isinstance(item, dict) else {"question": item}, number, len(questions))
                for number, item in enumerate(questions)]
        with database.write() as session:
            session.add_all(rows)
        return [row.id for row in rows]

    return log


def _row(columns: dict, number: int, count: int) -> QuestionRow:
    """A question of a model that was less sure of the ones before, of a wording that is its text."""
    values = {"id": new_job_id(), "intents": ["wealth"], "confidence": 0.8, "method": LOCAL_MODEL, "model_version": "3",
              "scores": {"wealth": 0.8}, "latency_ms": 5.0, "has_consent": True, "asked_at": utc_now(),
              "uncertainty": number / count, "random_key": number / count, "fingerprint": columns["question"]}
    return QuestionRow(**values | columns)
