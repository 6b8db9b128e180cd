"""The recipe `head`: the encoder stays as it is, and a linear head is fitted to its embeddings in seconds.

How strongly the weights are held small is chosen on the validation examples. Knows nothing of fine-tuning.
"""

from collections.abc import Callable

import torch

from training.head import Head, fit_head
from training.losses import label_weights
from training.recipes.recipe import Outcome, Part, Task, validation_score

# From strong to weak: each fit starts where the one before it ended, which halves the work.
_PENALTIES = (1e-4, 3e-5, 1e-5, 3e-6)
_EMBEDDING_SHARE = 0.8   # of this recipe's time


def train_head(task: Task) -> Outcome:
    """Embed the examples once and return the head with the best macro-F1 on validation."""
    fitted = _embed(task, task.fit, 0.0, 0.9)
    validation = _embed(task, task.validation, 0.9, 1.0)
    return choose_head(task, fitted, validation,
                       lambda done, text: task.progress.tell(_EMBEDDING_SHARE + (1 - _EMBEDDING_SHARE) * done, text))


def choose_head(task: Task, fitted: torch.Tensor, validation: torch.Tensor,
                tell: Callable[[float, str], None]) -> Outcome:
    """Return the head with the best macro-F1 on validation, given the unit embeddings of both parts."""
    weights = label_weights(task.fit.targets, task.plan.class_weight_power)
    found: list[tuple[float, Head]] = []
    head, history = task.start, []
    for number, penalty in enumerate(_PENALTIES, 1):
        head = fit_head(fitted, task.fit.targets, weights, head, penalty)
        score = validation_score(head.logits(validation), task.validation.targets)
        found.append((score, head))
        history.append({"penalty": penalty, "macro_f1": score})
        tell(number / len(_PENALTIES), f"head with penalty {penalty:g}: macro-F1 {score:.4f} on validation")
    return Outcome(max(found, key=lambda pair: pair[0])[1], history)


def _embed(task: Task, part: Part, start: float, end: float) -> torch.Tensor:
    """Embed a part, which takes `start` to `end` of all embedding."""
    return task.encoder.embed(part.texts, on_batch=lambda fraction: task.progress.tell(
        _EMBEDDING_SHARE * (start + (end - start) * fraction), "embedding the examples"))
