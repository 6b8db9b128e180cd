"""The golden request: a version that does not compute what its export computed is told apart."""

from dataclasses import replace

import numpy as np
import pytest

from control_plane.errors import InferenceTimeoutError, WrongAnswerError
from control_plane.lifecycle.golden import prove
from control_plane.triton_gateway import Embeddings
from tests.control_plane.fakes import DIMENSION, GOLDEN_TEXT, MANIFEST, vector_of

GOLDEN = vector_of(GOLDEN_TEXT)
VERSION = replace(MANIFEST, version=3, golden_embedding=tuple(float(number) for number in GOLDEN))


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
