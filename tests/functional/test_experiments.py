"""Experiments on the real Triton: two versions of an intent model answer at once, in two web processes.

Counts come seconds after the answers, so every experiment is over before its report is read.
"""

import shutil
import threading
import time
from dataclasses import dataclass

import pytest

from control_plane.database.live_copy import MAX_AGE_S
from control_plane.experiments.trial import position
from control_plane.lifecycle.placement import Placement
from control_plane.triton_config import load_config
from control_plane.triton_gateway import TritonGateway
from export.manifest import read_manifest
from tests.functional.platform import INTENTS, ServedPlatform, wait_until

EXPERIMENTS = "/api/v1/model-tuning/experiments"
VERSION_OF = {"control": "1", "treatment": "2"}
SUBJECTS_OF_AN_ARM = 8
CLIENTS = 4
PAUSE_S = 0.05  # of each client after an answer: other tests run beside
TEXTS = [f"{when}我的{what}怎么样" for when in ("今年", "明年", "下个月", "这周", "今天", "明天")
         for what in ("财运", "感情", "事业", "健康", "学业", "婚姻")]


@dataclass(frozen=True)
class Asked:
    """An experiment that is over, and what was answered in it: (arm, question, answer)."""

    id: str
    answers: list[tuple[str, str, dict]]


@pytest.fixture(scope="module")
def served(intent_repository, tmp_path_factory):
    """A platform whose version 1 of `intent` is active; version 2 was exported after it."""
    home = tmp_path_factory.mktemp("experiments")
    repository = shutil.copytree(intent_repository, home / "model_repository", ignore=shutil.ignore_patterns("2"))
    platform = ServedPlatform(home, repository, CONCH_PRELOAD_MODELS="intent", MAX_PROCESSES="2").start()
    try:
        shutil.copytree(intent_repository / "intent" / "2", repository / "intent" / "2")
        for label in INTENTS:
            added = platform.rest("POST", "/api/v1/model-tuning/taxonomy", {"name": label, "display_name": label})
            assert added.status == 200, added.body
        yield platform
    finally:
        platform.stop()


@pytest.fixture(scope="module")
def gateway(served):
    return TritonGateway(f"127.0.0.1:{served.triton_grpc_port}", served.secret, 10, 10)


def start(served, **body: object) -> str:
    """Start an experiment with version 2, wait until every web process knows of it, and return its id."""
    answer = served.rest("POST", EXPERIMENTS, {"treatment_version": 2, **body})
    assert answer.status == 201, answer.body
    wait_for_workers()
    return answer.body["id"]


def wait_for_workers() -> None:
    """A process looks with the first question that comes when what it knows is this old; nothing tells that it did."""
    time.sleep(MAX_AGE_S)


def end(served, experiment_id: str, how: str) -> None:
    assert served.rest("POST", f"{EXPERIMENTS}/{experiment_id}/{how}", {}).status == 200
    wait_for_workers()


def ask(served, question: str, subject: str | None = None) -> dict:
    answer = served.rest("POST", "/api/v1/intents/predict", {
        "question": question, "consent": True, **({"subject": subject} if subject else {})})
    assert answer.status == 200, answer.body
    return answer.body


def intents(answer: dict) -> list[str]:
    return [item["intent"] for item in answer["intents"]]


def subjects(experiment_id: str, count: int) -> dict[str, str]:
    """Return `count` subjects of each arm of an experiment that gives half of them the treatment: subject -> arm."""
    found: dict[str, list[str]] = {"control": [], "treatment": []}
    for number in range(100 * count):
        arm = "treatment" if position(experiment_id, f"user-{number}") < 0.5 else "control"
        found[arm].append(f"user-{number}")
    return {subject: arm for arm, names in found.items() for subject in names[:count]}


def report(served, experiment_id: str) -> dict:
    return served.rest("GET", f"{EXPERIMENTS}/{experiment_id}").body


def wait_for_counts(served, experiment_id: str, **requests: int) -> dict:
    """Wait until that many requests of each arm were counted, and return the report."""
    wait_until(lambda: {arm: found["requests"] for arm, found in report(served, experiment_id)["arms"].items()
                        } == requests)
    return report(served, experiment_id)


def loaded_versions(served) -> list[int]:
    return served.rest("GET", "/api/v1/models/info?type=intent").body["loaded_versions"]


def test_a_treatment_that_is_lost_is_aborted_by_the_controller_and_fails_no_request(served, gateway):
    experiment_id = start(served, min_samples=5, max_error_share=0.1)
    arms, answers, stop = list(subjects(experiment_id, CLIENTS // 2).items()), [], threading.Event()

    def keep_asking(subject: str, arm: str) -> None:
        while not stop.is_set():
            answers.append((arm, ask(served, TEXTS[0], subject)))
            time.sleep(PAUSE_S)

    def answered_by() -> set[tuple[str, str, bool]]:
        return {(arm, answer["model_version"], bool(answer["failed_stages"])) for arm, answer in answers}

    clients = [threading.Thread(target=keep_asking, args=item) for item in arms]
    model = served.repository / "intent" / "2" / "model.onnx"
    content = model.read_bytes()
    try:
        for client in clients:
            client.start()
        wait_until(lambda: len(answered_by()) == 2)
        model.write_bytes(b"damaged")
        config = (served.repository / "intent" / "config.pbtxt").read_text()
        gateway.load("intent", load_config(config, Placement("intent", (1,))))
        wait_until(lambda: report(served, experiment_id)["state"] == "aborted")
        wait_until(lambda: ("treatment", "1", False) in answered_by())
        assert loaded_versions(served) == [1]
    finally:
        stop.set()
        for client in clients:
            client.join()
        model.write_bytes(content)
    assert answered_by() == {("control", "1", False), ("treatment", "2", False), ("treatment", "1", True),
                             ("treatment", "1", False)}
    ended = report(served, experiment_id)
    assert ended["ended_by"] == "conch"
    assert "version 2 did not answer" in ended["reason"]


@pytest.fixture(scope="module")
def ab(served) -> Asked:
    """An A/B, over by now, in which every subject asked twice and somebody without a name once."""
    experiment_id, answers = start(served), []
    for question, (subject, arm) in zip(TEXTS, 2 * list(subjects(experiment_id, SUBJECTS_OF_AN_ARM).items()),
                                        strict=False):
        answers.append((arm, question, ask(served, question, subject)))
    assert ask(served, TEXTS[-1])["model_version"] == "1"
    end(served, experiment_id, "finish")
    return Asked(experiment_id, answers)


@pytest.fixture(scope="module")
def shadow(served) -> Asked:
    """A shadow experiment, over by now, in which everything was shown to version 2."""
    experiment_id = start(served, kind="shadow", share=1.0)
    answers = [("control", question, ask(served, question)) for question in TEXTS]
    end(served, experiment_id, "abort")
    return Asked(experiment_id, answers)


def test_each_subject_is_answered_by_the_version_of_its_arm_whatever_process_it_meets(served, ab):
    assert [(answer["model_version"], answer["failed_stages"]) for _, _, answer in ab.answers] == [
        (VERSION_OF[arm], {}) for arm, _, _ in ab.answers]
    everybody = subjects(ab.id, SUBJECTS_OF_AN_ARM)
    assert {ask(served, TEXTS[0], subject)["model_version"] for subject in everybody} == {"1"}  # It is over.


def test_a_shadow_answers_nobody(shadow):
    assert {(answer["model_version"], bool(answer["failed_stages"])) for _, _, answer in shadow.answers} == {
        ("1", False)}


def test_the_report_of_an_ab_has_both_arms_with_agreement_and_latency(served, ab):
    for arm, _, answer in ab.answers:
        label(served, answer, is_right=arm == "treatment")
    found = wait_for_counts(served, ab.id, control=2 * SUBJECTS_OF_AN_ARM, treatment=2 * SUBJECTS_OF_AN_ARM)
    for arm, agreement in (("control", 0), ("treatment", 1)):
        seen = found["arms"][arm]
        assert (str(seen["version"]), seen["errors"], seen["subjects"], seen["labeled"]) == (
            VERSION_OF[arm], 0, SUBJECTS_OF_AN_ARM, 2 * SUBJECTS_OF_AN_ARM)
        assert seen["agreement"]["value"] == agreement
        assert 0 < seen["p50_latency_ms"] <= seen["p95_latency_ms"]
    assert (found["split"]["share"], found["split"]["is_mismatch"], found["is_conclusive"]) == (0.5, False, True)
    assert found["differences"]["agreement"]["low"] > 0


def label(served, answer: dict, is_right: bool) -> None:
    """Label a question as it was answered, or with what it was not; it reaches the database within seconds."""
    intent = next((name for name in INTENTS if name not in intents(answer)), None)
    wrong = [] if intent is None else [intent]
    path = f"/api/v1/model-tuning/questions/{answer['question_id']}"
    wait_until(lambda: served.rest("GET", path).status == 200)
    labelled = served.rest("POST", f"{path}/label", {"correct_intent": intents(answer) if is_right else wrong})
    assert labelled.status == 200, labelled.body


def test_the_report_of_a_shadow_tells_how_often_it_saw_what_users_were_answered(served, shadow, gateway):
    found = wait_for_counts(served, shadow.id, control=len(TEXTS), treatment=len(TEXTS))
    seen = [held(served, gateway, version) for version in (1, 2)]
    assert seen[0] == [set(intents(answer)) for _, _, answer in shadow.answers]
    treatment = found["arms"]["treatment"]
    assert (treatment["errors"], treatment["dropped"], treatment["agreement"]) == (0, 0, None)
    agreements = sum(one == other for one, other in zip(*seen, strict=True))
    assert treatment["control_agreement"]["value"] == pytest.approx(agreements / len(TEXTS))
    assert 0 < treatment["p50_latency_ms"] <= treatment["p95_latency_ms"]
    assert (found["differences"], found["split"]) == ({}, None)


def held(served, gateway, version: int) -> list[set[str]]:
    """Return the intents that a version sees in each of TEXTS, asked past the control plane."""
    answer = gateway.classify("intent", TEXTS, version=version)
    thresholds = read_manifest(served.repository / "intent" / str(version)).thresholds
    return [{name for name, score, threshold in zip(answer.labels, scores, thresholds, strict=True)
             if score >= threshold} for scores in answer.scores]


def test_after_the_end_only_the_active_version_stays_loaded(served, ab):
    wait_until(lambda: loaded_versions(served) == [1])
    history = served.rest("GET", "/api/v1/models/intent/history?limit=1").body["history"]
    assert (history[0]["action"], history[0]["actor"]) == ("let_go", "conch")
    assert ask(served, TEXTS[0], "user-0")["model_version"] == "1"
