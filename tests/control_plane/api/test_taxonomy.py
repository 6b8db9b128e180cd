"""/api/v1/model-tuning/taxonomy: everybody who labels reads it, administrators change it."""

import pytest

from tests.control_plane.api.model_tuning import TUNING, add_intents
from tests.control_plane.problem_assertions import assert_problem

TAXONOMY = f"{TUNING}/taxonomy"


@pytest.fixture(autouse=True)
def intents(services):
    add_intents(services, "wealth", "love")


def names(answer):
    return [intent["name"] for intent in answer.json["intents"] if intent["state"] == "active"]


def test_an_intent_is_added_renamed_merged_retired_and_restored(client):
    added = client.post(TAXONOMY, json={"name": "career", "display_name": "事业", "description": "工作与升迁"})
    assert (added.status_code, names(added), added.json["revision"]) == (200, ["wealth", "love", "career"], 3)
    assert client.get(TAXONOMY).json == added.json
    renamed = client.patch(f"{TAXONOMY}/career", json={"name": "work", "reason": "clearer"})
    assert names(renamed) == ["wealth", "love", "work"]
    assert renamed.json["intents"][2] == {"name": "work", "display_name": "事业", "description": "工作与升迁",
                                          "state": "active", "merged_into": None}
    assert names(client.post(f"{TAXONOMY}/love/retire", json={})) == ["wealth", "work"]
    assert names(client.post(f"{TAXONOMY}/love/restore", json={})) == ["wealth", "love", "work"]
    merged = client.post(f"{TAXONOMY}/work/merge", json={"into": "wealth"})
    assert names(merged) == ["wealth", "love"]
    assert merged.json["intents"][2]["merged_into"] == "wealth"
    history = client.get(f"{TAXONOMY}-history?limit=2").json
    assert [(line["action"], line["intent"], line["actor"]) for line in history["history"]] == [
        ("merge", "work", "admin"), ("restore", "love", "admin")]
    older = client.get(f"{TAXONOMY}-history?cursor={history['next_cursor']}").json
    assert [line["action"] for line in older["history"]] == ["retire", "change", "add", "add", "add"]
    assert older["history"][1]["reason"] == "clearer"
    assert older["next_cursor"] is None


def test_what_makes_no_sense_is_refused(client):
    assert_problem(client.post(TAXONOMY, json={"name": "love", "display_name": "x"}), 409, "taxonomy-state", "'love'")
    assert_problem(client.post(TAXONOMY, json={"name": "out_of_scope", "display_name": "x"}), 409, "taxonomy-state",
                   "out_of_scope")
    assert_problem(client.patch(f"{TAXONOMY}/nope", json={"display_name": "x"}), 404, "intent-not-found", "'nope'")
    assert_problem(client.post(f"{TAXONOMY}/love/merge", json={"into": "love"}), 409, "taxonomy-state", "cannot be")
    assert_problem(client.post(f"{TAXONOMY}/love/restore", json={}), 409, "taxonomy-state", "only one that is retired")


@pytest.mark.parametrize(("body", "field"), [
    ({"display_name": "x"}, "name"), ({"name": "Love", "display_name": "x"}, "name"), ({"name": "a"}, "display_name"),
    ({"name": "a", "display_name": ""}, "display_name"), ({"name": "a", "display_name": "x", "id": 1}, "id")])
def test_a_wrong_intent_names_its_field(client, body, field):
    assert_problem(client.post(TAXONOMY, json=body), 422, "invalid-request", field=field)


def test_who_labels_may_read_and_not_change(app, services):
    key, _ = services.keys.create("ann", ("label",), None, "admin")
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    assert client.get(TAXONOMY).status_code == client.get(f"{TAXONOMY}-history").status_code == 200
    assert_problem(client.post(f"{TAXONOMY}/love/retire", json={}), 403, "insufficient-scope", "'admin'")
