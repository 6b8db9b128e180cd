"""Labels come from files and go into files; a bad row costs itself, or everything where that was asked for."""

import csv
import io
import json
from dataclasses import replace

import pytest

from control_plane.app import create_app
from control_plane.services import services as services_of
from tests.control_plane.api.model_tuning import TUNING, add_intents, ask
from tests.control_plane.conftest import migrate
from tests.control_plane.problem_assertions import assert_problem

IMPORT, EXPORT = f"{TUNING}/questions/import", f"{TUNING}/questions/export"
JSONL, CSV = "application/x-ndjson", "text/csv"
THIS_YEAR = {"type": "this_year", "target_years": [2026]}


@pytest.fixture(autouse=True)
def intents(services):
    add_intents(services, "wealth", "love")


def send(client, data, media_type=JSONL, **query):
    if isinstance(data, list):
        data = "\n".join(json.dumps(row, ensure_ascii=False) for row in data)
    return client.post(IMPORT, data=data if isinstance(data, bytes) else data.encode(), content_type=media_type,
                       query_string=query)


def exported(client):
    return [json.loads(line) for line in client.get(EXPORT).data.splitlines()]


def test_labels_of_new_and_of_logged_questions_are_imported(client, services):
    logged, by_text = ask(services, "我今年财运怎么样", "他爱我吗")
    answer = send(client, [{"id": logged, "labels": ["wealth"], "labeler_id": "ann"},
                           {"text": "他爱我吗？", "correct_intent": ["love"]}, {"text": "几点了", "labels": []}])
    assert (answer.status_code, answer.json) == (200, {"imported": 3, "unchanged": 0, "refused": 0, "errors": []})
    rows = {row["text"]: row for row in exported(client)}
    assert (rows["我今年财运怎么样"]["id"], rows["我今年财运怎么样"]["labels"]) == (logged, ["wealth"])
    assert (rows["我今年财运怎么样"]["labeler_id"], rows["他爱我吗"]["labeler_id"]) == ("ann", "admin")
    assert (rows["他爱我吗"]["id"], rows["几点了"]["labels"], rows["几点了"]["origin"]) == (by_text, [], "import")
    assert client.get(f"{TUNING}/questions/unlabeled").json["questions"] == []


def test_personal_data_in_new_questions_is_masked(client):
    send(client, [{"text": "我的电话是13812345678，今年财运如何", "labels": ["wealth"]}])
    text = exported(client)[0]["text"]
    assert "13812345678" not in text
    assert "<PHONE>" in text


POISON = [
    b'{"text": "ok", "labels": ["love"]}', b"{not json", b'{"text": "x", "labels": ["money"]}',
    b'{"text": "  ", "labels": []}', b'{"text": "a\\u0000b", "labels": []}', b'{"labels": ["love"]}',
    b'{"text": "\xff", "labels": []}', b'{"text": "x"}', b'["x"]', b'{"text": "x", "labels": [], "evil": 1}',
    b'{"id": "nope", "labels": []}', b'{"text": "' + b"x" * 100_001 + b'", "labels": []}',
    b'{"text": "ok", "labels": []}', b'{"text": "x", "labels": [], "time_intent": {"type": 1}}',
    b"[" * 5000, b'{"text": "ok", "labels": ["love"]}']


@pytest.fixture
def app(settings, gateway):
    """An application that takes files larger than the small requests of other tests."""
    migrate(settings)
    app = create_app(replace(settings, max_body_bytes=10**6, max_text_chars=100_000), gateways=[gateway])
    yield app
    services_of(app).database.dispose()


def test_bad_rows_are_named_and_the_rest_is_kept(client):
    answer = send(client, b"\n".join(POISON), on_error="keep").json
    assert (answer["imported"], answer["unchanged"], answer["refused"]) == (1, 1, 14)
    assert [error["row"] for error in answer["errors"]] == list(range(2, 16))
    messages = {error["row"]: error["message"] for error in answer["errors"]}
    assert "'money' is no intent" in messages[3]
    assert "empty" in messages[4]
    assert "U+0000" in messages[5]
    assert "neither an id nor a text" in messages[6]
    assert "labels" in messages[8]
    assert "evil" in messages[10]
    assert "'nope'" in messages[11]
    assert "more than 100000" in messages[12]
    assert "row 1 is labelled ['love'] already" in messages[13]
    assert [row["text"] for row in exported(client)] == ["ok"]


def test_bad_rows_reject_everything_where_that_is_asked_for(client):
    problem = send(client, b"\n".join(POISON))
    assert problem.status_code == 422
    assert problem.json["type"] == "urn:conch:problem:import-refused"
    assert "14 rows cannot be imported, and nothing was" in problem.json["detail"]
    assert [error["field"] for error in problem.json["errors"]] == [f"rows.{number}" for number in range(2, 16)]
    assert exported(client) == []


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_an_export_can_be_imported_elsewhere_and_here_changes_nothing(client, services, format):
    texts = ["财运, \"好\"吗\n第二行", "=1+1", "'=2+2", "'quoted", "-5 度", "@某人", "普通问题"]
    ids = ask(services, *texts)
    for question_id in ids:
        services.tuning.annotations.label(question_id, ["wealth", "love"], THIS_YEAR, "ann")
    media_type = {"jsonl": JSONL, "csv": CSV}[format]
    answer = client.get(f"{EXPORT}?format={format}")
    assert answer.content_type == f"{media_type}; charset=utf-8"
    assert f"labels.{format}" in answer.headers["Content-Disposition"]
    assert send(client, answer.data, media_type).json == {"imported": 0, "unchanged": 7, "refused": 0, "errors": []}
    with services.database.write() as session:
        for table in ("intent_user_questions", "intent_resolutions", "intent_annotations"):
            session.connection().exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 - our own names
    assert send(client, answer.data, media_type).json["imported"] == 7
    assert sorted(row["text"] for row in exported(client)) == sorted(texts)
    assert {row["time_intent"]["type"] for row in exported(client)} == {"this_year"}


def test_a_spreadsheet_runs_no_question(client, services):
    services.tuning.annotations.label(ask(services, "=HYPERLINK(1)")[0], [], None, "ann")
    text = client.get(f"{EXPORT}?format=csv").data.decode("utf-8-sig")
    row, = csv.DictReader(io.StringIO(text))
    assert (row["text"], row["labels"]) == ("'=HYPERLINK(1)", "out_of_scope")


def test_csv_rows_that_cannot_be_read_are_named(client):
    data = "text,labels\n好,love\n空,\n多,love,x\n少\n两个,wealth|love\n无关,out_of_scope\n"
    answer = send(client, data, CSV, on_error="keep").json
    assert (answer["imported"], [error["row"] for error in answer["errors"]]) == (3, [3, 4, 5])
    assert "write out_of_scope" in answer["errors"][0]["message"]
    broken = send(client, 'text,labels\n前,love\n"没有结束,love\n后,love\n', CSV, on_error="keep").json
    assert (broken["imported"], broken["refused"]) == (1, 1)
    assert "what follows was not read" in broken["errors"][0]["message"]
    latin = send(client, "text,labels\ngrüß,love\n".encode("latin-1"), CSV, on_error="keep").json
    assert (latin["imported"], "not UTF-8" in latin["errors"][0]["message"]) == (0, True)


def test_a_file_decides_no_dispute_and_overwrites_no_label(client, services):
    question, erased = ask(services, "甲")[0], ask(services, "乙", subject_digest="x")[0]
    services.tuning.annotations.label(question, ["love"], None, "ann")
    services.tuning.questions.erase_subject("x")
    answer = send(client, [{"id": question, "labels": ["wealth"]}, {"id": erased, "labels": []},
                           {"id": question, "text": "另一个", "labels": ["love"]}], on_error="keep").json
    assert [error["row"] for error in answer["errors"]] == [1, 2, 3]
    assert exported(client)[0]["labels"] == ["love"]


def test_csv_without_the_columns_that_it_needs_is_refused(client):
    for data in ("好,love\n", "text\n好\n", "labels\nlove\n", "{}"):
        assert_problem(send(client, data, CSV, on_error="keep"), 422, "invalid-request", "name its columns",
                       field="body")


def test_an_empty_file_imports_nothing(client):
    for media_type in (JSONL, CSV):
        assert send(client, b"", media_type).json["imported"] == 0
    assert client.get(EXPORT).data == b""


def test_what_is_no_such_file_is_415_and_what_is_too_large_413(client):
    assert_problem(send(client, b"{}", "application/json"), 415, "unsupported-media-type", JSONL, CSV)
    assert_problem(client.post(IMPORT), 415, "unsupported-media-type")
    assert_problem(send(client, b"x" * 1_000_001), 413, "request-entity-too-large", "1000000 bytes")


@pytest.mark.parametrize(("query", "field"), [
    ({"on_error": "ignore"}, "on_error"), ({"origin": "queue"}, "origin"), ({"labeler_id": ""}, "labeler_id")])
def test_a_wrong_import_names_its_field(client, query, field):
    assert_problem(send(client, b"", **query), 422, "invalid-request", field=field)
    assert_problem(client.get(f"{EXPORT}?format=xml"), 422, "invalid-request", field="format")


def test_seeds_say_that_they_are(client, services):
    send(client, [{"id": "seed-1", "text": "我什么时候发财", "labels": ["wealth"]}], origin="seed")
    row, = exported(client)
    assert row["origin"] == "seed"
    assert client.get(f"{TUNING}/questions/{row['id']}").json["state"] == "labelled"
