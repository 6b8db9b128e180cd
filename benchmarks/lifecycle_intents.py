"""Measures switching versions of an intent model while clients ask it. Knows nothing of the report that it goes into.

The versions are real ones: `conch tuning seed` trains the first on the questions that Conch brings along, over the
encoder of `fast`, and a batch over REST trains the second.
"""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.conch_server import MODEL, ConchServer, plan_conch
from benchmarks.servers import Server
from control_plane.lifecycle.reconciler import PASS_S
from control_plane.lifecycle.store import DRAIN_S
from control_plane.settings import load_settings

CLIENTS = 16
QUESTION = "我今年财运怎么样"
START_TIMEOUT_S, TRAIN_TIMEOUT_S, DRAIN_TIMEOUT_S = 60, 600, 60
_POLL_S = 0.25
_TUNING = "/api/v1/model-tuning"


@dataclass
class IntentSwitches:
    """What came of the requests, and how long each rollback took, in seconds."""

    asked: int = 0
    failed: int = 0
    rollback_s: list[float] = field(default_factory=list)


@dataclass
class _Traffic:
    """What the clients were answered: when, and by which version; None where the model did not answer."""

    answers: list[tuple[float, str | None]] = field(default_factory=list)

    def last_answer_by(self, version: str) -> float:
        """Return when that version was last heard of."""
        return max(moment for moment, answered_by in list(self.answers) if answered_by == version)


def measure_intent_switches(folder: Path, rounds: int) -> IntentSwitches:
    """Train two versions under `folder`, then activate and roll back `rounds` times while clients ask."""
    conch = plan_conch(folder / "home", folder / "model_repository", CONCH_PRELOAD_MODELS=",", CONCH_INTENT_BASE=MODEL)
    conch.home.mkdir(parents=True)
    (conch.home / "checkpoints").symlink_to(load_settings().checkpoint_dir.resolve())
    subprocess.run([*conch.plan.command[:-1], "tuning", "seed"], env=conch.plan.environment, check=True)
    with Server(conch.plan, folder) as server:
        server.wait_until_ready(START_TIMEOUT_S)
        version = _train(conch)
        return _switch(conch, version, rounds)


def _train(conch: ConchServer) -> str:
    """Run a batch over REST and return the name of the version that it brought forth."""
    batch = conch.call("POST", f"{_TUNING}/batches", {"recipe": "head"})["batch_id"]
    conch.call("POST", f"{_TUNING}/batches/{batch}/run", {})
    deadline = time.monotonic() + TRAIN_TIMEOUT_S
    while (found := conch.call("GET", f"{_TUNING}/batches/{batch}"))["training_status"] != "succeeded":
        if found["training_status"] == "failed" or time.monotonic() > deadline:
            raise AssertionError(f"batch {batch} is {found['training_status']}: {found['error']}")
        time.sleep(_POLL_S)
    return found["model_version"]


def _switch(conch: ConchServer, version: str, rounds: int) -> IntentSwitches:
    """An activation has to load its version; a rollback finds the one before still loaded, long after it drained."""
    measured, number = IntentSwitches(), version.rpartition("-")[2]
    with _asking(conch) as traffic:
        for _ in range(rounds):
            conch.call("POST", f"{_TUNING}/models/{version}/activate", {"reason": "benchmark"})
            time.sleep(DRAIN_S + 2 * PASS_S)
            began = time.monotonic()
            conch.call("POST", f"{_TUNING}/models/rollback", {"reason": "benchmark"})
            answered = time.monotonic()
            _wait_for_drain(conch)
            measured.rollback_s.append(max(answered, traffic.last_answer_by(number)) - began)
    measured.asked = len(traffic.answers)
    measured.failed = sum(answered_by is None for _, answered_by in traffic.answers)
    return measured


def _wait_for_drain(conch: ConchServer) -> None:
    """Wait until the version that was active before is gone; the higher one, after a rollback, is never kept."""
    deadline = time.monotonic() + DRAIN_TIMEOUT_S
    while len(conch.call("GET", "/api/v1/models/info?type=intent")["loaded_versions"]) > 1:
        if time.monotonic() > deadline:
            raise AssertionError(f"two versions are still loaded after {DRAIN_TIMEOUT_S} s")
        time.sleep(_POLL_S)


@contextmanager
def _asking(conch: ConchServer) -> Iterator[_Traffic]:
    """Have clients ask, each one question after the other, for as long as this is open."""
    traffic, stop = _Traffic(), threading.Event()
    clients = [threading.Thread(target=_ask, args=(conch, traffic, stop)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield traffic
    finally:
        stop.set()
        for client in clients:
            client.join()


def _ask(conch: ConchServer, traffic: _Traffic, stop: threading.Event) -> None:
    """A fallback counts as a failure: the caller got an answer, but not the model's."""
    address = urlsplit(conch.rest_url)
    connection = HTTPConnection(address.hostname, address.port, timeout=60)
    headers = {"Authorization": f"Bearer {conch.api_key}", "Content-Type": "application/json"}
    while not stop.is_set():
        version = None
        try:
            connection.request("POST", "/api/v1/intents/predict", json.dumps({"question": QUESTION}), headers)
            answer = connection.getresponse()
            body = json.loads(answer.read())
            version = body["model_version"] if answer.status == 200 else None
        except (HTTPException, OSError, ValueError):
            connection.close()
        traffic.answers.append((time.monotonic(), version))
    connection.close()
