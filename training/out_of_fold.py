"""Scores each example by heads that never saw it, so that what its labels contradict can be shown to people.

Cross-validated scores, as confident learning takes them (Northcutt et al. 2021). Knows nothing of who labelled what.
"""

from collections.abc import Sequence

import numpy as np
import torch

from training.calibration import sigmoid
from training.dataset import Dataset
from training.encoder import Encoder
from training.head import first_head, fit_head
from training.losses import label_weights
from training.near_duplicates import find_near_duplicates

_PENALTY = 1e-5      # the middle of the recipe `head`


def score_dataset(dataset: Dataset, encoder: Encoder, folds: int = 5, seed: int = 0) -> np.ndarray:
    """Return out-of-fold scores of every example, near-duplicates in one fold; float64 [examples, labels]."""
    texts = [example.text for example in dataset.examples]
    return out_of_fold_scores(encoder.embed(texts), torch.from_numpy(dataset.targets()),
                              fold_of_texts(texts, folds, seed))


def out_of_fold_scores(embeddings: torch.Tensor, targets: torch.Tensor, fold: np.ndarray) -> np.ndarray:
    """Return scores by heads fitted to the other folds; float64 [examples, labels].

    `embeddings` float32 [examples, dimension] of length 1, `targets` float32 [examples, labels], `fold` int [examples].
    """
    start = first_head(tuple(map(str, range(targets.shape[1]))), embeddings.shape[1], {})
    weights, scores = label_weights(targets, 0.0), np.zeros(targets.shape)
    for number in np.unique(fold):
        inside = torch.from_numpy(fold == number)
        head = fit_head(embeddings[~inside], targets[~inside], weights, start, _PENALTY)
        scores[fold == number] = sigmoid(head.logits(embeddings[inside]).numpy().astype(np.float64))
    return scores


def fold_of_texts(texts: Sequence[str], folds: int, seed: int) -> np.ndarray:
    """Return a fold for each text, near-duplicates in the same one; int64 [texts]."""
    found = find_near_duplicates(texts)
    groups = found.groups(range(len(found.forms)))
    fold_of_form = np.zeros(len(found.forms), np.int64)
    for group, fold in zip(groups, np.random.default_rng(seed).permutation(len(groups)) % folds, strict=True):
        fold_of_form[group] = fold
    return fold_of_form[found.form_of]
