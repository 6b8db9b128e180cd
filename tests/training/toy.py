"""Small snapshots that can be learnt: each intent's questions are made of characters of their own."""

import random
from collections.abc import Sequence
from pathlib import Path

from training.dataset import Dataset, Example, write_dataset
from training.plan import TrainingPlan
from training.run import Base

# Characters that the small encoder's vocabulary knows.
CHARACTERS = {"wealth": "abc", "love": "ghi", "health": "mno", "study": "stu"}
OUT_OF_SCOPE_CHARACTERS = "012"


def toy_examples(labels: Sequence[str], each: int = 40, out_of_scope: int = 16, seed: int = 0) -> list[Example]:
    """Return `each` examples of every label and some out of scope, none assigned to a split."""
    draw = random.Random(seed)  # noqa: S311 - no secret comes of it
    wanted = [((label,), CHARACTERS[label]) for label in labels for _ in range(each)]
    wanted += [((), OUT_OF_SCOPE_CHARACTERS)] * out_of_scope
    return [Example(f"{seed}-{number}", _words(draw, characters), found, None, "label")
            for number, (found, characters) in enumerate(wanted)]


def write_toy(directory: Path, labels: Sequence[str] = ("wealth", "love", "health"), **options) -> Dataset:
    """Write a snapshot of `toy_examples`."""
    return write_dataset(directory, labels, toy_examples(labels, **options))


def quick_plan(**changes) -> TrainingPlan:
    """Return a plan for the small encoder: few short epochs, float32 so that any processor computes the same."""
    options = {"precision": "fp32", "batch_size": 16, "epochs": 4, "max_tokens": 32, "test_share": 0.2,
               "validation_share": 0.15, "calibration_share": 0.15, "encoder_learning_rate": 1e-3}
    return TrainingPlan(**{**options, **changes})


def base_of(checkpoint: Path) -> Base:
    """Return the small encoder as the base of a training."""
    return Base(checkpoint, "path:small", "r1")


def silent(fraction: float, text: str) -> None:
    """Report to nobody."""


def _words(draw: random.Random, characters: str) -> str:
    return " ".join(draw.choices(characters, k=12))
