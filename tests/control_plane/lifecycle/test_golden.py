"""The golden request: a version that does not compute what its export computed is told apart."""

from dataclasses import replace

import numpy as np
import pytest

from control_plane.errors import InferenceTimeoutError, WrongAnswerError
from control_plane.generation.request import GenerationEvent
from control_plane.lifecycle.golden import prove
from control_plane.triton_gateway import Classification, Embeddings
from export.manifest import GeneratorManifest, IntentManifest
from tests.control_plane.fakes import DIMENSION, GOLDEN_TEXT, MANIFEST, vector_of

GOLDEN = vector_of(GOLDEN_TEXT)
VERSION = replace(MANIFEST, version=3, golden_embedding=tuple(float(number) for number in GOLDEN))
INTENT = IntentManifest(**{
    **vars(MANIFEST), "task": "intent", "version": 3, "labels": ("wealth", "爱情"), "thresholds": (0.5, 0.5),
    "temperature": 1.0, "golden_scores": (0.9, 0.2), "parity": {"allowed_score_difference": 0.03}})


class Answering:
    """A Triton that answers every request with one vector, and remembers what it was asked."""

    def __init__(self, vector: np.ndarray) -> None:
        self.vector, self.asked = vector, []

    def embed(self, name, texts, version):
        self.asked.append((name, texts, version))
        return Embeddings(self.vector[None], np.ones(1, np.int32), str(version))


def test_the_right_answer_is_proof_and_the_version_itself_is_asked():
    gateway = Answering(GOLDEN)
    prove(gateway, VERSION)
    assert gateway.asked == [("tiny", [GOLDEN_TEXT], 3)]


def test_rounding_and_length_make_no_difference():
    prove(Answering(np.round(GOLDEN, 5)), VERSION)
    prove(Answering(GOLDEN * 7), VERSION)


def _at_cosine(cosine: float) -> np.ndarray:
    """A vector at a cosine to the golden one."""
    other = np.eye(DIMENSION, dtype=np.float32)[0]
    across = other - (other @ GOLDEN) * GOLDEN
    return cosine * GOLDEN + np.sqrt(1 - cosine ** 2) * across / np.linalg.norm(across)


@pytest.mark.parametrize("cosine", [0.9, 0.0, -1.0])
def test_a_wrong_answer_is_refused_with_both_figures(cosine):
    with pytest.raises(WrongAnswerError, match=rf"version 3 does not .*cosine {cosine:.6f} .*, 0\.999800 needed"):
        prove(Answering(_at_cosine(cosine).astype(np.float32)), VERSION)


def test_what_the_export_had_to_reach_is_what_is_needed():
    lenient = replace(VERSION, parity={"required_cosine": 0.8})
    prove(Answering(_at_cosine(0.85)), lenient)
    with pytest.raises(WrongAnswerError):
        prove(Answering(_at_cosine(0.75)), lenient)


@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_an_answer_of_zeros_is_refused():
    with pytest.raises(WrongAnswerError, match="cosine nan"):
        prove(Answering(np.zeros(DIMENSION, np.float32)), VERSION)


@pytest.mark.parametrize("vector", [
    GOLDEN[:3], np.append(GOLDEN, 0), np.full(DIMENSION, np.nan), np.full(DIMENSION, np.inf), GOLDEN[:0]],
    ids=["short", "long", "nan", "inf", "nothing"])
def test_an_answer_that_is_no_embedding_of_the_model_is_refused(vector):
    with pytest.raises(WrongAnswerError, match=f"{vector.size} numbers came back and not {DIMENSION} finite ones"):
        prove(Answering(vector.astype(np.float32)), VERSION)


def test_a_version_without_a_golden_text_must_still_answer_with_an_embedding():
    """Versions that an older export wrote have none."""
    older = replace(VERSION, golden_text="", golden_embedding=())
    gateway = Answering(GOLDEN)
    prove(gateway, older)
    assert gateway.asked[0][1][0]
    with pytest.raises(WrongAnswerError):
        prove(Answering(GOLDEN[:3]), older)


def test_the_errors_of_an_inference_pass_through():
    class Silent:
        def embed(self, *_, **__):
            raise InferenceTimeoutError("slow")

    with pytest.raises(InferenceTimeoutError, match="slow"):
        prove(Silent(), VERSION)


class Classifying:
    """A Triton that answers every request with the same scores, and remembers what it was asked."""

    def __init__(self, *scores: float, labels: tuple[str, ...] = INTENT.labels) -> None:
        self.scores, self.labels, self.asked = np.array([scores], dtype=np.float32), labels, []

    def classify(self, name, texts, version):
        self.asked.append((name, texts, version))
        return Classification(self.scores, self.labels, np.ones(1, np.int32), str(version))


@pytest.mark.parametrize("scores", [(0.9, 0.2), (0.88, 0.22), (0.93, 0.17)])
def test_scores_within_the_bound_of_the_export_are_proof(scores):
    gateway = Classifying(*scores)
    prove(gateway, INTENT)
    assert gateway.asked == [("tiny", [GOLDEN_TEXT], 3)]


@pytest.mark.parametrize(("scores", "says"), [
    ((0.9, 0.25), r"version 3 does not .*differs by 0\.0500 .*0\.0301 is allowed"),
    ((0.1, 0.2), r"differs by 0\.8"), ((0.9, np.nan), "differs by nan"), ((0.9,), "1 scores came back"),
    ((0.9, 0.2, 0.1), "3 scores came back"),
])
def test_other_scores_are_refused(scores, says):
    with pytest.raises(WrongAnswerError, match=says):
        prove(Classifying(*scores), INTENT)


@pytest.mark.parametrize("labels", [("爱情", "wealth"), ("wealth", "health"), ("wealth",)])
def test_scores_of_other_labels_are_refused(labels):
    with pytest.raises(WrongAnswerError, match=f"labels {', '.join(labels)} and not one for each of wealth, 爱情"):
        prove(Classifying(0.9, 0.2, labels=labels), INTENT)


WRITER = GeneratorManifest(
    model="writer", version=3, task="text-generation", source="x", revision=None, engine="onnxruntime",
    precision="int8", max_tokens=64, golden_text=GOLDEN_TEXT, layers=1, kv_heads=1, head_dim=4, vocab_size=256,
    kv_type="float32", stop_token_ids=(0,), golden_token_ids=(5, 6, 7, 8))


class Writing:
    """A Triton that continues every text with the same tokens, one an event, and remembers what it was asked."""

    def __init__(self, *tokens: int) -> None:
        self.tokens, self.asked = tokens, []

    def generate(self, name, request, version, request_id, timeout_s):
        self.asked.append((name, request.prompt, version, request.sampling["max_tokens"]))
        return (GenerationEvent(token_ids=(token,)) for token in self.tokens)


@pytest.mark.parametrize("tokens", [(5, 6, 7, 8), (5, 6, 9, 9)], ids=["all", "half of them, as on another processor"])
def test_a_generator_that_goes_on_as_its_export_did_is_proven(tokens):
    gateway = Writing(*tokens)
    prove(gateway, WRITER)
    assert gateway.asked == [("writer", GOLDEN_TEXT, 3, 4)]


def test_a_generator_without_a_golden_answer_is_asked_for_a_token_of_any():
    gateway = Writing(9)
    prove(gateway, replace(WRITER, golden_text="", golden_token_ids=()))
    assert gateway.asked == [("writer", "ready?", 3, 1)]


@pytest.mark.parametrize("tokens", [(), (5,), (5, 9, 7, 8), (9, 6, 7, 8)])
def test_a_generator_that_goes_on_otherwise_is_refused_with_both(tokens):
    with pytest.raises(WrongAnswerError, match=r"\[5, 6, 7, 8\]"):
        prove(Writing(*tokens), WRITER)
