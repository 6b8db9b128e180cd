"""REST and the OpenAI API against the real Triton."""

import base64
import subprocess
import sys
import time

import numpy as np
import pytest
from openai import NotFoundError, OpenAI
from sentence_transformers import SentenceTransformer

from tests.functional.platform import ServedPlatform

TEXTS = ["你好，世界", "Where is my order?", ""]
MIN_COSINE = 0.9999


@pytest.fixture(scope="module")
def expected(checkpoint) -> np.ndarray:
    """What sentence-transformers gives in float32, [texts, dimension]."""
    return SentenceTransformer(str(checkpoint), device="cpu").encode(TEXTS, batch_size=1)


@pytest.fixture
def client(platform) -> OpenAI:
    """The official client, unchanged."""
    with OpenAI(base_url=f"http://127.0.0.1:{platform.http_port}/v1", api_key=platform.key, max_retries=0) as opened:
        yield opened


def test_rest_gives_the_embeddings_of_sentence_transformers(platform, expected):
    answer = platform.rest("POST", "/api/v1/models/embedding", {"texts": TEXTS, "model_type": "fast"})
    assert answer.status == 200
    assert (np.sum(np.array(answer.body["embeddings"]) * expected, axis=1) >= MIN_COSINE).all()


@pytest.mark.parametrize("encoding_format", ["float", "base64"])
def test_openai_client_gets_the_embeddings_of_sentence_transformers(client, expected, encoding_format):
    answer = client.embeddings.create(model="fast", input=TEXTS, encoding_format=encoding_format)
    rows = [np.frombuffer(base64.b64decode(item.embedding), "<f4")
            if isinstance(item.embedding, str) else np.array(item.embedding) for item in answer.data]
    assert (np.sum(np.array(rows) * expected, axis=1) >= MIN_COSINE).all()
    assert answer.usage.prompt_tokens == 7 + 7 + 2


def test_openai_client_embeds_more_texts_than_one_triton_batch(client):
    answer = client.embeddings.create(model="fast", input=[f"text {number}" for number in range(300)])
    assert [item.index for item in answer.data] == list(range(300))
    first, last = np.array(answer.data[0].embedding), np.array(answer.data[299].embedding)
    alone = client.embeddings.create(model="fast", input="text 299").data[0].embedding
    assert last @ np.array(alone) >= MIN_COSINE
    assert first @ last < 0.99


def test_openai_client_sees_the_loaded_models(client):
    assert [model.id for model in client.models.list()] == ["fast"]


def test_openai_client_gets_a_clear_error_for_an_unknown_model(client):
    with pytest.raises(NotFoundError, match="no model is called 'nope'; known models: fast, balanced"):
        client.embeddings.create(model="nope", input="a")


def test_unknown_prompt_and_over_long_text_are_refused_with_triton_s_reason(platform):
    url = "/api/v1/models/embedding"
    unknown = platform.rest("POST", url, {"text": "a", "prompt_name": "nothing"})
    too_long = platform.rest("POST", url, {"text": "word " * 300, "truncate": False})
    assert (unknown.status, too_long.status) == (422, 422)
    assert "unknown prompt 'nothing'" in unknown.body["detail"]
    assert "more than 256 tokens" in too_long.body["detail"]


def test_model_can_be_unloaded_and_loaded_again(platform):
    body = {"model_type": "fast"}
    try:
        assert platform.rest("POST", "/api/v1/models/unload", body).body["state"] == "exported"
        refused = platform.rest("POST", "/api/v1/models/embedding", {"text": "a"})
        assert refused.status == 409
        assert "POST /api/v1/models/load" in refused.body["detail"]
        assert platform.rest("GET", "/ready").body == {"ready": True, "models": {}}  # nobody wants it
    finally:
        loaded = platform.rest("POST", "/api/v1/models/load", body)
    assert (loaded.status, loaded.body["state"]) == (200, "loaded")
    assert platform.rest("POST", "/api/v1/models/embedding", {"text": "a"}).status == 200
    assert platform.rest("GET", "/ready").status == 200


def test_triton_gone_is_503_with_retry_after_and_health_stays_up(exported, tmp_path):
    """The control plane alone, its Triton address pointing to a port where nothing listens."""
    served = ServedPlatform(tmp_path, exported)
    served.environment |= {"CONCH_TRITON_URLS": "127.0.0.1:9"}
    process = subprocess.Popen([sys.executable, "-m", "gunicorn", "conch.wsgi:create()", "--bind",
                                f"127.0.0.1:{served.http_port}", "--worker-class", "gthread", "--no-control-socket"],
                               env=served.environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if served.rest("GET", "/health").status == 200:
                    break
            except OSError:
                time.sleep(0.1)
        for method, path, body in (("POST", "/api/v1/models/embedding", {"text": "a"}), ("GET", "/ready", None),
                                   ("POST", "/v1/embeddings", {"input": "a", "model": "fast"})):
            answer = served.rest(method, path, body)
            assert (answer.status, answer.headers.get("Retry-After")) == (503, "5"), path
        assert served.rest("GET", "/health").body["loaded_models_count"] is None
    finally:
        process.terminate()
        process.wait(20)
