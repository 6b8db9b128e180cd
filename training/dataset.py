"""Reads and writes snapshots: the immutable directories of labelled questions that trainings start from.

Knows nothing of how examples were chosen, nor of what is done with them.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from training.errors import DatasetError
from training.targets import truth_matrix

EXAMPLES_FILE, DATASET_FILE = "examples.jsonl", "dataset.json"
FORMAT = 1
TEST, TRAIN = "test", "train"
ORIGINS = ("label", "replay", "seed")


@dataclass(frozen=True)
class Example:
    """A question and its intents; no intent means that it is out of scope."""

    id: str
    text: str
    labels: tuple[str, ...]
    split: str | None      # TEST, TRAIN, or None: not assigned yet
    origin: str            # one of ORIGINS


@dataclass(frozen=True)
class Dataset:
    """A snapshot; `labels` is the taxonomy, in its order."""

    labels: tuple[str, ...]
    examples: tuple[Example, ...]
    sha256: str            # of examples.jsonl

    def targets(self) -> np.ndarray:
        """Return which labels hold; float32 [examples, labels] of 0 and 1."""
        return truth_matrix([example.labels for example in self.examples], self.labels).astype(np.float32)


def read_dataset(directory: Path) -> Dataset:
    """Read and check a snapshot; raises DatasetError naming the file, the line and what is wrong with it."""
    document = _read_document(directory / DATASET_FILE)
    labels = tuple(document["labels"])
    path = directory / EXAMPLES_FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != document["sha256"]:
        raise DatasetError(f"{path} has sha256 {digest[:12]}… but {DATASET_FILE} states "
                           f"{str(document['sha256'])[:12]}…; the snapshot was changed or damaged, make a new one")
    lines = content.decode("utf-8", errors="replace").split("\n")
    examples = tuple(_read_example(path, number, line, set(labels)) for number, line in enumerate(lines, 1) if line)
    _check_ids(path, examples)
    return Dataset(labels, examples, digest)


def write_dataset(directory: Path, labels: Sequence[str], examples: Sequence[Example]) -> Dataset:
    """Write a snapshot into `directory`, which is made, and return it."""
    directory.mkdir(parents=True, exist_ok=True)
    content = "".join(json.dumps(asdict(example), ensure_ascii=False) + "\n" for example in examples).encode()
    digest = hashlib.sha256(content).hexdigest()
    document = {"format": FORMAT, "labels": list(labels), "sha256": digest,
                "created_at": datetime.now(timezone.utc).isoformat(timespec="seconds")}
    (directory / EXAMPLES_FILE).write_bytes(content)
    (directory / DATASET_FILE).write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return Dataset(tuple(labels), tuple(examples), digest)


def _read_document(path: Path) -> dict:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT or "sha256" not in document:
        raise DatasetError(f"{path} does not describe a snapshot of format {FORMAT}")
    labels = document.get("labels")
    if not isinstance(labels, list) or not all(isinstance(label, str) and label for label in labels):
        raise DatasetError(f"{path}: labels must be a list of names")
    if len(set(labels)) != len(labels):
        raise DatasetError(f"{path}: a label is listed twice")
    return document


def _read_example(path: Path, number: int, line: str, known: set[str]) -> Example:
    where = f"{path}, line {number}"
    try:
        fields = json.loads(line)
        example = Example(fields["id"], fields["text"], tuple(fields["labels"]), fields["split"], fields["origin"])
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{where} is not an example with id, text, labels, split and origin: {error!r}") from error
    if not (isinstance(example.id, str) and isinstance(example.text, str) and example.text.strip()):
        raise DatasetError(f"{where}: id and text must be texts that are not empty")
    if unknown := [label for label in example.labels if label not in known]:
        raise DatasetError(f"{where}: label {unknown[0]!r} is not in the taxonomy of {DATASET_FILE}")
    if example.split not in (TEST, TRAIN, None) or example.origin not in ORIGINS:
        raise DatasetError(f"{where}: split {example.split!r} or origin {example.origin!r} is not known")
    return example


def _check_ids(path: Path, examples: Sequence[Example]) -> None:
    seen: set[str] = set()
    for example in examples:
        if example.id in seen:
            raise DatasetError(f"{path}: id {example.id!r} occurs twice")
        seen.add(example.id)
