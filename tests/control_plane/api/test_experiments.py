"""Experiments over the API, with real questions to a fake Triton that holds both versions."""

import pytest

from control_plane.experiments.tables import CONTROL, TREATMENT
from control_plane.experiments.trial import enter
from control_plane.lifecycle.store import Change
from control_plane.questions.question_mover import QuestionMover
from tests.control_plane.api.model_tuning import TUNING
from tests.control_plane.fakes import publish_intent
from tests.control_plane.lifecycle.world import wait_until
from tests.control_plane.problem_assertions import assert_problem

URL = f"{TUNING}/experiments"
SUBJECTS = [f"user-{number}" for number in range(12)]
NOBODY = "0" * 32


@pytest.fixture(autouse=True)
def versions(settings, services):
    """Version 1 is active; 2 names its labels otherwise."""
    publish_intent(settings.model_repository, "intent", 1)
    publish_intent(settings.model_repository, "intent", 2, ("wealth", "career"))
    services.lifecycle.activate("intent", 1, Change("test"))


@pytest.fixture
def experiment(client):
    """An A/B that has just begun."""
    answer = client.post(URL, json={"name": "career", "treatment_version": 2, "min_samples": 3})
    assert answer.status_code == 201
    assert answer.headers["Location"].endswith(answer.json["id"])
    return answer.json


def _subjects(row) -> dict[str, str]:
    """Return subjects of both arms: subject -> arm. They belong to one by the experiment's id, and ids are random."""
    arms: dict[str, list[str]] = {CONTROL: [], TREATMENT: []}
    for number in range(200):
        arms[enter(row, f"user-{number}", "").arm].append(f"user-{number}")
    return {subject: arm for arm, subjects in arms.items() for subject in subjects[:6]}


def _ask(client, subject: str | None, **body) -> dict:
    answer = client.post("/api/v1/intents/predict", json={
        "question": f"财运 {subject}", "subject": subject, "consent": True, **body})
    assert answer.status_code == 200
    return answer.json


def _counts(services, experiment) -> dict:
    services.tuning.recognition.close()
    return services.tuning.experiment_store.counts(experiment["id"])


def test_subjects_are_answered_by_their_arm_and_logged_with_it(client, services, experiment):
    row = services.tuning.experiment_store.find(experiment["id"])
    arms, logged = _subjects(row), {}
    for subject, arm in arms.items():
        for _ in range(2):
            answer = _ask(client, subject)
            assert answer["model_version"] == str(row.versions[arm])
        logged[answer["question_id"]] = row.variant(arm)
    nameless = _ask(client, None)
    assert nameless["model_version"] == "1"
    mover = QuestionMover(services.database, services.settings.question_spool)
    wait_until(lambda: mover.run_once() and len(services.tuning.questions.page(100)) == 2 * len(arms) + 1)
    assert {question_id: services.tuning.questions.find(question_id).variant for question_id in logged} == logged
    assert services.tuning.questions.find(nameless["question_id"]).variant is None
    counts = _counts(services, experiment)
    assert {arm: counts[arm].requests for arm in counts} == {arm: 2 * list(arms.values()).count(arm) for arm in counts}
    report = client.get(f"{URL}/{experiment['id']}").json
    assert report["arms"][TREATMENT]["subjects"] == list(arms.values()).count(TREATMENT)
    assert report["arms"][TREATMENT]["p95_latency_ms"] > 0
    assert report["split"]["expected_share"] == 0.5


def test_a_treatment_that_fails_costs_nobody_the_answer(client, services, gateway, experiment):
    row = services.tuning.experiment_store.find(experiment["id"])
    subject = next(subject for subject, arm in _subjects(row).items() if arm == TREATMENT)
    gateway.models["intent"].dimensions.pop(2)
    answer = _ask(client, subject)
    assert (answer["model_version"], list(answer["failed_stages"])) == ("1", ["treatment_model"])
    assert _counts(services, experiment)[TREATMENT].errors == 1


def test_a_shadow_answers_nobody_and_is_compared(client, services):
    shadow = client.post(URL, json={"kind": "shadow", "share": 1, "treatment_version": 2}).json
    assert {_ask(client, subject)["model_version"] for subject in SUBJECTS[:4]} == {"1"}
    wait_until(lambda: _counts(services, shadow)[TREATMENT].requests == 4)
    report = client.get(f"{URL}/{shadow['id']}").json
    assert report["arms"][TREATMENT]["control_agreement"] is not None
    assert (report["arms"][CONTROL]["requests"], report["split"], report["differences"]) == (4, None, {})


def test_one_runs_at_a_time(client, experiment):
    assert_problem(client.post(URL, json={"treatment_version": 2}), 409, "experiment-state")
    assert [item["id"] for item in client.get(URL).json["experiments"]] == [experiment["id"]]


def test_pages_lead_from_one_to_the_next(client, experiment):
    client.post(f"{URL}/{experiment['id']}/finish", json={})
    second = client.post(URL, json={"treatment_version": 2}).json
    page = client.get(f"{URL}?limit=1").json
    assert [item["id"] for item in page["experiments"]] == [second["id"]]
    rest = client.get(f"{URL}?limit=1&cursor={page['next_cursor']}").json
    assert ([item["id"] for item in rest["experiments"]], rest["next_cursor"]) == ([experiment["id"]], None)


def test_an_abort_sends_everybody_to_the_control_and_is_final(client, services, experiment):
    ended = client.post(f"{URL}/{experiment['id']}/abort", json={"reason": "enough"}).json
    assert (ended["state"], ended["ended_by"], ended["reason"]) == ("aborted", "admin", "enough")
    assert_problem(client.post(f"{URL}/{experiment['id']}/finish", json={}), 409, "experiment-state")
    assert {_ask(client, subject)["model_version"] for subject in SUBJECTS} == {"1"}


def test_a_version_that_no_batch_brought_forth_is_promoted_with_a_reason(client, services, experiment):
    answer = client.post(f"{URL}/{experiment['id']}/finish", json={"promote": True})
    assert_problem(answer, 409, "promotion")
    assert "give a reason" in answer.json["detail"]
    assert client.get(f"{URL}/{experiment['id']}").json["state"] == "running"
    answer = client.post(f"{URL}/{experiment['id']}/finish", json={"promote": True, "reason": "exported elsewhere"})
    assert (answer.status_code, answer.json["state"]) == (200, "finished")
    assert services.store.find("intent").active_version == 2


def test_what_cannot_be_tried_is_refused(client):
    assert_problem(client.post(URL, json={"treatment_version": 1}), 409, "experiment-state")
    assert_problem(client.post(URL, json={"treatment_version": 7}), 404, "version-not-found")
    for field, value in (("share", 0), ("share", 1), ("share", True), ("kind", "c"), ("min_samples", 0), ("who", "a"),
                         ("treatment_version", "2")):
        answer = client.post(URL, json={"treatment_version": 2, field: value})
        assert_problem(answer, 422, "invalid-request", field=field)
    assert client.get(URL).json["experiments"] == []


def test_one_that_does_not_exist_is_404(client):
    assert_problem(client.get(f"{URL}/{NOBODY}"), 404, "experiment-not-found")
    for action in ("finish", "abort"):
        assert_problem(client.post(f"{URL}/{NOBODY}/{action}", json={}), 404, "experiment-not-found")
