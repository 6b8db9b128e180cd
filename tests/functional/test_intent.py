"""A trained intent checkpoint, from the command line into the real Triton, and a second version with a label more."""

import threading

import numpy as np
import pytest
from click.testing import CliRunner
from tritonclient.utils import InferenceServerException

from conch.cli import group
from control_plane.triton_gateway import TritonGateway
from export.contract import LABELS_OUTPUT, SCORES_OUTPUT, TOKEN_COUNT_OUTPUT
from export.intent_checkpoint import load_intent_checkpoint
from export.intent_export import export_intent
from tests.export.checkpoints import INTENTS, build_intent_checkpoint
from tests.functional.platform import ServedPlatform, text_tensor
from tests.tolerances import FP32_RELATIVE_ERROR

TEXTS = ["我今年财运怎么样？", "", "a question about the model", "🙂"]
GROWN = (*INTENTS, "健康")
PROMPTS = {"query": "query: ", "other": "other: "}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Two trained checkpoints; the second one has a label more."""
    folder = tmp_path_factory.mktemp("trained")
    return [build_intent_checkpoint(folder / str(len(labels)), labels, "query", prompts=PROMPTS)
            for labels in (INTENTS, GROWN)]


@pytest.fixture(scope="module")
def served(checkpoints, tmp_path_factory):
    """A platform that `conch export` gave version 1 of `intent`; it was preloaded, unloaded, and loaded over REST."""
    home = tmp_path_factory.mktemp("intent")
    platform = ServedPlatform(home, home / "model_repository", CONCH_PRELOAD_MODELS="intent")
    # The command in this process, which has torch; as one of its own it gives the other tests `fast`.
    run = CliRunner().invoke(group, ["export", str(checkpoints[0]), "--name", "intent", "--precision", "fp32"],
                             env=platform.environment)
    assert run.exit_code == 0, run.output
    assert "from the float32 original over" in run.output
    platform.start()
    try:
        assert platform.rest("POST", "/api/v1/models/unload", {"model_type": "intent"}).body["loaded_versions"] == []
        loaded = platform.rest("POST", "/api/v1/models/load", {"model_type": "intent"})
        assert (loaded.status, loaded.body["state"], loaded.body["task"]) == (200, "loaded", "intent"), loaded.body
        yield platform
    finally:
        platform.stop()


@pytest.fixture(scope="module")
def expected(checkpoints):
    """What sentence-transformers and the head give in float32, [texts, labels], for each checkpoint."""
    return [load_intent_checkpoint(checkpoint).scores(TEXTS) for checkpoint in checkpoints]


@pytest.fixture
def client(served):
    with served.grpc() as client:
        yield client


def test_grpc_gives_the_scores_of_the_original_with_the_names_of_their_labels(client, expected):
    result = client.infer("intent", [text_tensor(TEXTS)], model_version="1")
    np.testing.assert_allclose(result.as_numpy(SCORES_OUTPUT), expected[0], atol=FP32_RELATIVE_ERROR)
    labels = [[name.decode() for name in row] for row in result.as_numpy(LABELS_OUTPUT)]
    assert labels == [list(INTENTS)] * len(TEXTS)
    assert result.as_numpy(TOKEN_COUNT_OUTPUT).shape == (len(TEXTS), 1)


def test_plain_json_gives_scores_and_labels_as_text(served, expected):
    answer = served.triton_http("POST", "/v2/models/intent/versions/1/infer", {
        "inputs": [{"name": "text", "shape": [2, 1], "datatype": "BYTES", "data": TEXTS[:2]}]})
    assert answer.status == 200, answer.body
    outputs = {item["name"]: item for item in answer.body["outputs"]}
    assert (outputs["labels"]["shape"], outputs["labels"]["data"]) == ([2, 3], [*INTENTS, *INTENTS])
    np.testing.assert_allclose(outputs["scores"]["data"], expected[0][:2].ravel(), atol=FP32_RELATIVE_ERROR)


@pytest.mark.parametrize(("parameters", "says"), [
    ({"normalize": True}, "text 0: parameter 'normalize' means nothing to an intent model"),
    ({"prompt_name": "nothing"}, "unknown prompt 'nothing'; this model has: document, other, query"),
    ({"truncate": False}, "text 1: text has more than 40 tokens"),
])
def test_a_bad_request_says_what_is_wrong(client, parameters, says):
    with pytest.raises(InferenceServerException, match=says):
        client.infer("intent", [text_tensor(["好", "好" * 60])], parameters=parameters)


def test_requests_of_one_batch_get_their_own_rows_whatever_the_others_ask_for(client, expected):
    kinds = [({}, 0), ({"normalize": False}, 1), ({"prompt_name": "query"}, 2), ({"prompt_name": "no"}, 3)] * 8
    outcomes: list = [None] * len(kinds)
    done = threading.Semaphore(0)
    for place, (parameters, text) in enumerate(kinds):
        def keep(result, error, place=place):
            outcomes[place] = error or result
            done.release()

        client.async_infer("intent", [text_tensor([TEXTS[text]])], keep, model_version="1",
                           parameters=parameters or None)
    for _ in kinds:
        assert done.acquire(timeout=60)
    for (_, text), outcome in zip(kinds, outcomes, strict=True):
        if text in (1, 3):
            assert isinstance(outcome, InferenceServerException)
        else:
            np.testing.assert_allclose(outcome.as_numpy(SCORES_OUTPUT), expected[0][[text]], atol=FP32_RELATIVE_ERROR)


def test_metadata_tells_that_the_number_of_labels_is_open(client):
    metadata = client.get_model_metadata("intent", as_json=True)
    assert {item["name"]: (item["datatype"], item["shape"]) for item in metadata["outputs"]} == {
        "scores": ("FP32", ["-1", "-1"]), "labels": ("BYTES", ["-1", "-1"]), "token_count": ("INT32", ["-1", "1"])}


def test_rest_shows_task_labels_and_thresholds_and_refuses_to_embed(served):
    described = served.rest("GET", "/api/v1/models/info?type=intent").body
    assert (described["task"], described["newest_version"]["labels"]) == ("intent", list(INTENTS))
    assert described["newest_version"]["thresholds"] == [0.5, 0.4, 0.3]
    refused = served.rest("POST", "/api/v1/models/embedding", {"text": "好", "model_type": "intent"})
    assert (refused.status, refused.body["type"]) == (409, "urn:conch:problem:model-not-servable")
    assert "its task is intent, not embedding" in refused.body["detail"]
    assert served.rest("GET", "/ready").status == 200


def test_a_version_with_a_label_more_is_proven_and_activated(served, checkpoints, expected):
    version = export_intent(checkpoints[1], "intent", served.repository, "onnxruntime", "fp32")
    switched = served.rest_patiently("POST", "/api/v1/models/intent/versions/2/activate", {"reason": "one more"})
    assert (version.name, switched.status, switched.body["active_version"]) == ("2", 200, 2), switched.body
    gateway = TritonGateway(f"127.0.0.1:{served.triton_grpc_port}", served.secret, 10, 10)
    answer = gateway.classify("intent", TEXTS, version=2)
    assert (answer.labels, answer.model_version) == (GROWN, "2")
    np.testing.assert_allclose(answer.scores, expected[1], atol=FP32_RELATIVE_ERROR)
    assert served.rest("GET", "/ready").status == 200
