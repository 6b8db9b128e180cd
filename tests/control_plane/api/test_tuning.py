"""Batches over the API before they run; tests/functional/test_tuning.py runs one for real."""

from tests.control_plane.api.model_tuning import TUNING, add_intents, ask
from tests.control_plane.problem_assertions import assert_problem


def test_a_batch_without_labels_is_refused_with_the_counts(client, services):
    ask(services, "我今年财运怎么样")
    assert_problem(client.post(f"{TUNING}/batches", json={}), 409, "batch-state", "nothing to train on")


def test_a_batch_that_did_not_run_has_no_report_yet(client, services):
    add_intents(services, "wealth")
    [question] = ask(services, "我今年财运怎么样")
    client.post(f"{TUNING}/questions/{question}/label", json={"correct_intent": ["wealth"], "labeler_id": "admin"})
    batch = client.post(f"{TUNING}/batches", json={"description": "first"})
    assert batch.status_code == 201
    assert_problem(client.get(f"{TUNING}/batches/{batch.json['batch_id']}/report"), 409, "batch-state", "created")
    assert_problem(client.get(f"{TUNING}/batches/{'0' * 32}/report"), 404, "batch-not-found")
