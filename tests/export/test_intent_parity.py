"""The parity gate of classifiers: real serving code in a process of its own, and other scores are refused."""

import shutil

import numpy as np
import pytest

from export.errors import ParityError
from export.golden import golden_batches, golden_texts
from export.intent_checkpoint import load_intent_checkpoint
from export.intent_export import export_intent
from export.intent_parity import MAX_SCORE_DIFFERENCE, prove_score_parity
from tests.export.checkpoints import MAX_TOKENS, build_intent_checkpoint
from tests.tolerances import FP32_RELATIVE_ERROR
from tests.versions import change_weights, reseal


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A checkpoint that has a prompt by default, and its version."""
    folder = tmp_path_factory.mktemp("parity")
    path = build_intent_checkpoint(folder / "checkpoint", prompt_name="query", prompts={"query": "query: "})
    return load_intent_checkpoint(path), export_intent(path, "intent", folder / "repository", "onnxruntime", "fp32")


@pytest.fixture
def version_dir(exported, tmp_path):
    return shutil.copytree(exported[1], tmp_path / "1")


def test_an_equal_version_passes_with_its_figures(exported):
    figures = prove_score_parity(*exported)
    batches = golden_batches(len(golden_texts(MAX_TOKENS)), ["query"])
    assert figures.batches == len(batches)
    assert figures.rows == sum(len(batch.indices) for batch in batches)
    assert 0 < figures.max_score_difference < FP32_RELATIVE_ERROR
    assert (figures.allowed_score_difference, figures.changed_decisions) == (MAX_SCORE_DIFFERENCE, 0)


def test_small_differences_pass_and_decisions_that_they_change_are_counted(exported, version_dir):
    change_weights(version_dir, lambda matrix: matrix * 1.0002)
    figures = prove_score_parity(exported[0], version_dir)
    assert FP32_RELATIVE_ERROR < figures.max_score_difference < MAX_SCORE_DIFFERENCE
    original = exported[0].scores(golden_texts(MAX_TOKENS))
    on_the_edge = type(exported[0])(**{**vars(exported[0]), "thresholds": tuple(map(float, original[6]))})
    assert prove_score_parity(on_the_edge, version_dir).changed_decisions > 0


@pytest.mark.parametrize(("damage", "says"), [
    (lambda version: change_weights(version, lambda matrix: matrix * 1.3), "scores differ by up to 0.*worst text"),
    (lambda version: change_weights(version, lambda matrix: np.full_like(matrix, np.nan)), "differ by up to nan"),
    (lambda version: reseal(version, default_prompt=None), "scores differ by up to 0"),
    (lambda version: reseal(version, labels=("a", "b", "c", "d")), "does not run"),
], ids=["weights", "NaN", "no prompt", "another number of labels"])
def test_a_version_that_gives_other_scores_is_refused(exported, version_dir, damage, says):
    damage(version_dir)
    with pytest.raises(ParityError, match=says):
        prove_score_parity(exported[0], version_dir)
