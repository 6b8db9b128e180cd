"""/api/v1/model-tuning: people get questions, say what they are about, and learn how good the labels are."""

import pytest

from control_plane.labelling.annotations import Annotations
from control_plane.labelling.out_of_fold import save_scores
from tests.control_plane.api.model_tuning import TUNING, add_intents, ask
from tests.control_plane.problem_assertions import assert_problem

QUESTIONS = f"{TUNING}/questions"
UNLABELED = f"{QUESTIONS}/unlabeled"
THIS_YEAR = {"type": "this_year", "target_years": [2026]}


@pytest.fixture(autouse=True)
def intents(services):
    add_intents(services, "wealth", "love")


@pytest.fixture
def question(services):
    return ask(services, "我今年财运怎么样")[0]


def label(client, question_id, *names, **body):
    return client.post(f"{QUESTIONS}/{question_id}/label", json={"correct_intent": list(names), **body})


def test_a_question_is_taken_labelled_and_described(client, question):
    page = client.get(f"{UNLABELED}?labeler_id=ann").json
    given, = page["questions"]
    assert (given["id"], given["question"], given["intents"], page["next_cursor"]) == (
        question, "我今年财运怎么样", ["wealth"], None)
    assert client.get(f"{QUESTIONS}/{question}").json["leased_to"] == "ann"
    answer = label(client, question, "wealth", "love", correct_time_intent=THIS_YEAR, labeler_id="ann")
    assert answer.status_code == 200
    described = client.get(f"{QUESTIONS}/{question}").json
    assert described == answer.json
    assert (described["state"], described["correct_intent"], described["correct_time_intent"], described["intents"],
            described["leased_to"]) == ("labelled", ["wealth", "love"], THIS_YEAR, ["wealth"], None)
    said, = described["annotations"]
    assert (said["labeler_id"], said["origin"], said["slice"]) == ("ann", "queue", given["slice"])
    assert client.get(UNLABELED).json["questions"] == []


def test_pages_are_followed_by_their_cursor_and_belong_to_one_person(client, services):
    asked = ask(services, *(f"第{number}个问题" for number in range(5)))
    first = client.get(f"{UNLABELED}?limit=2").json
    second = client.get(f"{UNLABELED}?limit=2&cursor={first['next_cursor']}").json
    assert (len(first["questions"]), len(second["questions"])) == (2, 2)
    other = client.get(f"{UNLABELED}?labeler_id=bob").json
    assert {item["id"] for page in (first, second, other) for item in page["questions"]} == set(asked)
    assert len(other["questions"]) == 1


def test_an_empty_list_is_out_of_scope_and_the_key_is_who_labels(client, question):
    described = label(client, question).json
    assert (described["correct_intent"], described["annotations"][0]["labeler_id"]) == ([], "admin")


def test_unknown_intents_are_listed(client, question):
    assert_problem(label(client, question, "money", "wealth", "luck"), 422, "unknown-intents", "'luck'", "'money'",
                   "wealth, love")
    assert client.get(f"{QUESTIONS}/{question}").json["state"] == "unlabelled"


def test_labelling_what_is_labelled_erased_or_unknown_is_refused(client, question, services):
    label(client, question, "wealth")
    assert_problem(label(client, question, "love"), 409, "label-state", "'admin' has labelled it already")
    assert label(client, question, "love", review=True).json["correct_intent"] == ["love"]
    erased, = ask(services, "别的", subject_digest="somebody")
    services.tuning.questions.erase_subject("somebody")
    assert_problem(label(client, erased, "love"), 409, "question-erased")
    assert client.get(f"{QUESTIONS}/{erased}").json["state"] == "erased"
    for answer in (label(client, "0" * 32, "love"), client.get(f"{QUESTIONS}/{'f' * 32}"),
                   client.post(f"{QUESTIONS}/{'f' * 32}/skip", json={}),
                   client.post(f"{QUESTIONS}/{'f' * 32}/undo", json={})):
        assert_problem(answer, 404, "question-not-found")
    assert_problem(client.get(f"{QUESTIONS}/nope"), 404, "not-found")


def test_skip_and_undo(client, question):
    assert client.post(f"{QUESTIONS}/{question}/skip", json={}).json["state"] == "skipped"
    assert client.post(f"{QUESTIONS}/{question}/undo", json={}).json["state"] == "unlabelled"
    assert_problem(client.post(f"{QUESTIONS}/{question}/undo", json={}), 409, "label-state", "nothing of 'admin'")
    label(client, question, "love")
    described = client.post(f"{QUESTIONS}/{question}/undo", json={"labeler_id": "admin"}).json
    assert (described["state"], described["correct_intent"]) == ("unlabelled", None)
    assert [line["undone_at"] is not None for line in described["annotations"]] == [True, True]


@pytest.mark.parametrize(("body", "field"), [
    ({}, "correct_intent"), ({"correct_intent": "wealth"}, "correct_intent"),
    ({"correct_intent": [1]}, "correct_intent.0"), ({"correct_intent": [""]}, "correct_intent.0"),
    ({"correct_intent": [], "labeler_id": ""}, "labeler_id"),
    ({"correct_intent": [], "labeler_id": "a\nb"}, "labeler_id"),
    ({"correct_intent": [], "review": 1}, "review"), ({"correct_intent": [], "intents": []}, "intents"),
    ({"correct_intent": [], "correct_time_intent": {}}, "correct_time_intent.type"),
    ({"correct_intent": [], "correct_time_intent": {"type": "x", "start": "2026-02-30"}}, "correct_time_intent.start"),
    ({"correct_intent": [], "correct_time_intent": {"type": "x", "target_years": ["2026"]}},
     "correct_time_intent.target_years.0")])
def test_a_wrong_label_names_its_field(client, question, body, field):
    answer = client.post(f"{QUESTIONS}/{question}/label", json=body)
    assert_problem(answer, 422, "invalid-request", field=field)


@pytest.mark.parametrize(("query", "field"), [
    ("limit=0", "limit"), ("limit=501", "limit"), ("cursor=x", "cursor"), ("labeler_id=", "labeler_id"),
    ("page=1", "page")])
def test_a_wrong_question_names_its_field(client, query, field):
    assert_problem(client.get(f"{UNLABELED}?{query}"), 422, "invalid-request", field=field)


def test_a_rename_shows_in_past_labels(client, question):
    label(client, question, "wealth")
    client.patch(f"{TUNING}/taxonomy/wealth", json={"name": "money"})
    described = client.get(f"{QUESTIONS}/{question}").json
    assert described["correct_intent"] == described["annotations"][0]["intents"] == ["money"]


def test_whoever_gives_a_second_opinion_does_not_see_the_first(client, services, question):
    Annotations(services.database, blind_share=1.0).label(question, ["wealth"], None, "ann")
    given, = client.get(f"{UNLABELED}?labeler_id=bob").json["questions"]
    described = client.get(f"{QUESTIONS}/{question}").json
    assert (described["state"], described["correct_intent"], described["annotations"]) == ("unlabelled", None, [])
    assert given["id"] == question
    assert label(client, question, "love", labeler_id="bob").json["state"] == "disputed"
    agreement = client.get(f"{TUNING}/agreement").json
    assert (agreement["questions"], agreement["annotations"]) == (1, 2)
    assert agreement["alpha"] == agreement["by_label"]["love"] == 0


def test_agreement_without_second_opinions_is_not_known(client, question):
    label(client, question, "wealth")
    assert client.get(f"{TUNING}/agreement").json == {
        "questions": 0, "annotations": 0, "alpha": None, "by_label": {"wealth": None, "love": None}}


def test_labels_that_the_model_contradicts_are_listed_once_there_are_scores(client, services):
    assert client.get(f"{TUNING}/label-errors").json == {"suspects": []}
    right, also_right, wrong = ask(services, "财运如何", "何时发财", "对象在哪")
    for question_id in (right, also_right, wrong):
        label(client, question_id, "wealth")
    scores = {right: {"wealth": 0.8, "love": 0.1}, also_right: {"wealth": 0.9, "love": 0.1},
              wrong: {"wealth": 0.01, "love": 0.98}}
    with services.database.write() as session:
        save_scores(session, "4", scores)
    services.tuning.annotations.label(also_right, ["wealth", "love"], None, "ann", is_review=True)
    suspects = client.get(f"{TUNING}/label-errors").json["suspects"]
    assert [(item["id"], item["intent"], item["kind"]) for item in suspects][:1] == [(wrong, "love", "missing")]
    assert (suspects[0]["score"], suspects[0]["correct_intent"], suspects[0]["model_version"]) == (
        0.98, ["wealth"], "4")
    assert len(client.get(f"{TUNING}/label-errors?limit=1").json["suspects"]) == 1


def test_labelling_needs_its_scope(app, services, question, anonymous):
    key, _ = services.keys.create("caller", ("infer",), None, "admin")
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    for answer in (client.get(UNLABELED), label(client, question, "love"), client.get(f"{TUNING}/agreement")):
        assert_problem(answer, 403, "insufficient-scope", "'label'")
    assert_problem(anonymous.get(UNLABELED), 401, "authentication")


def test_disputes_are_listed_page_by_page_until_a_review_decides(client, services):
    asked = ask(services, *(f"第{number}个问题" for number in range(3)))
    annotations = Annotations(services.database, blind_share=1.0)
    for question_id in asked:
        annotations.label(question_id, ["wealth"], THIS_YEAR, "ann")
    for given in services.tuning.label_queue.page("bob", 9):
        annotations.label(given.question.id, ["love"], None, "bob")
    first = client.get(f"{QUESTIONS}/disputed?limit=2").json
    second = client.get(f"{QUESTIONS}/disputed?limit=2&cursor={first['next_cursor']}").json
    assert [item["id"] for page in (first, second) for item in page["questions"]] == asked
    assert second["next_cursor"] is None
    assert first["questions"][0] == client.get(f"{QUESTIONS}/{asked[0]}").json
    assert [(said["labeler_id"], said["intents"]) for said in first["questions"][0]["annotations"]] == [
        ("ann", ["wealth"]), ("bob", ["love"])]
    assert label(client, asked[0], "love", review=True).status_code == 200
    assert [item["id"] for item in client.get(f"{QUESTIONS}/disputed").json["questions"]] == asked[1:]
