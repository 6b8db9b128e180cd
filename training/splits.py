"""Decides what each example is used for: training, validation, calibration, the frozen test set, or nothing.

What has a split keeps it. A new example follows the near-duplicates that have one, and otherwise the hash of its
group's key, so that a question lands on the same side wherever and whenever it comes. Knows nothing of models.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.dataset import TEST, TRAIN, Dataset
from training.errors import TooFewExamplesError
from training.near_duplicates import NearDuplicates, find_near_duplicates
from training.plan import TrainingPlan

SPLITS_FILE = "splits.jsonl"
FIT, VALIDATION, CALIBRATION, LEFT_OUT = "fit", "validation", "calibration", "left-out"
OUT_OF_SCOPE = "(out of scope)"


@dataclass(frozen=True)
class Splits:
    """For each example of a dataset, in its order: the split that it has from now on, and its role in this training."""

    splits: tuple[str | None, ...]   # TEST, TRAIN, or None: near both sides, so that either would leak
    roles: tuple[str, ...]           # TEST, FIT, VALIDATION, CALIBRATION or LEFT_OUT

    def rows(self, role: str) -> np.ndarray:
        """Return the indices of the examples with a role; int64 [count]."""
        return np.flatnonzero([each == role for each in self.roles])


def assign_splits(dataset: Dataset, plan: TrainingPlan) -> Splits:
    """Assign every example; the same dataset and plan give the same splits. Raises TooFewExamplesError with counts."""
    found = find_near_duplicates([example.text for example in dataset.examples])
    splits = _assign_new([example.split for example in dataset.examples], found, plan.test_share)
    usable = _usable_for_training(splits, found)
    roles = [TEST if split == TEST else LEFT_OUT for split in splits]
    _check_counts(dataset, usable, found, plan.min_examples)
    if TEST not in splits:
        raise TooFewExamplesError(f"none of the {len(splits)} examples is in the test set, so nothing could be proven; "
                                  "add examples")
    for row, role in _cut(dataset, found, usable, plan) if plan.sets_aside else ((row, FIT) for row in usable):
        roles[row] = role
    return Splits(tuple(splits), tuple(roles))


def write_splits(path: Path, dataset: Dataset, splits: Splits) -> None:
    """Write one JSON object a line: {"id", "split", "role"}."""
    lines = (json.dumps({"id": example.id, "split": split, "role": role}, ensure_ascii=False)
             for example, split, role in zip(dataset.examples, splits.splits, splits.roles, strict=True))
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _assign_new(splits: Sequence[str | None], found: NearDuplicates, test_share: float) -> list[str | None]:
    """Return the splits with the missing ones filled in, a whole group at a time."""
    sides: dict[int, set[str]] = {}
    for form, split in zip(found.form_of.tolist(), splits, strict=True):
        if split is not None:
            sides.setdefault(form, set()).add(split)
    given: dict[int, str | None] = {}
    for group in found.groups([form for form in range(len(found.forms)) if form not in sides]):
        near = {side for form in group for other in found.near[form] for side in sides.get(other, ())}
        side = _hashed_side(min(found.forms[form] for form in group), test_share) if not near else None
        given |= dict.fromkeys(group, near.pop() if len(near) == 1 else side)
    return [split or _side_of_form(form, sides, given)
            for form, split in zip(found.form_of.tolist(), splits, strict=True)]


def _side_of_form(form: int, sides: dict[int, set[str]], given: dict[int, str | None]) -> str | None:
    """Return the side of a new example: its twins', unless they are on both."""
    twins = sides.get(form)
    if twins is None:
        return given[form]
    return next(iter(twins)) if len(twins) == 1 else None


def _hashed_side(key: str, test_share: float) -> str:
    return TEST if _fraction(key, "test") < test_share else TRAIN


def _fraction(key: str, purpose: str) -> float:
    """Return a number from 0 to 1 that depends on nothing but the key and what it is for."""
    digest = hashlib.sha256(f"{purpose}\n{key}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _usable_for_training(splits: Sequence[str | None], found: NearDuplicates) -> list[int]:
    """Return the rows on the training side that are no near-duplicate of a test example."""
    tested = {form for form, split in zip(found.form_of.tolist(), splits, strict=True) if split == TEST}
    leaking = tested | {other for form in tested for other in found.near[form]}
    return [row for row, form in enumerate(found.form_of.tolist()) if splits[row] == TRAIN and form not in leaking]


def _check_counts(dataset: Dataset, usable: Sequence[int], found: NearDuplicates, least: int) -> None:
    counts = Counter(label for row in usable for label in dataset.examples[row].labels)
    few = {label: counts[label] for label in dataset.labels if counts[label] < least}
    if few:
        listed = ", ".join(f"{label}: {count}" for label, count in few.items())
        raise TooFewExamplesError(f"each intent needs at least {least} examples outside the test set, but there are "
                                  f"{listed}; label more questions of them, or take them out of the taxonomy")
    if len({found.form_of[row] for row in usable}) < 2:
        raise TooFewExamplesError("there is nothing to tell apart: all examples outside the test set ask the same; add "
                                  "other questions")
    kinds = Counter(dataset.examples[row].labels for row in usable)
    if len(kinds) < 2:
        listed = ", ".join(f"{'+'.join(labels) or OUT_OF_SCOPE}: {count}" for labels, count in kinds.items())
        raise TooFewExamplesError("there is nothing to tell apart: all examples outside the test set have the same "
                                  f"labels ({listed or 'none'}); add questions of another intent or out of scope")


def _cut(dataset: Dataset, found: NearDuplicates, usable: Sequence[int],
         plan: TrainingPlan) -> Iterable[tuple[int, str]]:
    """Yield the role of each usable row; groups stay whole, and each intent gives its share to each role."""
    members: dict[int, list[int]] = {}
    for row in usable:
        members.setdefault(int(found.form_of[row]), []).append(row)
    strata: dict[str, list[list[int]]] = {}
    frequency = Counter(label for row in usable for label in dataset.examples[row].labels)
    for group in found.groups(list(members)):
        labels = dataset.examples[members[group[0]][0]].labels
        stratum = min(labels, key=lambda label: (frequency[label], label), default=OUT_OF_SCOPE)
        strata.setdefault(stratum, []).append(group)
    most = plan.most_set_aside / len(usable)
    shares = {CALIBRATION: min(plan.calibration_share, most), VALIDATION: min(plan.validation_share, most)}
    for groups in strata.values():
        groups.sort(key=lambda group: _fraction(min(found.forms[form] for form in group), f"cut {plan.seed}"))
        rows = [[row for form in group for row in members[form]] for group in groups]
        yield from _deal(rows, shares)


def _deal(groups: Sequence[Sequence[int]], shares: Mapping[str, float]) -> Iterable[tuple[int, str]]:
    """Give one intent's groups to each role until it has its share, and the rest to fitting."""
    total = sum(map(len, groups))
    wanted = {role: round(total * share) for role, share in shares.items()}
    for rows in groups:
        role = next((role for role, left in wanted.items() if len(rows) <= left), FIT)
        if role != FIT:
            wanted[role] -= len(rows)
        for row in rows:
            yield row, role
