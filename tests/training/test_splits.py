import json
from collections import Counter
from dataclasses import replace

import pytest

from tests.training.toy import quick_plan, toy_examples
from training.dataset import TEST, TRAIN, Dataset, Example
from training.errors import TooFewExamplesError
from training.near_duplicates import find_near_duplicates
from training.splits import CALIBRATION, FIT, LEFT_OUT, VALIDATION, assign_splits, write_splits

LABELS = ("wealth", "love", "health")
PLAN = quick_plan()


def dataset(examples, labels=LABELS):
    """Return a dataset that was never written."""
    return Dataset(labels, tuple(examples), "")


def with_splits(examples, splits):
    """Return the examples with the splits that a training gave them."""
    return [replace(example, split=split) for example, split in zip(examples, splits.splits, strict=True)]


def question(name, text, labels=("wealth",), split=None):
    """Return an example."""
    return Example(name, text, labels, split, "label")


def split_of(example, others):
    """Return what becomes of one example among others."""
    splits = assign_splits(dataset([*others, example]), PLAN)
    return splits.splits[-1], splits.roles[-1]


@pytest.fixture(scope="module")
def frozen():
    """Toy examples that all have a split."""
    examples = toy_examples(LABELS)
    return with_splits(examples, assign_splits(dataset(examples), PLAN))


def test_every_role_gets_its_share_of_every_intent():
    examples = toy_examples(LABELS, each=100, out_of_scope=100)
    splits = assign_splits(dataset(examples), PLAN)
    for wanted in (("wealth",), ("love",), ()):
        roles = Counter(role for example, role in zip(examples, splits.roles, strict=True) if example.labels == wanted)
        assert min(roles[role] for role in (TEST, FIT, VALIDATION, CALIBRATION)) >= 8


def test_no_more_is_set_aside_than_tells_something():
    examples = toy_examples(LABELS, each=100, out_of_scope=100)
    splits = assign_splits(dataset(examples), quick_plan(most_set_aside=12))
    counts = Counter(splits.roles)
    assert counts[VALIDATION] == counts[CALIBRATION] == 12
    assert counts[FIT] > 250


def test_what_has_a_split_keeps_it_and_order_changes_nothing(frozen):
    new = toy_examples(LABELS, seed=7)
    together = assign_splits(dataset([*frozen, *new]), PLAN)
    assert list(together.splits[:len(frozen)]) == [example.split for example in frozen]
    turned = assign_splits(dataset([*new[::-1], *frozen]), PLAN)
    assert list(turned.splits[:len(new)]) == list(together.splits[len(frozen):])[::-1]


def test_nothing_near_a_test_example_is_trained_on(frozen):
    near = [question(f"near-{example.id}", example.text + " 7", example.labels) for example in frozen]
    examples = [*frozen, *near]
    splits = assign_splits(dataset(examples), PLAN)
    found = find_near_duplicates([example.text for example in examples])
    side = {}
    for form, role in zip(found.form_of.tolist(), splits.roles, strict=True):
        side.setdefault(form, set()).add(TEST if role == TEST else LEFT_OUT if role == LEFT_OUT else TRAIN)
    tested = [form for form, sides in side.items() if TEST in sides]
    assert len(tested) > 10
    assert any(found.near[form] for form in tested)
    for form in tested:
        assert TRAIN not in side[form].union(*(side[other] for other in found.near[form]))


@pytest.mark.parametrize("frozen_split", [TEST, TRAIN])
def test_a_new_example_follows_its_near_duplicate(frozen, frozen_split):
    old = question("old", "我今年的财运怎么样啊", split=frozen_split)
    assert split_of(question("twin", "我今年的财运怎么样啊？"), [*frozen, old])[0] == frozen_split
    assert split_of(question("near", "我今年的财运怎么样"), [*frozen, old])[0] == frozen_split


def test_a_new_example_between_both_sides_is_used_for_neither(frozen):
    sides = [question("a", "我今年的财运到底怎么样啊", split=TEST),
             question("b", "请问我今年的财运到底怎么样", split=TRAIN)]
    assert split_of(question("between", "我今年的财运到底怎么样"), [*frozen, *sides]) == (None, LEFT_OUT)


def test_a_training_example_near_a_test_example_keeps_its_split_and_is_left_out(frozen):
    old = question("old", "我今年的财运怎么样啊", split=TEST)
    assert split_of(question("near", "我今年的财运怎么样", split=TRAIN), [*frozen, old]) == (TRAIN, LEFT_OUT)


def test_the_seed_moves_validation_and_never_the_test_set():
    examples = dataset(toy_examples(LABELS))
    first, second = (assign_splits(examples, quick_plan(seed=seed)) for seed in (0, 1))
    assert first.splits == second.splits
    assert first.roles != second.roles


def test_one_kind_of_example_is_refused_with_its_count():
    examples = [question(str(number), f"{'abc'[number % 3]}{number * 7919}") for number in range(60)]
    with pytest.raises(TooFewExamplesError, match=r"nothing to tell apart.*wealth: \d+"):
        assign_splits(dataset(examples, ("wealth",)), PLAN)


def test_the_same_question_again_and_again_is_refused():
    frozen_test = [question("tested", "什么时候能发财", split=TEST)]
    examples = [question(str(number), "我会结婚吗", (LABELS[0],) if number % 2 else (), TRAIN) for number in range(20)]
    with pytest.raises(TooFewExamplesError, match="ask the same"):
        assign_splits(dataset([*frozen_test, *examples], LABELS[:1]), PLAN)


def test_nothing_is_set_aside_where_the_recipe_cross_validates():
    examples = dataset(toy_examples(LABELS))
    splits, whole = assign_splits(examples, PLAN), assign_splits(examples, quick_plan(recipe="head"))
    assert whole.splits == splits.splits
    assert set(whole.roles) <= {FIT, TEST, LEFT_OUT}
    assert {row for row in range(len(examples.examples)) if whole.roles[row] == FIT} == {
        row for role in (FIT, VALIDATION, CALIBRATION) for row in splits.rows(role)}


def test_an_intent_without_examples_is_refused_by_name(frozen):
    with pytest.raises(TooFewExamplesError, match="study: 0"):
        assign_splits(dataset(frozen, (*LABELS, "study")), PLAN)


def test_no_test_set_is_refused():
    examples = [replace(example, split=TRAIN) for example in toy_examples(LABELS)]
    with pytest.raises(TooFewExamplesError, match="none of the"):
        assign_splits(dataset(examples), PLAN)


def test_the_file_has_a_line_for_each_example(tmp_path, frozen):
    splits = assign_splits(dataset(frozen), PLAN)
    write_splits(tmp_path / "splits.jsonl", dataset(frozen), splits)
    rows = [json.loads(line) for line in (tmp_path / "splits.jsonl").read_text().splitlines()]
    assert [(row["id"], row["split"], row["role"]) for row in rows] == list(
        zip([example.id for example in frozen], splits.splits, splits.roles, strict=True))
