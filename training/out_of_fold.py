"""Scores each example by heads that never saw it: to choose a penalty, to calibrate, and to find labels in doubt.

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


class HeldOutHeads:
    """One head for each fold, fitted to the other folds."""

    def __init__(self, embeddings: torch.Tensor, targets: torch.Tensor, fold: np.ndarray,
                 class_weight_power: float) -> None:
        """Begin with heads that know nothing, as any other may have seen what they are to be asked.

        `embeddings` float32 [examples, dimension] of length 1, `targets` float32 [examples, labels], `fold` int
        [examples]; at least two folds.
        """
        self._embeddings, self._targets, self._power = embeddings, targets, class_weight_power
        self._folds = [torch.from_numpy(fold == number) for number in np.unique(fold)]
        nothing = first_head(tuple(map(str, range(targets.shape[1]))), embeddings.shape[1], {})
        self._heads = [nothing] * len(self._folds)

    def logits(self, penalty: float) -> np.ndarray:
        """Return each example's logits, float64 [examples, labels]; heads are fitted on from the penalty before."""
        logits = np.zeros(self._targets.shape)
        for number, held_out in enumerate(self._folds):
            targets = self._targets[~held_out]
            head = fit_head(self._embeddings[~held_out], targets, label_weights(targets, self._power),
                            self._heads[number], penalty)
            self._heads[number] = head
            logits[held_out.numpy()] = head.logits(self._embeddings[held_out]).numpy()
        return logits


def score_dataset(dataset: Dataset, encoder: Encoder, folds: int = 5, seed: int = 0) -> np.ndarray:
    """Return out-of-fold scores of every example, near-duplicates in one fold; float64 [examples, labels]."""
    texts = [example.text for example in dataset.examples]
    heads = HeldOutHeads(encoder.embed(texts), torch.from_numpy(dataset.targets()), fold_of_texts(texts, folds, seed),
                         class_weight_power=0.0)
    return sigmoid(heads.logits(_PENALTY))


def fold_of_texts(texts: Sequence[str], folds: int, seed: int) -> np.ndarray:
    """Return a fold for each text, near-duplicates in the same one; int64 [texts].

    A group that is larger than a fold is a chain, whose ends have nothing in common: it is dealt out, or one fold would
    have nearly all texts.
    """
    found = find_near_duplicates(texts)
    groups = [part for group in found.groups(range(len(found.forms)))
              for part in ([group] if len(group) * folds <= len(found.forms) else [[form] for form in group])]
    fold_of_form = np.zeros(len(found.forms), np.int64)
    for group, fold in zip(groups, np.random.default_rng(seed).permutation(len(groups)) % folds, strict=True):
        fold_of_form[group] = fold
    return fold_of_form[found.form_of]
