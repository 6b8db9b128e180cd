"""The gateway over gRPC: what it sends, and that each of Triton's failures comes out as the error it is."""

import socket

import grpc
import numpy as np
import pytest

from control_plane.errors import (
    BrokenModelError,
    ControlPlaneError,
    InferenceError,
    InferenceRejectedError,
    InferenceTimeoutError,
    InsufficientMemoryError,
    ModelLoadError,
    ModelNotLoadedError,
    OverloadedError,
    TritonUnavailableError,
)
from control_plane.triton_gateway import TritonGateway
from export.contract import MAX_BATCH_SIZE
from tests.control_plane.triton_stub import SECRET, TritonStub, serve

Status = grpc.StatusCode
CONFIG = '{"backend": "text_encoder"}'
load_and_unload = pytest.mark.parametrize(
    "call", [lambda gateway: gateway.load("tiny", CONFIG), lambda gateway: gateway.unload("tiny")],
    ids=["load", "unload"])


@pytest.fixture
def stub():
    return TritonStub()


@pytest.fixture
def gateway(stub):
    with serve(stub) as address:
        yield TritonGateway(address, SECRET, inference_timeout_s=10, load_timeout_s=10)


@pytest.fixture
def deaf_address():
    """An address where nothing listens, and nothing else will."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


def test_embed_gives_rows_counts_and_the_version_that_answered(gateway, stub):
    answer = gateway.embed("tiny", ["7", "42"], {"truncate": False, "prompt_name": "query"})
    assert answer.vectors.dtype == np.float32
    assert answer.vectors.tolist() == [[1, 7], [2, 42]]
    assert answer.token_counts.tolist() == [1, 2]
    assert answer.model_version == "3"
    assert stub.parameters["truncate"].bool_param is False
    assert stub.parameters["prompt_name"].string_param == "query"


@pytest.mark.parametrize("rows", [1, MAX_BATCH_SIZE, MAX_BATCH_SIZE + 1, 3 * MAX_BATCH_SIZE + 5])
def test_more_texts_than_a_batch_go_out_in_several_and_come_back_in_order(gateway, stub, rows):
    answer = gateway.embed("tiny", [str(row) for row in range(rows)])
    assert answer.vectors[:, 1].tolist() == list(range(rows))
    assert answer.token_counts.shape == (rows,)
    assert len(stub.batch_sizes) == -(-rows // MAX_BATCH_SIZE)
    assert max(stub.batch_sizes) <= MAX_BATCH_SIZE


@pytest.mark.parametrize("rows", [1, MAX_BATCH_SIZE + 1])
def test_classify_gives_scores_with_the_names_of_their_labels_in_the_order_of_the_texts(gateway, stub, rows):
    stub.labels = ("wealth", "爱情")
    answer = gateway.classify("intent", [str(row) for row in range(rows)], {"truncate": False}, version=3)
    assert answer.labels == ("wealth", "爱情")
    assert answer.scores.dtype == np.float32
    np.testing.assert_allclose(answer.scores, [[row / 10, row / 100] for row in range(rows)], rtol=1e-6)
    assert answer.token_counts.tolist() == [len(str(row)) for row in range(rows)]
    assert answer.model_version == "3"
    assert stub.parameters["truncate"].bool_param is False
    assert set(stub.versions) == {"3"}


def test_only_ready_versions_count_in_numeric_order(gateway, stub):
    stub.index = [("a", "10", "READY"), ("a", "9", "READY"), ("a", "11", "UNAVAILABLE"), ("b", "", ""),
                  ("c", "1", "LOADING"), ("d", "1", "READY")]
    assert gateway.ready_versions() == {"a": [9, 10], "d": [1]}


@pytest.mark.parametrize(("state", "held"), [
    ("READY", True), ("LOADING", True), ("UNLOADING", True), ("UNAVAILABLE", False), ("", False)])
def test_a_model_is_held_while_any_version_is_in_or_on_its_way(gateway, stub, state, held):
    stub.index = [("a", "1", "UNAVAILABLE"), ("a", "2", state), ("b", "1", "READY")]
    assert gateway.holds("a") is held
    assert gateway.holds("c") is False


def test_load_sends_the_configuration_as_it_is(gateway, stub):
    gateway.load("tiny", '{"backend": "text_encoder"}')
    assert stub.loads[0].model_name == "tiny"
    assert stub.loads[0].parameters["config"].string_param == '{"backend": "text_encoder"}'


def test_a_loaded_model_says_which_placement_it_is(gateway, stub):
    stub.placements = {"tiny": "abc", "other": ""}
    assert gateway.placement_digest("tiny") == "abc"
    assert gateway.placement_digest("other") is None
    assert gateway.placement_digest("nobody loaded this") is None


def test_requests_name_the_version_they_want(gateway, stub):
    gateway.embed("tiny", ["1"], version=7)
    gateway.embed("tiny", ["1", "2"], version=8, max_batch_size=1)
    gateway.embed("tiny", ["1"])
    assert stub.versions == ["7", "8", "8", ""]


@pytest.mark.parametrize(("rows", "size"), [(1, 1), (5, 2), (4, 4), (3, 100)])
def test_no_request_is_larger_than_the_models_own_limit(gateway, stub, rows, size):
    answer = gateway.embed("tiny", [str(row) for row in range(rows)], max_batch_size=size)
    assert answer.vectors[:, 1].tolist() == list(range(rows))
    assert max(stub.batch_sizes) <= size
    assert len(stub.batch_sizes) == -(-rows // size)


@pytest.mark.parametrize(("status", "message", "error", "says"), [
    (Status.INVALID_ARGUMENT, "text 0: unknown prompt 'x'", InferenceRejectedError, "^text 0: unknown prompt 'x'$"),
    (Status.NOT_FOUND, "Request for unknown model: 'tiny' is not found", ModelNotLoadedError, "'tiny' is not loaded"),
    (Status.NOT_FOUND, "'tiny' has no available versions", ModelNotLoadedError, "'tiny' is not loaded"),
    (Status.UNAVAILABLE, "'tiny' version 1 is not at ready state", ModelNotLoadedError, "'tiny' is not loaded"),
    (Status.UNAVAILABLE, "Socket closed", TritonUnavailableError, "is not available: Socket closed"),
    (Status.UNAVAILABLE, "Exceeds maximum queue size", OverloadedError, "'tiny' at .*: Exceeds maximum queue size"),
    (Status.DEADLINE_EXCEEDED, "Deadline Exceeded", InferenceTimeoutError, "'tiny' did not answer within 10 s"),
    (Status.INTERNAL, "Stub process 'tiny_0' is not healthy.", BrokenModelError, "'tiny' has broken down in Triton at"),
    (Status.INTERNAL, "the prompt could not be computed: out of memory", InsufficientMemoryError,
     "^model 'tiny' does not fit into memory: the prompt could not be computed: out of memory$"),
    (Status.INTERNAL, "no", InferenceError, "^model 'tiny': no$"),
    (Status.UNKNOWN, "?", InferenceError, "'tiny'"),
    (Status.RESOURCE_EXHAUSTED, "queue is full", InferenceError, "queue is full"),
    (Status.CANCELLED, "cancelled", InferenceError, "cancelled"),
])
@pytest.mark.parametrize("rows", [1, MAX_BATCH_SIZE + 1])
def test_each_failure_of_an_inference_is_named_for_what_it_is(gateway, stub, rows, status, message, error, says):
    stub.failure = (status, message)
    with pytest.raises(ControlPlaneError, match=says) as caught:
        gateway.embed("tiny", ["1"] * rows)
    assert type(caught.value) is error


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.OK])
@pytest.mark.parametrize("call", [
    lambda gateway: gateway.embed("tiny", ["1"]), lambda gateway: gateway.classify("tiny", ["1"]),
    lambda gateway: gateway.load("tiny", CONFIG), lambda gateway: gateway.unload("tiny")],
    ids=["embed", "classify", "load", "unload"])
def test_no_exception_of_the_client_gets_out(gateway, stub, status, call):
    stub.failure = (status, "no")
    with pytest.raises(ControlPlaneError):
        call(gateway)


@pytest.mark.parametrize("rows", [1, MAX_BATCH_SIZE + 1])
def test_inference_that_takes_too_long_is_a_timeout(stub, rows):
    stub.delay_s = 0.5
    with serve(stub) as address:
        gateway = TritonGateway(address, SECRET, inference_timeout_s=0.1, load_timeout_s=10)
        with pytest.raises(InferenceTimeoutError, match=r"within 0\.1 s"):
            gateway.embed("tiny", ["1"] * rows)


@load_and_unload
def test_refusal_gives_tritons_reason(gateway, stub, call):
    stub.failure = (Status.INTERNAL, "failed to load 'tiny', no version is available")
    with pytest.raises(ModelLoadError, match="model 'tiny': failed to load 'tiny', no version is available"):
        call(gateway)


def test_a_load_that_finds_no_memory_is_named_for_it(gateway, stub):
    stub.failure = (Status.INTERNAL, "failed to load 'tiny': out of memory: 8 slots take 768 MiB")
    with pytest.raises(InsufficientMemoryError, match="out of memory: 8 slots take 768 MiB"):
        gateway.load("tiny", CONFIG)


@load_and_unload
def test_unavailable_from_a_triton_that_lives_is_about_the_model(gateway, stub, call):
    stub.failure = (Status.UNAVAILABLE, "the model is being unloaded")
    with pytest.raises(ModelLoadError, match="being unloaded"):
        call(gateway)


@load_and_unload
def test_waiting_too_long_for_a_load_says_that_triton_goes_on(stub, call):
    stub.delay_s = 0.5
    with serve(stub) as address:
        gateway = TritonGateway(address, SECRET, inference_timeout_s=10, load_timeout_s=0.1)
        with pytest.raises(ModelLoadError, match=r"did not finish within 0\.1 s; it goes on"):
            call(gateway)


def test_wrong_secret_is_told_by_tritons_message(stub):
    with serve(stub) as address:
        gateway = TritonGateway(address, "guess", inference_timeout_s=10, load_timeout_s=10)
        with pytest.raises(TritonUnavailableError, match="This protocol is restricted"):
            gateway.ready_versions()
        with pytest.raises(ModelLoadError, match="This protocol is restricted"):
            gateway.load("tiny", CONFIG)


def test_triton_that_answers_is_live(gateway):
    assert gateway.is_live() is True


def test_nothing_that_listens_is_not_live(deaf_address):
    assert TritonGateway(deaf_address, SECRET, 10, 10).is_live() is False


@pytest.mark.parametrize("call", [
    lambda gateway: gateway.ready_versions(),
    lambda gateway: gateway.holds("tiny"),
    lambda gateway: gateway.placement_digest("tiny"),
    lambda gateway: gateway.load("tiny", CONFIG),
    lambda gateway: gateway.unload("tiny"),
    lambda gateway: gateway.embed("tiny", ["1"]),
    lambda gateway: gateway.embed("tiny", ["1"] * (MAX_BATCH_SIZE + 1)),
], ids=["ready_versions", "holds", "placement_digest", "load", "unload", "embed", "embed in chunks"])
def test_nothing_that_listens_is_unavailable_without_waiting_for_the_deadline(deaf_address, call):
    # Whoever waited for the deadline would get the error of a timeout.
    gateway = TritonGateway(deaf_address, SECRET, inference_timeout_s=600, load_timeout_s=600)
    with pytest.raises(TritonUnavailableError, match=f"Triton at {deaf_address} is not available"):
        call(gateway)


def test_making_a_gateway_opens_no_connection():
    # gunicorn forks after this; a channel that is open by then would hang in the worker.
    assert TritonGateway("host.invalid:1", SECRET, 10, 10)._client is None
