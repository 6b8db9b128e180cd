import json

import numpy as np
import pytest

from benchmarks.intent import figures_of, read_clinc, read_smp
from training.dataset import TEST, TRAIN
from training.gate import Scored

THRESHOLDS = np.full(2, 0.5)


def test_figures_are_of_the_best_label_in_scope():
    scores = np.array([[0.9, 0.1], [0.2, 0.6], [0.7, 0.3], [0.1, 0.2]])
    figures = figures_of(Scored(("a", "b"), THRESHOLDS, scores), [("a",), ("b",), ("b",), ()])
    assert figures["accuracy"] == pytest.approx(2 / 3)
    assert figures["best_label_macro_f1"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert "oos_recall_at_0.95" not in figures


def test_out_of_scope_recall_is_taken_where_95_of_100_are_still_right():
    inside = np.column_stack([np.linspace(0.5, 0.995, 100), np.full(100, 0.1)])
    outside = np.array([[0.6, 0.1], [0.51, 0.2], [0.3, 0.4], [0.2, 0.2]])
    truth = [("a",)] * 100 + [()] * 4
    figures = figures_of(Scored(("a", "b"), THRESHOLDS, np.concatenate([inside, outside])), [*truth])
    threshold = np.linspace(0.5, 0.995, 100)[5]
    assert figures["oos_recall_at_0.95"] == np.mean(outside.max(axis=1) < threshold) == 0.75


def test_the_sets_are_read_with_their_own_test_parts(tmp_path):
    clinc = tmp_path / "clinc.json"
    clinc.write_text(json.dumps({"train": [["hi", "greet"]], "oos_val": [["moo", "oos"]], "test": [["hey", "greet"]],
                                 "oos_test": [["baa", "oos"]]}))
    labels, examples = read_clinc(clinc)
    assert labels == ["greet"]
    assert [(each.text, each.labels, each.split) for each in examples] == [
        ("hi", ("greet",), TRAIN), ("moo", (), TRAIN), ("hey", ("greet",), TEST), ("baa", (), TEST)]
    smp = tmp_path / "smp.json"
    smp.write_text(json.dumps([{"split": split, "text": split, "label": "chat"} for split in ("develop", "test")]))
    assert [each.split for each in read_smp(smp)[1]] == [TRAIN, TEST]
