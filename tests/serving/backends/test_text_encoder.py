"""The parts of the text_encoder backend that need no Triton: requests, threads, counters."""

import json

import numpy as np
import pytest

from export.contract import EMBEDDING_OUTPUT, LABELS_OUTPUT, SCORES_OUTPUT, TEXT_INPUT, TOKEN_COUNT_OUTPUT
from export.manifest import EncoderManifest, IntentManifest
from serving.backends.text_encoder.answers import AnswerShaper
from serving.backends.text_encoder.batch_metrics import BatchMetrics
from serving.backends.text_encoder.request_rows import RequestRows, read_batch
from serving.backends.text_encoder.threads import threads_per_instance
from serving.encoder.encoder import EncodedTexts
from serving.encoder.options import DEFAULT_OPTIONS, EncodeOptions
from serving.errors import InvalidOptionError, InvalidTextError, VersionLoadError


class FakeTriton:
    """Stands in for triton_python_backend_utils, of which these parts use two things."""

    class MetricFamily:
        COUNTER = "counter"

        def __init__(self, name: str, description: str, kind: str) -> None:
            self.name, self.kind, self.value, self.labels = name, kind, 0, None
            FakeTriton.families.append(self)

        def Metric(self, labels: dict[str, str]):
            self.labels = labels
            return self

        def increment(self, amount: float) -> None:
            self.value += amount

    families: list[MetricFamily]

    @staticmethod
    def get_input_tensor_by_name(request, name: str):
        assert name == TEXT_INPUT
        return request


class FakeRequest:
    """A request and its one tensor."""

    def __init__(self, texts: list[bytes], parameters: dict | str = "", is_cancelled: bool = False) -> None:
        self._texts = np.array(texts, dtype=object).reshape(-1, 1)
        self._parameters = json.dumps(parameters) if isinstance(parameters, dict) else parameters
        self._is_cancelled = is_cancelled

    def as_numpy(self) -> np.ndarray:
        return self._texts

    def parameters(self) -> str:
        return self._parameters

    def is_cancelled(self) -> bool:
        return self._is_cancelled


@pytest.mark.parametrize(("instance_group", "cores", "expected"), [
    ([{"count": 1}], 2, 2),
    ([{"count": 2}], 2, 1),
    ([{}], 8, 8),
    ([{"count": 3}], 8, 2),
    ([{"count": 1}, {"count": 3}], 8, 2),
    ([{"count": "2"}], 4, 2),
    ([{"count": 64}], 64, 1),
])
def test_instances_share_the_cores_and_never_take_more(instance_group, cores, expected):
    assert threads_per_instance({"instance_group": instance_group}, cores) == expected


@pytest.mark.parametrize(("stated", "expected"), [("2", 2), ("64", 4)])
def test_a_model_uses_no_more_cores_than_its_configuration_permits(stated, expected):
    config = {"instance_group": [{"count": 1}], "parameters": {"cpu_threads": {"string_value": stated}}}
    assert threads_per_instance(config, 4) == expected


@pytest.mark.parametrize("stated", ["", "0", "-1", "all", "1.5"])
def test_a_number_of_cores_that_is_none_is_refused(stated):
    config = {"instance_group": [{"count": 1}], "parameters": {"cpu_threads": {"string_value": stated}}}
    with pytest.raises(VersionLoadError, match=r"cpu_threads.*whole number above 0"):
        threads_per_instance(config, 4)


@pytest.mark.parametrize("instance_group", [[{"count": 3}], [{"count": 2}, {"count": 1}]])
def test_more_instances_than_cores_are_refused_with_the_number_that_fits(instance_group):
    with pytest.raises(VersionLoadError, match=r"3 instances but only 2 cores.*at most 2"):
        threads_per_instance({"instance_group": instance_group}, 2)


@pytest.mark.parametrize(("parameters", "options"), [
    ("", DEFAULT_OPTIONS), ({}, DEFAULT_OPTIONS), ({"prompt_name": "query"}, EncodeOptions("query")),
    ({"truncate": False, "normalize": False, "other": 1}, EncodeOptions(None, False, False)),
])
def test_a_request_becomes_its_texts_and_their_options(parameters, options):
    texts = ["", "好", "🙂 text"]
    rows = read_batch([FakeRequest([text.encode() for text in texts], parameters)], FakeTriton)
    assert rows == [RequestRows(texts, options)]


def test_bytes_that_are_not_utf8_are_the_requests_own_error_and_say_which_text_and_where():
    [error] = read_batch([FakeRequest([b"good", b"ab\xff"])], FakeTriton)
    assert isinstance(error, InvalidTextError)
    assert "text 1 is not UTF-8" in str(error)
    assert "byte 2" in str(error)


def test_half_of_a_surrogate_pair_is_not_utf8():
    [error] = read_batch([FakeRequest([b"\xed\xa0\x80"])], FakeTriton)
    assert isinstance(error, InvalidTextError)


def test_a_wrong_parameter_is_the_requests_own_error():
    [error] = read_batch([FakeRequest([b"a"], {"truncate": 5})], FakeTriton)
    assert isinstance(error, InvalidOptionError)
    assert "'truncate'" in str(error)


def test_a_request_whose_client_has_gone_is_not_read():
    assert read_batch([FakeRequest([b"\xff"], is_cancelled=True)], FakeTriton) == [None]


@pytest.mark.parametrize(("oldest", "text", "is_skipped"), [
    (False, b"short", False), (False, b"long " * 200, True), (True, b"short", True), (True, b"long " * 200, True)])
def test_whether_a_client_has_gone_is_asked_of_large_requests_and_of_all_when_the_oldest_was_given_up(
        oldest, text, is_skipped):
    rows = read_batch([FakeRequest([b"a"], is_cancelled=oldest), FakeRequest([text], is_cancelled=True),
                       FakeRequest([b"b"])], FakeTriton)
    assert [row is None for row in rows] == [oldest, is_skipped, False]


def test_no_request_is_no_batch():
    assert read_batch([], FakeTriton) == []


FACTS = {"model": "m", "version": 1, "task": "", "source": "", "revision": None, "engine": "", "precision": "",
         "max_tokens": 8, "dimension": 2, "pad_token_id": 0, "pooling": (), "pools_prompt": True, "normalized": True}
ENCODED = EncodedTexts(np.arange(6, dtype=np.float32).reshape(3, 2), np.array([4, 5, 6], np.int32), 16)


def test_the_rows_of_a_request_become_embeddings():
    answer = AnswerShaper(EncoderManifest(**FACTS)).shape(ENCODED, 1, 3)
    assert set(answer) == {EMBEDDING_OUTPUT, TOKEN_COUNT_OUTPUT}
    assert answer[EMBEDDING_OUTPUT].tolist() == [[2, 3], [4, 5]]
    assert answer[TOKEN_COUNT_OUTPUT].tolist() == [[5], [6]]


def test_the_rows_of_a_request_become_scores_each_with_the_names_of_its_labels():
    manifest = IntentManifest(**FACTS, labels=("wealth", "爱情"), thresholds=(0.5, 0.5), temperature=1.0)
    answer = AnswerShaper(manifest).shape(ENCODED, 0, 2)
    assert set(answer) == {SCORES_OUTPUT, LABELS_OUTPUT, TOKEN_COUNT_OUTPUT}
    assert answer[SCORES_OUTPUT].tolist() == [[0, 1], [2, 3]]
    assert answer[LABELS_OUTPUT].tolist() == [[b"wealth", "爱情".encode()]] * 2
    assert answer[TOKEN_COUNT_OUTPUT].tolist() == [[4], [5]]


def test_counters_add_up_batches_texts_and_tokens_under_the_models_name_and_version():
    FakeTriton.families = []
    metrics = BatchMetrics(FakeTriton, "fast", "3")
    metrics.observe(texts=4, tokens=30, padded_tokens=40)
    metrics.observe(texts=1, tokens=5, padded_tokens=5)
    metrics.close()
    assert {family.name: family.value for family in FakeTriton.families} == {
        "conch_encoder_texts_total": 5, "conch_encoder_tokens_total": 35, "conch_encoder_padded_tokens_total": 45,
        "conch_encoder_batches_total": 2}
    assert all(family.labels == {"model": "fast", "version": "3"} for family in FakeTriton.families)
    assert {family.kind for family in FakeTriton.families} == {"counter"}
