"""The recipe `full`: the encoder and the head are fine-tuned together, starting from what the recipe `head` finds.

The table of word embeddings stays as it is: it holds most of a multilingual encoder's weights, and a few thousand
questions touch a small part of it. What is validated and kept is an average of the weights of all steps, in which late
ones count more (polynomial decay; Shamir and Zhang 2013): it generalises better than the weights of any one step. Every
step takes its randomness from the seed and its own number alone, so that a run that goes on from a saved state computes
what an unbroken one computes. Knows nothing of snapshots.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch

from training.errors import TrainingError
from training.head import Head
from training.losses import intent_loss, label_weights
from training.progress import Progress
from training.recipes.head import train_head
from training.recipes.recipe import Outcome, Task, good_epochs, validation_score

_LAYER = re.compile(r"\blayers?\.(\d+)\.")
_MAX_GRADIENT_NORM = 1.0
_SORTED_BATCHES = 20       # so many batches' texts are sorted by length together, which saves most of the padding
_HEAD_SHARE = 0.1          # of this recipe's time
_LATE = 3                  # Shamir and Zhang's eta + 1; with 3, half of the average is of the last fifth of the steps


def train_full(task: Task) -> Outcome:
    """Fine-tune until the plan's epochs are over or validation no longer gains, and return the best head seen.

    The encoder is left with the weights that belong to it.
    """
    run = _FineTuning(task)
    if not run.resume():
        run.begin(_first_head(task))
    while not run.finished:
        run.train_step()
    return run.finish()


def _first_head(task: Task) -> Head:
    return train_head(replace(task, progress=task.progress.part(0.0, _HEAD_SHARE))).head


class _FineTuning:
    """The state of a run: weights and their average, optimiser, steps made, and the best average on validation."""

    def __init__(self, task: Task) -> None:
        self._task, self._plan = task, task.plan
        self._weights = label_weights(task.fit.targets, self._plan.class_weight_power).to(task.encoder.device)
        self._lengths = task.encoder.token_counts(task.fit.texts)
        self._steps_per_epoch = math.ceil(len(task.fit.texts) / self._plan.batch_size)
        self._steps = self._steps_per_epoch * self._plan.epochs
        self._step, self._epoch_loss, self._history = 0, 0.0, []
        self._best: dict[str, torch.Tensor] = {}
        self._head = {name: torch.nn.Parameter(tensor.clone().to(task.encoder.device))
                      for name, tensor in (("weight", task.start.weight), ("bias", task.start.bias))}
        self._average: dict[str, torch.Tensor] = {}
        self._optimizer = torch.optim.AdamW(self._parameter_groups(), fused=True)
        self._progress: Progress = task.progress.part(_HEAD_SHARE, 1.0)

    @property
    def finished(self) -> bool:
        """Whether all epochs are over, or the last ones were worse than the best."""
        stale = int(np.argmax(self._good_epochs()[::-1])) if self._history else 0
        at_epoch_end = self._step % self._steps_per_epoch == 0
        return self._step >= self._steps or (at_epoch_end and stale >= self._plan.patience)

    def begin(self, head: Head) -> None:
        with torch.no_grad():
            self._head["weight"].copy_(head.weight)
            self._head["bias"].copy_(head.bias)
        self._average = self._copy_weights()

    def resume(self) -> bool:
        """Take over the saved state; False where there is none."""
        state = self._task.state.load()
        if state is None:
            return False
        self._set_weights(state["weights"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._step, self._epoch_loss = state["step"], state["epoch_loss"]
        self._average = {name: tensor.to(self._task.encoder.device) for name, tensor in state["average"].items()}
        self._best, self._history = state["best"], state["history"]
        return True

    def train_step(self) -> None:
        """Learn from one batch; at the end of an epoch, validate; now and then, save."""
        epoch, position = divmod(self._step, self._steps_per_epoch)
        rows = self._batches(epoch)[position]
        loss = self._learn(rows)
        self._step += 1
        self._follow_weights()
        self._epoch_loss += loss / self._steps_per_epoch
        self._progress.tell(self._step / self._steps, self._line(loss))
        if self._step % self._steps_per_epoch == 0:
            self._validate()
        if self._step % self._plan.save_every_steps == 0:
            self._save()

    def finish(self) -> Outcome:
        """Return the best head, with the encoder's weights to match."""
        self._set_weights(self._best)
        return Outcome(Head(*(self._head[name].detach().cpu() for name in ("weight", "bias"))), self._history)

    def _learn(self, rows: np.ndarray) -> float:
        torch.manual_seed(self._plan.seed * 1_000_003 + self._step)
        task, factor = self._task, self._learning_rate_factor()
        for group in self._optimizer.param_groups:
            group["lr"] = group["full_lr"] * factor
        task.encoder.model.train()
        embeddings = task.encoder.forward([task.fit.texts[row] for row in rows])
        logits = embeddings @ self._head["weight"].T + self._head["bias"]
        targets = task.fit.targets[rows].to(task.encoder.device)
        loss = intent_loss(logits, targets, self._weights, self._plan.label_smoothing)
        if not torch.isfinite(loss):
            raise TrainingError(f"the loss of step {self._step + 1} is {loss.item()}; lower encoder_learning_rate")
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._trained().values(), _MAX_GRADIENT_NORM)
        self._optimizer.step()
        return loss.item()

    def _learning_rate_factor(self) -> float:
        """Rise to 1 during the warm-up, then fall to 0 in a straight line."""
        rising = (self._step + 1) / max(1, self._plan.warmup_share * self._steps)
        return min(1.0, rising, (self._steps - self._step) / self._steps)

    def _batches(self, epoch: int) -> list[np.ndarray]:
        """Return the rows of each batch of an epoch: random, but texts of a batch are about equally long."""
        random = np.random.default_rng([self._plan.seed, epoch])
        order, size = random.permutation(len(self._lengths)), self._plan.batch_size
        batches = []
        for start in range(0, len(order), size * _SORTED_BATCHES):
            chunk = order[start:start + size * _SORTED_BATCHES]
            chunk = chunk[np.argsort(self._lengths[chunk], kind="stable")]
            batches += [chunk[first:first + size] for first in range(0, len(chunk), size)]
        return [batches[index] for index in random.permutation(len(batches))]

    def _follow_weights(self) -> None:
        """Take the weights into their average, where those of step t count in proportion to (t + 1)(t + 2)."""
        share = _LATE / (self._step + _LATE)
        with torch.no_grad():
            for name, parameter in self._trained().items():
                self._average[name].lerp_(parameter, share)

    def _validate(self) -> None:
        """Score the average on validation, and keep it where none before was better: the later, the better averaged."""
        task, weights = self._task, self._copy_weights()
        self._set_weights(self._average)
        embeddings = task.encoder.embed(task.validation.texts)
        head = Head(*(self._head[name].detach().cpu() for name in ("weight", "bias")))
        score = validation_score(head.logits(embeddings), task.validation.targets)
        self._history.append({"step": self._step, "loss": self._epoch_loss, "macro_f1": score})
        if self._good_epochs()[-1]:
            self._best = {name: tensor.cpu().clone() for name, tensor in self._average.items()}
        self._set_weights(weights)
        self._epoch_loss = 0.0

    def _good_epochs(self) -> np.ndarray:
        return good_epochs([row["macro_f1"] for row in self._history], len(self._task.validation.texts))

    def _save(self) -> None:
        weights = {name: tensor.detach() for name, tensor in self._trained().items()}
        self._task.state.save({"step": self._step, "epoch_loss": self._epoch_loss, "weights": weights,
                               "average": self._average, "best": self._best, "history": self._history,
                               "optimizer": self._optimizer.state_dict()})

    def _line(self, loss: float) -> str:
        validated = f", macro-F1 {self._history[-1]['macro_f1']:.4f} on validation" if self._history else ""
        return f"step {self._step} of {self._steps}, loss {loss:.3f}{validated}"

    def _trained(self) -> dict[str, torch.nn.Parameter]:
        """Return every parameter that is fine-tuned, by name."""
        frozen = self._task.encoder.model[0].auto_model.get_input_embeddings().weight
        frozen.requires_grad_(False)
        named = self._task.encoder.model.named_parameters()
        return {**{name: parameter for name, parameter in named if parameter is not frozen},
                **{f"head.{name}": parameter for name, parameter in self._head.items()}}

    def _copy_weights(self) -> dict[str, torch.Tensor]:
        return {name: parameter.detach().clone() for name, parameter in self._trained().items()}

    def _set_weights(self, weights: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self._trained().items():
                parameter.copy_(weights[name])

    def _parameter_groups(self) -> Iterable[dict]:
        """Return a group for each parameter: layers far from the head learn more slowly, vectors do not decay."""
        plan, trained = self._plan, self._trained()
        layer_of = {name: int(match.group(1)) for name in trained if (match := _LAYER.search(name))}
        layers = max(layer_of.values(), default=-1) + 1
        for name, parameter in trained.items():
            depth = layers if "embeddings" in name else layers - 1 - layer_of.get(name, layers - 1)
            rate = plan.encoder_learning_rate * plan.layer_decay ** depth
            decays = parameter.ndim > 1
            if name.startswith("head."):
                rate, decays = plan.head_learning_rate, False
            yield {"params": [parameter], "lr": rate, "full_lr": rate,
                   "weight_decay": plan.weight_decay if decays else 0.0}
