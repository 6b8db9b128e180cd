"""What training minimises, and how much each intent counts. Knows nothing of encoders or of where labels come from."""

import torch
from torch.nn import functional


def sigmoid_loss(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the mean sigmoid cross-entropy over every label, out-of-scope examples (all zero) included.

    `logits` and `targets` float32 [examples, labels], `weights` float32 [labels].
    """
    rows = _row_weights(targets, weights)
    return (rows * _sigmoid_terms(logits, targets)).sum() / rows.sum()


def intent_loss(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor,
                smoothing: float) -> torch.Tensor:
    """Return the mean loss of a batch; `logits` and `targets` float32 [examples, labels], `weights` float32 [labels].

    A sigmoid cross-entropy over every label, which is what scores mean and what out-of-scope examples (all zero) take
    part in, plus a softmax cross-entropy over the labels of those that have any, which tells similar intents apart.
    """
    rows = _row_weights(targets, weights)
    counts = targets.sum(dim=1, keepdim=True)
    shares = targets / counts.clamp(min=1)
    smoothed = shares * (1 - smoothing) + smoothing / targets.shape[1]
    softmax = -(smoothed * functional.log_softmax(logits, dim=1)).sum(dim=1) * (counts[:, 0] > 0)
    return (rows * (_sigmoid_terms(logits, targets) + softmax)).sum() / rows.sum()


def label_weights(targets: torch.Tensor, power: float) -> torch.Tensor:
    """Return how much an example of each label counts, 1 for an average label; float32 [labels].

    The weight is (mean count / count) ** power: with 0 examples count alike, with 1 intents do.
    """
    counts = targets.sum(dim=0).clamp(min=1)
    return (counts.mean() / counts) ** power


def _sigmoid_terms(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(dim=1)


def _row_weights(targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """An example counts as its rarest intent does, an out-of-scope one as an average intent; float32 [examples]."""
    rarest = (targets * weights).amax(dim=1)
    return torch.where(targets.sum(dim=1) > 0, rarest, torch.ones_like(rarest))
