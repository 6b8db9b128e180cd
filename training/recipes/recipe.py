"""What every recipe is given and gives back. Knows nothing of how they work, nor of files but the saved state."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from training.calibration import common_threshold, sigmoid
from training.encoder import Encoder
from training.head import Head
from training.metrics import macro_f1
from training.plan import TrainingPlan
from training.progress import Progress
from training.saved_state import SavedState


@dataclass(frozen=True)
class Part:
    """Some of the examples; `targets` float32 [examples, labels] of 0 and 1."""

    texts: tuple[str, ...]
    targets: torch.Tensor


@dataclass(frozen=True)
class Task:
    """All that a recipe needs. It may change the weights of `encoder`, and nothing else."""

    encoder: Encoder
    plan: TrainingPlan
    fit: Part
    validation: Part
    start: Head
    progress: Progress
    state: SavedState


@dataclass(frozen=True)
class Outcome:
    """The head that fits the task's encoder as it now is, and what was measured on the way.

    `held_out` are logits of the task's fit examples, each by a head that saw neither it nor a near-duplicate of it;
    float64 [examples, labels]. None of a recipe that needs examples set aside to calibrate with.
    """

    head: Head
    history: list[dict[str, float]] = field(default_factory=list)
    held_out: np.ndarray | None = None


Recipe = Callable[[Task], Outcome]


def validation_score(logits: torch.Tensor, targets: torch.Tensor) -> float:
    """Return the macro-F1 at the best common threshold, as no label has one of its own yet."""
    scores, truth = sigmoid(logits.numpy().astype(np.float64)), targets.numpy() > 0
    return macro_f1(scores >= common_threshold(scores, truth), truth)


def good_epochs(scores: Sequence[float], examples: int) -> np.ndarray:
    """Return for each epoch whether its score on so many examples was as good as the best until then; bool [epochs].

    As good is what lies within one standard error of it (Breiman et al. 1984): among a few hundred examples one or two
    more that are right say nothing.
    """
    best = np.maximum.accumulate(np.asarray(scores, np.float64))
    share = (best * examples + 1) / (examples + 2)  # Of all right, the error would be 0 (Laplace's rule of succession).
    return np.asarray(scores) >= best - np.sqrt(share * (1 - share) / max(1, examples))
