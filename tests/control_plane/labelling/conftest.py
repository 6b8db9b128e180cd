"""A taxonomy, and questions to label."""

import pytest

from control_plane.database.schema import utc_now
from control_plane.jobs.store import new_job_id
from control_plane.labelling.propagation import LabelPropagation
from control_plane.labelling.taxonomy import Taxonomy
from control_plane.questions.tables import LOCAL_MODEL, QuestionRow


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


@pytest.fixture
def propagate(database):
    """Carry to the duplicates of questions what was decided of them, as the controller does."""
    return LabelPropagation(database).run_once


def _row(columns: dict, number: int, count: int) -> QuestionRow:
    """A question of a model that was less sure of the ones before, of a wording that is its text."""
    values = {"id": new_job_id(), "intents": ["wealth"], "confidence": 0.8, "method": LOCAL_MODEL, "model_version": "3",
              "scores": {"wealth": 0.8}, "latency_ms": 5.0, "has_consent": True, "asked_at": utc_now(),
              "uncertainty": number / count, "random_key": number / count, "fingerprint": columns["question"]}
    return QuestionRow(**values | columns)
