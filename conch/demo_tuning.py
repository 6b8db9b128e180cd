"""Walks the tuning loop of a running platform over REST, from logged questions to a rollback. Keeps no state."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

from control_plane.errors import ControlPlaneError
from training.seed.generator import generate

QUESTIONS = 40
LABELS = 20
_SUBJECT = "demo"
_WAIT_S = 60.0
_POLL_S = 0.5
_SETTLE_S = 1.0  # A web process learns of a switch within half a second.
_REASON = "the demonstration goes on whatever the gate says"


class Rest:
    """The REST API of one platform."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key

    def call(self, method: str, path: str, body: dict | None = None, **query: object) -> dict:
        """Return the answer; raises ControlPlaneError with what the platform says is wrong."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - always http, to the platform of the settings
            f"{self._url}{path}{'?' + urlencode(query) if query else ''}", data, method=method,
            headers={"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=_WAIT_S) as response:  # noqa: S310
                return json.loads(response.read())
        except urllib.error.HTTPError as error:
            raise ControlPlaneError(f"{method} {path}: {error.read().decode('utf-8', 'replace')}") from error
        except OSError as error:
            raise ControlPlaneError(f"{self._url} does not answer: {error}; start the platform with `conch serve` or "
                                    "`make run`") from error


def run_demo(rest: Rest, recipe: str, seed: int, say: Callable[[str], None]) -> dict:
    """Ask, label, train, look at the verdict, activate, roll back; returns the batch and the versions that answered."""
    if not rest.call("GET", "/api/v1/model-tuning/taxonomy")["intents"]:
        raise ControlPlaneError("the platform has no intents yet; `make run` trains its first model within minutes "
                                "(GET /api/v1/jobs shows how far it is), so try again then, or set "
                                "CONCH_SEED_INTENTS=true and start again")
    truth = _ask(rest, seed, say)
    labelled = _label(rest, truth, say)
    batch = rest.call("POST", "/api/v1/model-tuning/batches", {"description": f"demo: {labelled} new labels",
                                                               "recipe": recipe})
    rest.call("POST", f"/api/v1/model-tuning/batches/{batch['batch_id']}/run", {"auto_extract_keywords": True})
    batch = _follow(rest, batch["batch_id"], say)
    version = batch["model_version"]
    [found] = [row for row in rest.call("GET", "/api/v1/model-tuning/models")["versions"] if row["version"] == version]
    say(f"the gate's verdict on {version}: {found['verdict']}")
    for check in found["gate"]["checks"]:
        say(f"  {check['verdict']:12} {check['name']}: {check['measured']} ({check['required']})")
    say(f"  the whole report: /api/v1/model-tuning/batches/{batch['batch_id']}/report")
    return {"batch": batch, "answered_by": list(_switch(rest, version, next(iter(truth.values()))["text"], say))}


def _ask(rest: Rest, seed: int, say: Callable[[str], None]) -> dict[str, dict]:
    """Ask questions whose intents are known; returns them by the id under which they were logged."""
    known, methods = {}, {}
    for question in generate(QUESTIONS, seed):
        answer = rest.call("POST", "/api/v1/intents/predict", {
            "question": question.text, "subject": _SUBJECT, "consent": True})
        methods[answer["method"]] = methods.get(answer["method"], 0) + 1
        if answer["question_id"]:
            known[answer["question_id"]] = {"text": question.text, "labels": list(question.labels)}
    say(f"asked {QUESTIONS} questions; answered by {methods}")
    return known


def _label(rest: Rest, truth: dict[str, dict], say: Callable[[str], None]) -> int:
    """Label what the queue gives, as somebody would who knows the answers; returns how many."""
    labelled, deadline = set(), time.monotonic() + _WAIT_S
    while len(labelled) < LABELS:
        page = rest.call("GET", "/api/v1/model-tuning/questions/unlabeled", limit=100, labeler_id=_SUBJECT)
        for item in page["questions"]:
            if item["id"] in truth and len(labelled) < LABELS:
                rest.call("POST", f"/api/v1/model-tuning/questions/{item['id']}/label", {
                    "correct_intent": truth[item["id"]]["labels"], "labeler_id": _SUBJECT})
                labelled.add(item["id"])
        if len(labelled) < LABELS:  # Questions reach the database within seconds.
            if time.monotonic() > deadline:
                raise ControlPlaneError(f"only {len(labelled)} of {QUESTIONS} questions reached the labelling queue "
                                        f"within {_WAIT_S:g} s; those that were asked before do not, so leave --seed "
                                        "out, or see the controller's log")
            time.sleep(_POLL_S)
    say(f"labelled {len(labelled)} of them")
    return len(labelled)


def _follow(rest: Rest, batch_id: str, say: Callable[[str], None]) -> dict:
    """Wait for a batch's end; raises ControlPlaneError when it fails."""
    told = ""
    while True:
        batch = rest.call("GET", f"/api/v1/model-tuning/batches/{batch_id}")
        job = batch["job"]
        line = f"{job['progress']:4.0%} {job['step']}"
        if line != told:
            say(line)
            told = line
        if batch["training_status"] == "failed":
            raise ControlPlaneError(f"batch {batch_id} failed: {batch['error']}")
        if batch["training_status"] == "succeeded":
            return batch
        time.sleep(_POLL_S)


def _switch(rest: Rest, version: str, question: str, say: Callable[[str], None]) -> Iterator[str | None]:
    """Activate a version and roll back; yields the version that answers a question before, between and after."""
    def ask(when: str) -> str | None:
        time.sleep(_SETTLE_S)
        answer = rest.call("POST", "/api/v1/intents/predict", {"question": question})
        say(f"{when}: {question} → {[item['intent'] for item in answer['intents']]}, by {answer['method']}, version "
            f"{answer['model_version']}")
        return answer["model_version"]

    yield ask("before")
    rest.call("POST", f"/api/v1/model-tuning/models/{version}/activate", {"reason": _REASON})
    yield ask("activated")
    rest.call("POST", "/api/v1/model-tuning/models/rollback", {"reason": "the demonstration is over"})
    yield ask("rolled back")
