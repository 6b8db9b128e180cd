"""/api/v1/model-tuning/keywords: rules are listed with what gets in their way, added, changed; success is counted."""

import pytest

from control_plane.labelling.tables import IMPORT
from tests.control_plane.api.model_tuning import TUNING, add_intents, ask
from tests.control_plane.problem_assertions import assert_problem

KEYWORDS = f"{TUNING}/keywords"


@pytest.fixture(autouse=True)
def intents(services):
    add_intents(services, "wealth", "career")


def add(client, keyword="财运", intent="wealth", **body):
    return client.post(KEYWORDS, json={"keyword": keyword, "intent": intent, "confidence_boost": 0.8, **body})


def test_a_rule_is_added_listed_and_changed_with_its_history(client):
    added = add(client, " 财运Ａ", reason="people say so")
    assert added.status_code == 201
    rule = added.json
    assert (rule["keyword"], rule["intent"], rule["confidence_boost"], rule["state"], rule["origin"],
            rule["usage_count"], rule["success_count"], rule["admission"]) == (
                "财运a", "wealth", 0.8, "proposed", "manual", 0, 0, None)
    assert client.get(KEYWORDS).json == {"rules": [rule], "next_cursor": None}
    changed = client.patch(f"{KEYWORDS}/{rule['id']}", json={"state": "shadow", "reason": "let us see"}).json
    assert (changed["state"], changed["confidence_boost"]) == ("shadow", 0.8)
    assert client.patch(f"{KEYWORDS}/{rule['id']}", json={"confidence_boost": 0.5}).json["confidence_boost"] == 0.5
    history = client.get(f"{KEYWORDS}/{rule['id']}/history").json["history"]
    assert [(line["actor"], line["state"], line["confidence_boost"], line["reason"]) for line in history] == [
        ("admin", "shadow", 0.5, ""), ("admin", "shadow", 0.8, "let us see"),
        ("admin", "proposed", 0.8, "people say so")]
    assert len(client.get(f"{KEYWORDS}/{rule['id']}/history?limit=1").json["history"]) == 1


def test_rules_are_filtered_and_paged(client):
    ids = [add(client, keyword, intent, state=state).json["id"] for keyword, intent, state in (
        ("财运", "wealth", "active"), ("升职", "career", "active"), ("加薪", "wealth", "proposed"))]
    listed = client.get(f"{KEYWORDS}?limit=2").json
    assert ([rule["id"] for rule in listed["rules"]], listed["next_cursor"]) == (ids[:2], ids[1])
    rest = client.get(f"{KEYWORDS}?limit=2&cursor={listed['next_cursor']}").json
    assert ([rule["id"] for rule in rest["rules"]], rest["next_cursor"]) == (ids[2:], None)
    for query, expected in (("state=active", ids[:2]), ("intent=wealth", [ids[0], ids[2]]),
                            ("state=proposed&intent=career", [])):
        assert [rule["id"] for rule in client.get(f"{KEYWORDS}?{query}").json["rules"]] == expected


def test_what_gets_in_the_way_of_a_rule_is_shown_until_it_is_retired(client):
    first = add(client, "财运").json["id"]
    longer, other = add(client, "偏财运", state="active").json, add(client, "财运", "career").json
    assert [item["keyword"] for item in longer["overlaps"]] == ["财运"]
    assert [(item["id"], item["intent"]) for item in other["conflicts"]] == [
        (first, "wealth"), (longer["id"], "wealth")]
    shown, *_ = client.get(KEYWORDS).json["rules"]
    assert (shown["overlap_count"], shown["conflict_count"]) == (1, 1)
    client.patch(f"{KEYWORDS}/{longer['id']}", json={"state": "retired"})
    shown, retired, _ = client.get(KEYWORDS).json["rules"]
    assert (shown["overlap_count"], shown["conflict_count"], retired["overlap_count"]) == (0, 1, 0)


def test_many_relations_are_counted_and_the_first_are_shown(client):
    for number in range(22):
        add(client, f"财运{number}年")
    short = add(client, "财运").json
    assert (short["overlap_count"], len(short["overlaps"])) == (22, 20)


def test_what_cannot_be_done_is_refused(client):
    rule_id = add(client).json["id"]
    assert_problem(add(client), 409, "rule-exists", "'财运'")
    assert_problem(add(client, "爱情", "love"), 422, "invalid-request", "wealth, career", field="intent")
    assert_problem(add(client, " "), 422, "invalid-request", field="keyword")
    assert_problem(add(client, "爱情", confidence_boost=1.0), 422, "invalid-request", field="confidence_boost")
    assert_problem(add(client, "爱情", state="retired"), 422, "invalid-request", field="state")
    assert_problem(client.patch(f"{KEYWORDS}/{rule_id}", json={"state": "active"}), 409, "rule-state", "shadow")
    assert_problem(client.patch(f"{KEYWORDS}/{rule_id}", json={"keyword": "x"}), 422, "invalid-request",
                   field="keyword")
    assert_problem(client.patch(f"{KEYWORDS}/999", json={"state": "shadow"}), 404, "rule-not-found")
    assert_problem(client.get(f"{KEYWORDS}/999/history"), 404, "rule-not-found")


def figures(client, services) -> dict[str, tuple[int, int]]:
    services.tuning.rule_usage.flush()
    return {rule["keyword"]: (rule["usage_count"], rule["success_count"])
            for rule in client.get(KEYWORDS).json["rules"]}


def test_use_is_counted_when_asked_and_success_when_a_person_first_says_so(client, services):
    for keyword, intent, state in (("财运", "wealth", "active"), ("升职", "career", "shadow"),
                                   ("运", "wealth", "proposed")):
        add(client, keyword, intent, state=state)
    text = "今年财运如何，能升职吗"
    answer = client.post("/api/v1/intents/predict", json={"question": text}).json
    assert [item["intent"] for item in answer["intents"]] == ["wealth"]  # The one in the shadow has no say.
    assert figures(client, services) == {"财运": (1, 0), "升职": (1, 0), "运": (0, 0)}
    question, = ask(services, text)

    def label(*intents: str, **body):
        path = f"{TUNING}/questions/{question}/label"
        assert client.post(path, json={"correct_intent": intents, **body}).status_code == 200

    label("wealth", "career")
    assert figures(client, services) == {"财运": (1, 1), "升职": (1, 1), "运": (0, 0)}
    label("wealth", review=True)
    client.post(f"{TUNING}/questions/{question}/undo", json={})
    assert figures(client, services) == {"财运": (1, 1), "升职": (1, 1), "运": (0, 0)}


def test_labels_from_a_file_count_for_questions_that_were_asked(client, services):
    add(client, state="active")
    asked, _ = ask(services, "我的财运", "你的财运")
    rows = [f'{{"id": "{asked}", "labels": ["wealth"]}}', '{"text": "他的财运", "labels": ["wealth"]}']
    path = f"{TUNING}/questions/import?origin={IMPORT}"
    for expected in ({"imported": 2, "unchanged": 0}, {"imported": 0, "unchanged": 2}):
        answer = client.post(path, data="\n".join(rows), content_type="application/x-ndjson")
        assert answer.json.items() >= expected.items()
    assert figures(client, services) == {"财运": (0, 1)}
