"""POST /api/v1/intents/predict over keyword rules: no intent model is exported here, and the answer says so."""

import time

import pytest

from control_plane.lifecycle.store import Change
from control_plane.questions.question_mover import QuestionMover
from tests.control_plane.fakes import publish_intent, scores_of
from tests.control_plane.lifecycle.world import wait_until
from tests.control_plane.problem_assertions import assert_problem

LIMIT_S = 20
QUESTION = "我明年财运怎么样，电话13812345678"


@pytest.fixture
def ruled(services):
    """One rule in force."""
    services.tuning.rules.add("财运", "wealth", 0.9, "tester", state="active")


def _predict(client, **body):
    return client.post("/api/v1/intents/predict", json=body)


def _logged(services, count: int) -> list:
    """Move the spool, whose segment is finished a moment after its last line, until `count` questions are there."""
    mover, deadline = QuestionMover(services.database, services.settings.question_spool), time.monotonic() + LIMIT_S
    while mover.run_once().questions < 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    rows = services.tuning.questions.page(10)
    assert len(rows) == count
    return rows


def test_a_question_gets_its_intents_and_its_time(client, ruled):
    answer = _predict(client, question=QUESTION).json
    assert answer["intents"] == [{"intent": "wealth", "score": 0.9}]
    assert (answer["method"], answer["confidence"], answer["model_version"]) == ("keyword_fallback", 0.9, None)
    assert answer["time_intent"]["type"] == "next_year"
    assert list(answer["failed_stages"]) == ["local_model"]


def test_with_consent_it_is_kept_masked_under_the_id_that_the_answer_names(client, services, ruled):
    answer = _predict(client, question=QUESTION, subject="user-7", consent=True).json
    [row] = _logged(services, 1)
    assert row.id == answer["question_id"]
    assert "13812345678" not in row.question
    assert "财运" in row.question
    assert row.intents == ["wealth"]
    assert row.subject_digest not in (None, "user-7")


def test_without_consent_nothing_of_it_is_kept(client, services, ruled):
    assert _predict(client, question=QUESTION, subject="user-7").json["question_id"] is None
    _logged(services, 0)


def test_what_the_model_answers_is_called_as_the_taxonomy_calls_it_now_also_in_the_log(client, services, settings):
    publish_intent(settings.model_repository, "intent", labels=("wealth", "love", "health"))
    services.lifecycle.activate("intent", 1, Change("test"))
    taxonomy = services.tuning.taxonomy
    for name in ("wealth", "love", "health"):
        taxonomy.add(name, name, "", "test")
    before = scores_of(QUESTION, 3)
    taxonomy.change("wealth", "test", name="money")
    taxonomy.merge("love", "health", "test")
    wait_until(lambda: {item["intent"] for item in _predict(client, question=QUESTION).json["intents"]} <= {
        "money", "health"})
    answer = _predict(client, question=QUESTION, consent=True).json
    [row] = _logged(services, 1)
    assert row.id == answer["question_id"]
    assert row.scores == pytest.approx({"money": before[0], "health": max(before[1:])}, abs=1e-5)
    assert row.intents == [item["intent"] for item in answer["intents"]]
    assert {item["intent"]: pytest.approx(item["score"], abs=1e-5) for item in answer["intents"]} == row.scores


def test_a_question_that_nothing_knows_is_out_of_scope(client, ruled):
    answer = _predict(client, question="红烧肉怎么做").json
    assert (answer["intents"], answer["confidence"], answer["time_intent"]) == ([], 0.0, None)


@pytest.mark.parametrize("question", ["财运\x00\x07", "\u202e财运", "财运" + "！" * 40])
def test_odd_characters_are_no_obstacle(client, ruled, question):
    assert _predict(client, question=question, consent=True).json["intents"][0]["intent"] == "wealth"


@pytest.mark.parametrize(("body", "field"), [
    ({}, "question"), ({"question": ""}, "question"), ({"question": " \n\u3000"}, "question"),
    ({"question": "\x00\x01"}, "question"), ({"question": 5}, "question"), ({"question": "财" * 51}, "question"),
    ({"question": "财", "subject": ""}, "subject"), ({"question": "财", "consent": "yes"}, "consent"),
    ({"question": "财", "user": "a"}, "user"),
])
def test_wrong_fields_are_named(client, body, field):
    assert_problem(_predict(client, **body), 422, "invalid-request", field=field)
