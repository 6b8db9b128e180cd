"""The recipe `head`: the encoder stays as it is, and a linear head is fitted to its embeddings in seconds.

How strongly the weights are held small is chosen by cross-validation, and the head is then fitted to all examples, so
that none is set aside. Knows nothing of fine-tuning.
"""

from collections.abc import Callable

import torch

from training.calibration import mean_loss
from training.head import fit_head
from training.losses import label_weights
from training.out_of_fold import HeldOutHeads, fold_of_texts
from training.recipes.recipe import Outcome, Task, validation_score

# From strong to weak: each fit starts where the one before it ended, and all are over once the loss rises.
_PENALTIES = (1e-4, 3e-5, 1e-5, 3e-6, 1e-6, 3e-7)
_FOLDS = 3               # with 5 F1 rises by 0.002 (800 questions of SMP2017), and the time by half
_EMBEDDING_SHARE = 0.8   # of this recipe's time


def train_head(task: Task) -> Outcome:
    """Embed the task's fit examples once and return the head whose penalty has the lowest cross-validated loss."""
    embeddings = task.encoder.embed(task.fit.texts, on_batch=lambda fraction: task.progress.tell(
        _EMBEDDING_SHARE * fraction, "embedding the examples"))
    return choose_head(task, embeddings,
                       lambda done, text: task.progress.tell(_EMBEDDING_SHARE + (1 - _EMBEDDING_SHARE) * done, text))


def choose_head(task: Task, embeddings: torch.Tensor, tell: Callable[[float, str], None]) -> Outcome:
    """Return the head, given the unit embeddings of the task's fit examples, float32 [examples, dimension].

    The loss decides and not F1, which hardly differs from one penalty to the next: the loss has one lowest point, and
    there the scores nearly mean what they say.
    """
    targets, power = task.fit.targets, task.plan.class_weight_power
    heads = HeldOutHeads(embeddings, targets, fold_of_texts(task.fit.texts, _FOLDS, task.plan.seed), power)
    best, history = None, []
    for number, penalty in enumerate(_PENALTIES, 1):
        logits = heads.logits(penalty)
        loss, score = mean_loss(logits, targets.numpy() > 0), validation_score(torch.from_numpy(logits), targets)
        history.append({"penalty": penalty, "loss": loss, "macro_f1": score})
        tell(number / (len(_PENALTIES) + 1), f"head with penalty {penalty:g}: macro-F1 {score:.4f} held out")
        if best is not None and loss > best[0]:
            break
        best = loss, penalty, logits
    _, penalty, logits = best
    head = fit_head(embeddings, targets, label_weights(targets, power), task.start, penalty)
    tell(1.0, f"head with penalty {penalty:g} fitted to all {len(embeddings)} examples")
    return Outcome(head, history, logits)
