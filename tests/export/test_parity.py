"""The parity gate: the real serving code in a process of its own, and whatever computes something else is refused."""

import shutil

import numpy as np
import pytest
from sentence_transformers.sentence_transformer.modules import Dense, Normalize

from export.checkpoint_model import load_sentence_transformer
from export.contract import MODEL_FILE, TOKENIZER_FILE
from export.errors import ParityError
from export.golden import golden_batches, golden_texts
from export.parity import MAX_NORM_ERROR, MIN_COSINE, prove_parity
from tests.export.checkpoints import MAX_TOKENS, build_checkpoint, export_to
from tests.tolerances import FP32_RELATIVE_ERROR
from tests.versions import change_weights, reseal


@pytest.fixture(scope="module")
def model(small_checkpoint):
    return load_sentence_transformer(small_checkpoint)


def test_an_equal_version_passes_with_its_figures(model, version_dir):
    figures = prove_parity(model, version_dir, MIN_COSINE)
    batches = golden_batches(len(golden_texts(MAX_TOKENS)), ["passage", "query"])
    assert figures.batches == len(batches)
    assert figures.rows == sum(len(batch.indices) for batch in batches)
    assert 1 - FP32_RELATIVE_ERROR < figures.min_cosine < 1 + FP32_RELATIVE_ERROR
    assert 0 <= figures.max_norm_error < FP32_RELATIVE_ERROR
    assert 0 < figures.max_abs_difference < FP32_RELATIVE_ERROR
    assert figures.required_cosine == MIN_COSINE


def test_the_bound_is_what_was_asked_for(model, version_dir):
    change_weights(version_dir, _shift_slightly)
    found = prove_parity(model, version_dir, 0).min_cosine
    assert 0.9 < found < 0.99999
    assert prove_parity(model, version_dir, found - 1e-4).min_cosine == pytest.approx(found, abs=1e-5)
    with pytest.raises(ParityError, match=f"{found:.4f}.*is required.*worst text.*repository is unchanged"):
        prove_parity(model, version_dir, found + 1e-4)


@pytest.mark.parametrize("damage", [
    lambda version: change_weights(version, _shift_slightly),
    lambda version: change_weights(version, lambda matrix: matrix[::-1]),
    lambda version: change_weights(version, np.zeros_like),
    lambda version: change_weights(version, lambda matrix: np.full_like(matrix, np.nan)),
    lambda version: change_weights(version, lambda matrix: matrix * np.inf),
    lambda version: reseal(version, max_tokens=MAX_TOKENS - 1),
    lambda version: reseal(version, max_tokens=MAX_TOKENS + 1),
    lambda version: reseal(version, prompts={"query": "question: ", "passage": "passage: "}),
    lambda version: reseal(version, default_prompt="query"),
], ids=["weights shifted", "weights turned round", "weights zero", "weights NaN", "weights infinite", "fewer tokens",
        "more tokens", "other prompt", "default prompt"])
def test_a_version_that_computes_something_else_is_refused(model, version_dir, damage):
    damage(version_dir)
    with pytest.raises(ParityError, match="lowest cosine"):
        prove_parity(model, version_dir, MIN_COSINE)


def test_output_that_is_not_a_number_never_passes_however_low_the_bound(model, version_dir):
    change_weights(version_dir, lambda matrix: np.full_like(matrix, np.nan))
    with pytest.raises(ParityError, match="nan"):
        prove_parity(model, version_dir, 0)


@pytest.mark.parametrize("pooling", ["cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"])
def test_the_graph_of_another_pooling_is_refused(tmp_path, pooling):
    right = build_checkpoint(tmp_path / "right", pooling="mean")
    wrong = export_to(tmp_path / "repository", build_checkpoint(tmp_path / "wrong", pooling=pooling))
    with pytest.raises(ParityError, match="differ" if pooling == "mean_sqrt_len_tokens" else "lowest cosine"):
        prove_parity(load_sentence_transformer(right), wrong, MIN_COSINE)


def test_another_tokeniser_is_refused(model, version_dir, tmp_path):
    cased = build_checkpoint(tmp_path / "cased", lowercase=False)
    shutil.copy(cased / TOKENIZER_FILE, version_dir / TOKENIZER_FILE)
    reseal(version_dir)
    with pytest.raises(ParityError, match="lowest cosine"):
        prove_parity(model, version_dir, MIN_COSINE)


def test_prompts_that_are_pooled_although_the_checkpoint_leaves_them_out_are_refused(tmp_path):
    checkpoint = build_checkpoint(tmp_path, include_prompt=False, prompts={"query": "query: "})
    version = export_to(tmp_path / "repository", checkpoint)
    reseal(version, pools_prompt=True)
    with pytest.raises(ParityError, match="lowest cosine"):
        prove_parity(load_sentence_transformer(checkpoint), version, MIN_COSINE)


def test_embeddings_that_only_have_another_length_are_refused(tmp_path):
    checkpoint = build_checkpoint(tmp_path)
    version = export_to(tmp_path / "repository", checkpoint)
    reseal(version, normalized=True)
    with pytest.raises(ParityError, match=f"lengths differ.*{MAX_NORM_ERROR:.0%} is allowed"):
        prove_parity(load_sentence_transformer(checkpoint), version, MIN_COSINE)


def test_another_dimension_is_refused(model, tmp_path):
    narrow = build_checkpoint(tmp_path, heads=[lambda dimension: Dense(dimension, 16), Normalize])
    version = export_to(tmp_path / "repository", narrow)
    reseal(version, prompts=model.prompts)
    with pytest.raises(ParityError, match=r"shape \(1, 16\).*\(1, 32\)"):
        prove_parity(model, version, MIN_COSINE)


@pytest.mark.parametrize("file", [MODEL_FILE, TOKENIZER_FILE])
def test_a_version_that_does_not_run_is_refused_with_the_file_and_the_reason(model, version_dir, file):
    (version_dir / file).write_bytes(b"not what it should be")
    reseal(version_dir)
    with pytest.raises(ParityError, match=f"does not run: .*{file}"):
        prove_parity(model, version_dir, MIN_COSINE)


def _shift_slightly(matrix: np.ndarray) -> np.ndarray:
    return matrix + 0.02 * np.random.default_rng(0).standard_normal(matrix.shape)
