"""POST /api/v1/model-tuning/questions/erase: what somebody asked is gone, and no log says whose it was."""

import time

from control_plane.questions.question_mover import QuestionMover
from tests.control_plane.api.model_tuning import TUNING, add_intents
from tests.control_plane.problem_assertions import assert_problem

ERASE = f"{TUNING}/questions/erase"
LIMIT_S = 20


def predict(client, services, subject: str) -> str:
    """Ask as a subject and return the question's id, once it is in the database."""
    asked = client.post("/api/v1/intents/predict", json={"question": f"{subject}的财运", "subject": subject,
                                                         "consent": True}).json["question_id"]
    move(services)
    return asked


def move(services) -> None:
    mover, deadline = QuestionMover(services.database, services.settings.question_spool), time.monotonic() + LIMIT_S
    while mover.run_once().questions < 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_everything_of_a_subject_is_erased_and_leaves_training(client, services):
    add_intents(services, "wealth")
    theirs, another = predict(client, services, "user-7"), predict(client, services, "user-8")
    for question in (theirs, another):
        client.post(f"{TUNING}/questions/{question}/label", json={"correct_intent": ["wealth"]})
    assert len(services.tuning.batch_store.read_training_data().examples) == 2
    on_its_way = client.post("/api/v1/intents/predict", json={"question": "我的爱情", "subject": "user-7",
                                                              "consent": True}).json["question_id"]
    answer = client.post(ERASE, json={"subject": "user-7"})
    assert (answer.status_code, answer.json) == (200, {"erased": 1})
    assert services.tuning.questions.find(theirs).question == ""
    assert [example.id for example in services.tuning.batch_store.read_training_data().examples] == [another]
    move(services)
    assert services.tuning.questions.find(on_its_way).question == ""
    assert client.post(ERASE, json={"subject": "user-7"}).json == {"erased": 0}
    assert services.tuning.questions.find(another).question == "user-8的财运"


def test_the_audit_log_says_that_it_was_done_and_not_whose_it_was(client, services):
    client.post(ERASE, json={"subject": "13812345678"})
    assert_problem(client.post(ERASE, json={"subject": "13812345678", "why": "x"}), 422, "invalid-request",
                   field="why")
    refused, done = services.audit.page(10)
    assert (done.action, done.status, done.detail) == ("questions.erase_questions", 200, {"erased": "0"})
    assert (refused.status, refused.detail) == (422, None)
    assert "13812345678" not in str([vars(row) for row in (refused, done)])
