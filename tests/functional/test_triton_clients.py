"""Plain KServe v2 clients get the embeddings that sentence-transformers computes."""

import threading
import time
import urllib.request

import numpy as np
import pytest
import tritonclient.http as triton_http
from sentence_transformers import SentenceTransformer
from tritonclient.utils import InferenceServerException

from export.contract import EMBEDDING_OUTPUT, TOKEN_COUNT_OUTPUT
from tests.functional.platform import text_tensor

TEXTS = ["", "a", "你好，世界", "Привет, мир", "🙂🚀", "Where is my order?", "long " * 600]
MIN_COSINE = 0.9999


@pytest.fixture(scope="module")
def expected(checkpoint) -> np.ndarray:
    """What sentence-transformers gives in float32, [texts, dimension]."""
    return SentenceTransformer(str(checkpoint), device="cpu").encode(TEXTS, batch_size=1)


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.sum(first * second, axis=1) / (np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1))


def grpc_embed(platform, texts, **parameters) -> np.ndarray:
    result = platform.grpc().infer("fast", [text_tensor(texts)], parameters=parameters or None)
    return result.as_numpy(EMBEDDING_OUTPUT)


def test_grpc_gives_the_embeddings_of_sentence_transformers(platform, expected):
    assert cosines(grpc_embed(platform, TEXTS), expected).min() >= MIN_COSINE


def test_each_text_alone_gives_the_same_embedding_as_in_a_batch(platform, expected):
    alone = np.concatenate([grpc_embed(platform, [text]) for text in TEXTS])
    assert cosines(alone, expected).min() >= MIN_COSINE


@pytest.mark.parametrize("binary", [True, False])
def test_http_gives_the_embeddings_of_sentence_transformers(platform, expected, binary):
    tensor = text_tensor(TEXTS, triton_http) if binary else json_tensor(TEXTS)
    outputs = [triton_http.InferRequestedOutput(EMBEDDING_OUTPUT, binary_data=binary)]
    with triton_http.InferenceServerClient(f"127.0.0.1:{platform.triton_http_port}") as client:
        result = client.infer("fast", [tensor], outputs=outputs)
    assert cosines(result.as_numpy(EMBEDDING_OUTPUT), expected).min() >= MIN_COSINE


def json_tensor(texts: list[str]):
    tensor = triton_http.InferInput("text", [len(texts), 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[text] for text in texts], dtype=object), binary_data=False)
    return tensor


def test_curl_like_json_gives_embedding_and_token_count(platform, expected):
    answer = platform.triton_http("POST", "/v2/models/fast/infer", {
        "inputs": [{"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": ["你好，世界"]}]})
    outputs = {item["name"]: item for item in answer.body["outputs"]}
    assert answer.status == 200
    assert cosines(np.array([outputs["embedding"]["data"]]), expected[2:3]).min() >= MIN_COSINE
    assert outputs["token_count"]["data"][0] == 7  # [CLS] 你 好 ， 世 界 [SEP]


def test_token_count_is_cut_at_the_maximum(platform):
    result = platform.grpc().infer("fast", [text_tensor(TEXTS)])
    counts = result.as_numpy(TOKEN_COUNT_OUTPUT)[:, 0]
    assert counts[0] == 2
    assert counts[-1] == 256


def test_model_metadata_is_plain_kserve(platform):
    metadata = platform.grpc().get_model_metadata("fast", as_json=True)
    assert metadata["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": ["-1", "1"]}]
    assert {item["name"]: item["datatype"] for item in metadata["outputs"]} == {
        "embedding": "FP32", "token_count": "INT32"}


def test_normalize_false_gives_the_direction_with_its_own_length(platform, expected):
    raw = grpc_embed(platform, TEXTS, normalize=False)
    assert cosines(raw, expected).min() >= MIN_COSINE
    assert np.abs(np.linalg.norm(raw, axis=1) - 1).max() > 0.5


@pytest.mark.parametrize(("texts", "parameters", "message"), [
    ([b"\xff\xfe"], {}, "text 0 is not UTF-8"),
    (["a", "b"], {"prompt_name": "nothing"}, "unknown prompt 'nothing'"),
    (["fine", "word " * 300], {"truncate": False}, "text 1: text has more than 256 tokens"),
    (["a"], {"truncate": 3}, "parameter 'truncate' must be a bool"),
])
def test_bad_request_says_what_is_wrong(platform, texts, parameters, message):
    with pytest.raises(InferenceServerException, match=message):
        platform.grpc().infer("fast", [text_tensor(texts)], parameters=parameters or None)


def test_bad_requests_do_not_disturb_good_ones_of_the_same_batch(platform, expected):
    """Requests with different options are sent at once, so that Triton batches them together."""
    client = platform.grpc()
    before = batch_counters(platform)
    kinds = [("good", {}), ("good", {"normalize": True}), ("bad text", {}), ("good", {"prompt_name": "nothing"}),
             ("long", {"truncate": False})] * 12
    outcomes: list = [None] * len(kinds)
    done = threading.Semaphore(0)
    for index, (kind, parameters) in enumerate(kinds):
        text = {"good": TEXTS[5], "bad text": b"\xc3\x28", "long": TEXTS[6]}[kind]

        def keep(result, error, index=index):
            outcomes[index] = error or result
            done.release()

        client.async_infer("fast", [text_tensor([text])], callback=keep, parameters=parameters or None)
    for _ in kinds:
        assert done.acquire(timeout=30)
    for (kind, parameters), outcome in zip(kinds, outcomes, strict=True):
        if kind == "good" and "prompt_name" not in parameters:
            assert cosines(outcome.as_numpy(EMBEDDING_OUTPUT), expected[5:6]).min() >= MIN_COSINE
        else:
            assert isinstance(outcome, InferenceServerException)
    after = batch_counters(platform)
    assert after["conch_encoder_texts_total"] - before["conch_encoder_texts_total"] > (
        after["conch_encoder_batches_total"] - before["conch_encoder_batches_total"]), "nothing shared a batch"


def batch_counters(platform) -> dict[str, float]:
    """Return the backend's own metrics of `fast` once they stand still; it tells them a little later."""
    seen = [read_counters(platform)]
    while seen[-3:] != [seen[-1]] * 3:
        time.sleep(0.3)
        seen.append(read_counters(platform))
    return seen[-1]


def read_counters(platform) -> dict[str, float]:
    """Return the backend's own metrics of `fast`, as Triton's /metrics shows them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{platform.triton_metrics_port}/metrics") as response:
        lines = response.read().decode().splitlines()
    return {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in lines
            if line.startswith("conch_encoder") and 'model="fast"' in line}


def test_backend_metrics_count_texts_tokens_and_padding(platform):
    for _ in range(5):  # The platform asks for a golden answer now and then, which may fall between.
        before = batch_counters(platform)
        grpc_embed(platform, ["", "", "a b c d"])  # 2 + 2 + 6 tokens
        after = batch_counters(platform)
        grown = {name.removeprefix("conch_encoder_"): after[name] - before[name] for name in after}
        if grown["batches_total"] == 1:
            break
    assert grown.pop("padded_tokens_total") in (16, 32)  # rows are multiples of 16, one for each core
    assert grown == {"texts_total": 3, "tokens_total": 10, "batches_total": 1}


def test_cancelled_requests_are_skipped(platform):
    """A queue of requests is cancelled by its client: the backend answers the others and embeds fewer texts."""
    client = platform.grpc()
    slow = text_tensor(["slow " * 250] * 64)
    before = batch_counters(platform)["conch_encoder_texts_total"]
    finished = threading.Semaphore(0)
    calls = [client.async_infer("fast", [slow], callback=lambda result, error: finished.release()) for _ in range(8)]
    for call in calls[1:]:
        call.cancel()
    for _ in calls:
        assert finished.acquire(timeout=60)
    assert grpc_embed(platform, ["still there"]).shape == (1, 384)
    embedded = batch_counters(platform)["conch_encoder_texts_total"] - before
    assert embedded < 8 * 64, "cancelled texts were embedded all the same"


def test_unknown_version_is_refused(platform):
    with pytest.raises(InferenceServerException, match=r"unknown model|is not found|not at ready"):
        platform.grpc().infer("fast", [text_tensor(["a"])], model_version="99")


def test_more_rows_than_the_batch_limit_are_refused_by_triton(platform):
    with pytest.raises(InferenceServerException, match="batch-size must be <= 128"):
        grpc_embed(platform, ["a"] * 129)


