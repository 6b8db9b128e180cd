import threading

import pytest

from control_plane.errors import InferenceRejectedError, TritonUnavailableError
from control_plane.observability.inference_observer import InferenceObserver
from control_plane.observability.metrics import Metrics
from control_plane.observability.request_context import begin_request, current_request, end_request
from control_plane.observability.usage_store import Usage


class AddedUsage:
    """Stands for the recorder; keeps what it is given."""

    def __init__(self) -> None:
        self.added: list[tuple[str, Usage]] = []

    def add(self, model: str, usage: Usage) -> None:
        self.added.append((model, usage))


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def usage():
    return AddedUsage()


@pytest.fixture
def observer(metrics, usage):
    return InferenceObserver(metrics, usage)


def value(metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, {"model": "tiny", **labels})


def test_an_answer_is_counted_with_its_texts_characters_and_tokens(observer, metrics, usage):
    with observer.observe("tiny", ["你好", "abc"]) as observation:
        observation.tokens = 7
    assert value(metrics, "conch_requests_total") == 1
    assert value(metrics, "conch_texts_total") == 2
    assert value(metrics, "conch_characters_total") == 5
    assert value(metrics, "conch_tokens_total") == 7
    assert value(metrics, "conch_request_duration_seconds_count") == 1
    (model, added), = usage.added
    assert (model, added.requests, added.errors, added.texts, added.characters, added.tokens) == ("tiny", 1, 0, 2, 5, 7)
    assert added.duration_ms > 0
    assert value(metrics, "conch_request_duration_seconds_sum") == pytest.approx(added.duration_ms / 1000)


@pytest.mark.parametrize(("error", "kind"), [
    (InferenceRejectedError("no"), "inference-rejected"), (TritonUnavailableError("away"), "triton-unavailable"),
    (KeyError("a bug"), "internal")])
def test_an_error_is_counted_by_its_type_and_passes_on(observer, metrics, usage, error, kind):
    with pytest.raises(type(error)), observer.observe("tiny", ["a"]):
        raise error
    assert value(metrics, "conch_requests_total") == 1
    assert value(metrics, "conch_request_errors_total", type=kind) == 1
    assert value(metrics, "conch_request_duration_seconds_count") == 1
    assert value(metrics, "conch_texts_total") == 0
    (_, added), = usage.added
    assert (added.requests, added.errors, added.texts, added.characters) == (1, 1, 0, 0)


@pytest.mark.parametrize("fails", [False, True])
def test_a_request_is_active_while_it_runs(observer, metrics, fails):
    try:
        with observer.observe("tiny", ["a"]), observer.observe("tiny", ["b"]):
            assert value(metrics, "conch_active_requests") == 2
            if fails:
                raise InferenceRejectedError("no")
    except InferenceRejectedError:
        pass
    assert value(metrics, "conch_active_requests") == 0


def test_the_log_learns_the_model(observer):
    begin_request("a")
    try:
        with observer.observe("tiny", ["a"]):
            assert current_request().model == "tiny"
    finally:
        end_request()


def test_many_threads_lose_no_count(observer, metrics, usage):
    def work() -> None:
        for _ in range(200):
            with observer.observe("tiny", ["a"]):
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value(metrics, "conch_requests_total") == value(metrics, "conch_texts_total") == 1600
    assert value(metrics, "conch_active_requests") == 0
    assert len(usage.added) == 1600
