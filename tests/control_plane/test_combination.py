"""The cosine of combined vectors is the weighted mean of the models' cosines, whatever the models and weights."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.combination import Combination
from control_plane.errors import InvalidRequestError
from control_plane.triton_gateway import Embeddings

NAMES = ("a", "b", "c")
TEXTS = ["one", "two", "三", "четыре"]
FLOAT32_ERROR = 1e-5
weights = st.dictionaries(st.sampled_from(NAMES), st.floats(0.01, 100), min_size=1)


class Models:
    """Embeds with vectors of length 1 that differ from model to model, in number and in length; "alias" is "a"."""

    def embed(self, name, texts, parameters):
        assert parameters["normalize"] is True
        name = "a" if name == "alias" else name
        vectors = np.stack([self._vector(name, text) for text in texts])
        return name, Embeddings(vectors, np.ones(len(texts), dtype=np.int32), "7")

    def _vector(self, name: str, text: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(f"{name} {text}".encode()).digest()[:4], "big")
        vector = np.random.default_rng(seed).standard_normal(4 + NAMES.index(name)).astype(np.float32)
        return vector / np.linalg.norm(vector)


def mean_of_cosines(weights, first: str, second: str) -> float:
    total = sum(weights.values())
    vectors = {name: Models().embed(name, [first, second], {"normalize": True})[1].vectors for name in weights}
    return sum(weight / total * float(vectors[name][0] @ vectors[name][1]) for name, weight in weights.items())


@given(weights)
def test_cosine_is_the_weighted_mean_and_length_is_one(weights):
    answer = Combination(Models(), weights).embed(TEXTS)
    assert np.linalg.norm(answer.vectors, axis=1) == pytest.approx(1, abs=FLOAT32_ERROR)
    assert answer.vectors.shape[1] == sum(4 + NAMES.index(name) for name in weights)
    assert answer.versions == dict.fromkeys(weights, "7")
    expected = mean_of_cosines(weights, TEXTS[0], TEXTS[1])
    assert float(answer.vectors[0] @ answer.vectors[1]) == pytest.approx(expected, abs=FLOAT32_ERROR)


@given(weights)
def test_pairs_and_matrix_agree(weights):
    combination = Combination(Models(), weights)
    similarities, _ = combination.pair_similarities([(row, column) for row in TEXTS for column in TEXTS])
    matrix, _ = combination.similarity_matrix(TEXTS, TEXTS)
    assert matrix == pytest.approx(similarities.reshape(len(TEXTS), len(TEXTS)), abs=FLOAT32_ERROR)
    assert np.diag(matrix) == pytest.approx(1, abs=FLOAT32_ERROR)


def test_a_model_without_weight_is_not_asked():
    assert Combination(Models(), {"a": 1, "b": 0}).embed(["x"]).versions == {"a": "7"}


@pytest.mark.parametrize("weights", [{"a": 0.0}, {"a": 1.0, "b": -0.5}, {"a": float("nan")}, {"a": float("inf")}])
def test_weights_that_are_no_shares_are_refused(weights):
    with pytest.raises(InvalidRequestError, match="models: "):
        Combination(Models(), weights)


def test_two_names_of_one_model_are_refused():
    with pytest.raises(InvalidRequestError, match="another name"):
        Combination(Models(), {"a": 1, "alias": 1}).embed(["x"])
