from dataclasses import replace

import numpy as np
import pytest

from tests.training.toy import toy_examples
from training.dataset import Dataset
from training.encoder import Encoder
from training.out_of_fold import fold_of_texts, score_dataset

LABELS = ("wealth", "love", "health")


def test_swapped_labels_are_contradicted_and_right_ones_are_not(small_checkpoint):
    examples = toy_examples(LABELS)
    wrong = {3: ("love",), 45: ("health",), 90: ()}
    examples = [replace(example, labels=wrong.get(row, example.labels)) for row, example in enumerate(examples)]
    dataset = Dataset(LABELS, tuple(examples), "")
    doubt = np.abs(score_dataset(dataset, Encoder(small_checkpoint, None, None, "fp32")) - dataset.targets())
    most = {(int(row), LABELS[column]) for row, column in
            zip(*np.unravel_index(np.argsort(-doubt, axis=None)[:6], doubt.shape), strict=True)}
    expected = {(3, "wealth"), (3, "love"), (45, "love"), (45, "health"), (90, "health")}
    assert len(most & expected) >= 4
    assert np.median(doubt) < 0.1


def test_near_duplicates_are_in_one_fold_and_folds_are_about_equal():
    texts = [example.text for example in toy_examples(LABELS)]
    fold = fold_of_texts([*texts, *(text + "!" for text in texts)], 5, seed=0)
    assert fold[:len(texts)].tolist() == fold[len(texts):].tolist()
    counts = [int((fold == number).sum()) for number in range(5)]
    assert max(counts) <= 1.5 * min(counts)


@pytest.mark.parametrize("seed", [0, 1])
def test_folds_repeat_for_a_seed(seed):
    texts = [example.text for example in toy_examples(LABELS)]
    assert fold_of_texts(texts, 5, seed).tolist() == fold_of_texts(texts, 5, seed).tolist()


def test_a_chain_of_near_duplicates_does_not_fill_one_fold():
    """Each text is a near-duplicate of the next one, and the first has nothing in common with the last."""
    letters = [chr(0x4E00 + number) for number in range(60)]
    texts = ["".join(letters[start:start + 12]) for start in range(48)]
    counts = np.bincount(fold_of_texts(texts, 4, seed=0))
    assert counts.max() <= 12
