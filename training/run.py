"""One training from snapshot to checkpoint: split, fit, calibrate, measure, write. The door to this package.

Knows nothing of jobs, the database or the export.
"""

import json
import platform
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

from export.contract import ENCODER_FOLDER, HEAD_FILE, INTENT_FILE
from export.manifest import sha256_of
from training.calibration import expected_calibration_error, fit_calibration, fit_thresholds, sigmoid
from training.checkpoint import IntentCard, read_card, read_head, write_checkpoint
from training.dataset import TEST, Dataset, read_dataset
from training.encoder import Encoder, use_cores
from training.errors import TrainingError
from training.head import Head, first_head
from training.metrics import decision_figures
from training.plan import FULL, HEAD, TrainingPlan
from training.progress import Progress, Report
from training.recipes.full import train_full
from training.recipes.head import train_head
from training.recipes.recipe import Outcome, Part, Recipe, Task
from training.saved_state import SavedState, fingerprint
from training.splits import CALIBRATION, FIT, SPLITS_FILE, VALIDATION, Splits, assign_splits, write_splits

RECORD_FILE = "training.json"
_RECIPES: dict[str, Recipe] = {HEAD: train_head, FULL: train_full}
_PACKAGES = ("torch", "transformers", "sentence-transformers", "numpy", "scipy")
_RECIPE_SHARE = (0.02, 0.95)   # the recipe's part of the whole, for the progress


@dataclass(frozen=True)
class Base:
    """The encoder that a first training begins with: a sentence-transformers directory and where it came from."""

    path: Path
    source: str
    revision: str | None


def train(dataset_dir: Path, out_dir: Path, plan: TrainingPlan, report: Report, base: Base,
          previous: Path | None = None, cores: int | None = None) -> IntentCard:
    """Train on a snapshot and write the checkpoint, splits.jsonl and training.json into `out_dir`.

    With `previous`, a trained checkpoint, its encoder and the head's rows of labels that still exist are where training
    begins. `cores` are those to compute with, all by default; another number gives slightly other weights. `report` is
    told the fraction done and may raise to cancel. Called again after a cancel or a kill with the same arguments, it
    goes on where the last saved state is; after the end, it returns what is there. Raises TrainingError: DatasetError,
    TooFewExamplesError with the counts, CheckpointError.
    """
    dataset = read_dataset(dataset_dir)
    start = _read_start(plan, base, previous)
    facts = _facts(dataset, plan, start, use_cores(cores))
    if (out_dir / INTENT_FILE).exists():
        return _finished(out_dir, facts)
    report(0.0, f"splitting {len(dataset.examples)} examples")
    splits = assign_splits(dataset, plan)
    out_dir.mkdir(parents=True, exist_ok=True)
    write_splits(out_dir / SPLITS_FILE, dataset, splits)
    state = SavedState(out_dir, fingerprint(facts))
    encoder = Encoder(start.encoder, start.prompt_name, plan.max_tokens, plan.precision)
    task = Task(encoder, plan, _part(dataset, splits, FIT), _part(dataset, splits, VALIDATION),
                first_head(dataset.labels, encoder.dimension, start.known), Progress(report, *_RECIPE_SHARE), state)
    outcome = _RECIPES[plan.recipe](task)
    report(_RECIPE_SHARE[1], "calibrating, and measuring on the test set")
    head, card = _finish(dataset, splits, task, outcome, start)
    _write_record(out_dir, facts, splits, outcome.history)
    write_checkpoint(out_dir, encoder, head, card)
    state.clear()
    report(1.0, f"macro-F1 {card.metrics['macro_f1']:.4f} on {int(card.metrics['examples'])} test examples")
    return card


@dataclass(frozen=True)
class _Start:
    """Where training begins: a base encoder without a head, or a trained checkpoint."""

    encoder: Path
    prompt_name: str | None
    base: dict[str, str | None]
    known: dict[str, tuple[torch.Tensor, float]]
    previous: dict[str, str] | None


def _read_start(plan: TrainingPlan, base: Base, previous: Path | None) -> _Start:
    if previous is None:
        return _Start(base.path, plan.prompt_name, {"source": base.source, "revision": base.revision}, {}, None)
    card, head = read_card(previous), read_head(previous)
    known = {label: (weight * (1 / card.temperature), bias.item() / card.temperature)
             for label, weight, bias in zip(card.labels, head.weight, head.bias, strict=True)}
    identity = {"dataset_sha256": card.dataset_sha256, "head_sha256": sha256_of(previous / HEAD_FILE)}
    return _Start(previous / ENCODER_FOLDER, card.prompt_name, card.base, known, identity)


def _facts(dataset: Dataset, plan: TrainingPlan, start: _Start, cores: int) -> dict:
    """Return what decides the outcome, for the record and to know a saved state by."""
    return {"dataset_sha256": dataset.sha256, "labels": list(dataset.labels), "plan": asdict(plan),
            "base": start.base, "prompt_name": start.prompt_name, "previous": start.previous,
            "cores": cores, "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            "processor": torch.backends.cpu.get_cpu_capability(), "python": platform.python_version(),
            "packages": {name: metadata.version(name) for name in _PACKAGES}}


def _part(dataset: Dataset, splits: Splits, role: str) -> Part:
    rows = splits.rows(role)
    return Part(tuple(dataset.examples[row].text for row in rows), torch.from_numpy(dataset.targets()[rows]))


def _finish(dataset: Dataset, splits: Splits, task: Task, outcome: Outcome, start: _Start) -> tuple[Head, IntentCard]:
    """Calibrate, measure on the test set in float32, and return the head, which has the shift in it, and the card."""
    task.encoder.mixed = False
    logits, truth = _held_out(dataset, splits, task, outcome)
    calibration = fit_calibration(logits, truth)
    thresholds = fit_thresholds(calibration.scores(logits), truth)
    logits, truth = _logits(task, _part(dataset, splits, TEST), outcome.head)
    scores = calibration.scores(logits)
    metrics = {**decision_figures(scores, thresholds, truth), "ece": expected_calibration_error(scores, truth),
               "ece_uncalibrated": expected_calibration_error(sigmoid(logits), truth)}
    card = IntentCard(labels=dataset.labels, thresholds=tuple(thresholds.tolist()), temperature=calibration.temperature,
                      prompt_name=start.prompt_name, dataset_sha256=dataset.sha256, base=start.base,
                      recipe=task.plan.recipe, seed=task.plan.seed, metrics=metrics)
    return Head(outcome.head.weight, outcome.head.bias + calibration.shift), card


def _held_out(dataset: Dataset, splits: Splits, task: Task, outcome: Outcome) -> tuple[np.ndarray, np.ndarray]:
    """Return logits and truth of what the model did not learn from.

    Those are the recipe's own, or of what was set aside: of the validation examples too, as twice as many examples are
    worth more than what choosing among a few epochs by them spoils.
    """
    if outcome.held_out is not None:
        return outcome.held_out, task.fit.targets.numpy() > 0
    parts = [_logits(task, _part(dataset, splits, role), outcome.head) for role in (VALIDATION, CALIBRATION)]
    return np.concatenate([logits for logits, _ in parts]), np.concatenate([truth for _, truth in parts])


def _logits(task: Task, part: Part, head: Head) -> tuple[np.ndarray, np.ndarray]:
    """Return logits, float64, and truth, bool, of a part; [examples, labels] each."""
    logits = head.logits(task.encoder.embed(part.texts)).numpy().astype(np.float64)
    return logits, part.targets.numpy() > 0


def _write_record(out_dir: Path, facts: dict, splits: Splits, history: list[dict[str, float]]) -> None:
    record = {"facts": facts, "history": history, "roles": dict(Counter(splits.roles)),
              "created_at": datetime.now(timezone.utc).isoformat(timespec="seconds")}
    (out_dir / RECORD_FILE).write_text(json.dumps(record, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _finished(out_dir: Path, facts: dict) -> IntentCard:
    """Return what an earlier call with the same facts has written; raises TrainingError where it was another's."""
    try:
        record = json.loads((out_dir / RECORD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{out_dir} holds a checkpoint whose {RECORD_FILE} cannot be read: {error}") from error
    if record["facts"] != facts:
        raise TrainingError(f"{out_dir} holds the checkpoint of another training; give a new directory")
    return read_card(out_dir)
