"""The tuning loop on the real Triton: seed, ask, label, train, judge, activate and roll back under load."""

import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from datetime import datetime
from zoneinfo import ZoneInfo

import psutil
import pytest

from conch.demo_tuning import LABELS, QUESTIONS, Rest, run_demo
from control_plane.lifecycle.reconciler import PASS_S
from control_plane.lifecycle.store import DRAIN_S
from control_plane.settings import Settings
from tests.export.checkpoints import build_checkpoint
from tests.functional.platform import CONCH, ServedPlatform, wait_until

CLIENTS = 8
PAUSE_S = 0.05  # of each client after an answer: other tests run beside
QUESTION = {"question": "我明年财运怎么样"}
CATALOG = '[[models]]\nalias = "small-encoder"\ntask = "embedding"\nsources = [{{ kind = "path", path = "{path}" }}]\n'


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A platform that `conch tuning seed` gave its first intent model, from a small encoder of random weights."""
    home = tmp_path_factory.mktemp("tuning")
    encoder = build_checkpoint(home / "small", "roberta", max_tokens=64)
    (home / "catalog.toml").write_text(CATALOG.format(path=encoder), encoding="utf-8")
    platform = ServedPlatform(home, home / "model_repository", CONCH_PRELOAD_MODELS=",",
                              CONCH_INTENT_BASE="small-encoder", CONCH_TRAIN_AFTER_LABELS="1000000")
    for expected in ("intent-1: macro-F1", "intent has been trained already"):
        run = subprocess.run([CONCH, "tuning", "seed"], env=platform.environment, capture_output=True, text=True,
                             timeout=300)
        assert run.returncode == 0, run.stderr
        assert expected in run.stdout
    yield platform.start()
    platform.stop()


@pytest.fixture
def rest(served):
    return Rest(f"http://127.0.0.1:{served.http_port}", served.key)


def test_the_seeded_model_answers_right_after_the_start(served):
    answer = served.rest("POST", "/api/v1/intents/predict", {**QUESTION, "subject": "7", "consent": True})
    assert answer.status == 200, answer.body
    assert (answer.body["model_version"], answer.body["failed_stages"]) == ("1", {})
    next_year = datetime.now(ZoneInfo(Settings().time_zone)).year + 1
    assert answer.body["time_intent"] == {"type": "next_year", "target_years": [next_year]}
    assert answer.body["question_id"]


def test_the_loop_goes_from_questions_to_a_rollback_and_no_client_notices(served, rest):
    stop, statuses = threading.Event(), []

    def ask():
        while not stop.is_set():
            statuses.append(served.rest("POST", "/api/v1/intents/predict", QUESTION).status)
            time.sleep(PAUSE_S)

    def say(line: str) -> None:
        said.append(line)
        if line.startswith("the gate's verdict"):  # The switches come next.
            for client in clients:
                client.start()

    said: list[str] = []
    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    try:
        shown = run_demo(rest, "head", 5, say)
    finally:
        stop.set()
        for client in filter(threading.Thread.is_alive, clients):
            client.join()
    assert set(statuses) == {200}
    assert shown["answered_by"] == ["1", "2", "1"]
    batch = shown["batch"]
    assert batch["question_count"] >= 700 + LABELS
    assert any(line.startswith(f"asked {QUESTIONS} questions") for line in said)
    [active, other] = sorted(rest.call("GET", "/api/v1/model-tuning/models")["versions"],
                             key=lambda row: row["triton_version"])
    assert (active["is_active"], other["is_active"]) == (True, False)
    assert other["champion_version"] == "intent-1"


def test_the_gates_report_is_a_page_with_its_plots(served, rest):
    batch = rest.call("GET", "/api/v1/model-tuning/batches")["batches"][0]
    url = f"http://127.0.0.1:{served.http_port}/api/v1/model-tuning/batches/{batch['batch_id']}/report"
    page = subprocess.run(["curl", "-s", "-H", f"Authorization: Bearer {served.key}", url], capture_output=True,
                          text=True, timeout=30).stdout
    assert page.startswith("<!DOCTYPE html>")
    assert page.count("<svg") == 2
    assert "intent-2, against intent-1" in page


def test_a_version_that_did_not_pass_is_not_activated_without_a_reason(served, rest):
    # What the gate finds of two classifiers over random embeddings is chance, and now and then it is a pass.
    with closing(sqlite3.connect(served.home / "conch.db")) as database, database:
        database.execute("UPDATE intent_model_versions SET verdict = 'inconclusive' WHERE version = 'intent-2'")
    newest, _ = rest.call("GET", "/api/v1/model-tuning/models")["versions"]
    assert newest["verdict"] == "inconclusive"
    answer = served.rest("POST", "/api/v1/model-tuning/models/intent-2/activate", {})
    assert (answer.status, answer.body["type"]) == (409, "urn:conch:problem:promotion")


def test_running_a_batch_again_is_answered_by_the_same_job(served, rest):
    batch = rest.call("GET", "/api/v1/model-tuning/batches")["batches"][0]
    again = rest.call("POST", f"/api/v1/model-tuning/batches/{batch['batch_id']}/run", {})
    assert (again["id"], again["state"]) == (batch["job_id"], "succeeded")


def test_a_rollback_finds_the_version_before_still_loaded(served, rest):
    rest.call("POST", "/api/v1/model-tuning/models/intent-2/activate", {"reason": "to roll back from"})
    time.sleep(DRAIN_S + 2 * PASS_S)  # No later pass lets the version before go either.
    processes = model_processes(served)
    assert rest.call("GET", "/api/v1/models/info", type="intent")["loaded_versions"] == [1, 2]
    assert rest.call("POST", "/api/v1/model-tuning/models/rollback", {"reason": ""})["active_version"] == 1
    assert model_processes(served) == processes  # Nothing was loaded for it.
    wait_until(lambda: rest.call("POST", "/api/v1/intents/predict", QUESTION)["model_version"] == "1")


def model_processes(served) -> set[psutil.Process]:
    """Return the processes in which Triton runs versions of models."""
    return {process for process in served.descendants() if process.name() == "triton_python_backend_stub"}
