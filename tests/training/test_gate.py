from dataclasses import replace

import numpy as np
import pytest

from training.errors import GateError
from training.gate import FAIL, INCONCLUSIVE, PASS, GateRules, Scored, judge

LABELS = ("wealth", "love", "health")
RULES = GateRules(min_examples=50)
COUNT = 400


def truth_labels(count=COUNT):
    """Return one label for each example in turn, and none for every fourth."""
    return [() if number % 4 == 3 else (LABELS[number % 4],) for number in range(count)]


def scored(share_wrong, count=COUNT, seed=0, labels=LABELS, latency_ms=20.0, wrong_label=None):
    """Return calibrated scores that are right but for a share of the examples, or of the examples of one label."""
    random = np.random.default_rng(seed)
    scores = np.full((count, len(labels)), 0.01)
    for row, found in enumerate(truth_labels(count)):
        is_wrong = random.random() < share_wrong and (wrong_label is None or wrong_label in found)
        for label in found:
            if label in labels:
                scores[row, labels.index(label)] = 0.05 if is_wrong else 0.97
    return Scored(labels, np.full(len(labels), 0.5), scores, latency_ms)


def check_of(verdict, name):
    """Return the verdict of one check."""
    return next(check.verdict for check in verdict.checks if check.name == name)


@pytest.mark.parametrize(("challenger", "champion", "expected"), [
    (scored(0.01), scored(0.25, seed=1), PASS),                             # clearly better
    (scored(0.25, seed=1), scored(0.01), FAIL),                             # clearly worse
    (scored(0.1), scored(0.1), INCONCLUSIVE),                               # the same
    (scored(0.1), scored(0.11, seed=1), INCONCLUSIVE),                      # too close to tell
    (scored(0.01, latency_ms=500.0), scored(0.25, seed=1), FAIL),           # better, but too slow
    (scored(0.01, latency_ms=None), scored(0.25, seed=1), INCONCLUSIVE),    # better, but nobody measured how slow
    (scored(0.05), None, PASS),                                             # the first version
    (scored(0.8), None, FAIL),                                              # the first version, and no good
])
def test_verdicts(challenger, champion, expected):
    assert judge(truth_labels(), challenger, champion, RULES).verdict == expected


def test_few_examples_prove_nothing():
    verdict = judge(truth_labels(40), scored(0.0, 40), scored(0.5, 40, seed=1), RULES)
    assert check_of(verdict, "test examples") == INCONCLUSIVE
    assert verdict.verdict == INCONCLUSIVE


def test_a_loss_of_one_intent_fails_what_is_better_on_the_whole():
    champion = scored(0.5, seed=1)
    champion.scores[:, 0] = scored(0.0).scores[:, 0]
    verdict = judge(truth_labels(), scored(0.4, wrong_label="wealth"), champion, RULES)
    assert check_of(verdict, "macro-F1 gain") == PASS
    assert check_of(verdict, "F1 of wealth") == FAIL
    assert verdict.verdict == FAIL


def test_a_loss_of_a_rare_intent_that_may_be_chance_is_inconclusive():
    rare = [(LABELS[0],) if number < 4 else found for number, found in enumerate(truth_labels())]
    labels = ("rare", *LABELS)
    truths = [("rare",) if number < 4 else found for number, found in enumerate(rare)]

    def with_rare(base, hits):
        scores = np.column_stack([np.full(COUNT, 0.01), base.scores])
        scores[:4], scores[:hits, 0] = 0.01, 0.97
        return Scored(labels, np.full(4, 0.5), scores, 20.0)

    verdict = judge(truths, with_rare(scored(0.01), 3), with_rare(scored(0.25, seed=1), 4), RULES)
    assert check_of(verdict, "F1 of rare") == INCONCLUSIVE


def test_scores_that_promise_too_much_fail():
    challenger = scored(0.02)
    verdict = judge(truth_labels(), replace(challenger, scores=challenger.scores * 0.6), None,
                    replace(RULES, min_macro_f1=0.1))
    assert check_of(verdict, "expected calibration error") == FAIL


def test_scores_that_may_promise_too_much_by_chance_are_inconclusive():
    random = np.random.default_rng(3)
    scores = np.column_stack([np.full(COUNT, 0.01), random.uniform(0.7, 0.9, COUNT), np.full(COUNT, 0.01)])
    truth = [("love",) if hit else () for hit in random.random(COUNT) < 0.71]
    verdict = judge(truth, Scored(LABELS, np.full(3, 0.5), scores, 20.0), None, replace(RULES, min_macro_f1=0.1))
    assert check_of(verdict, "expected calibration error") == INCONCLUSIVE


def test_a_champion_that_lacks_a_new_intent_never_decides_it_and_is_not_checked_on_it():
    champion = scored(0.0, labels=LABELS[:2])
    verdict = judge(truth_labels(), scored(0.0), champion, RULES)
    assert verdict.champion["macro_f1"] == pytest.approx(2 / 3)
    assert verdict.label_gains["health"].value == 1.0
    assert verdict.verdict == PASS


def test_figures_and_gain_agree():
    verdict = judge(truth_labels(), scored(0.02), scored(0.2, seed=1), RULES)
    gain = next(check.measured for check in verdict.checks if check.name == "macro-F1 gain")
    assert gain.startswith(f"{verdict.challenger['macro_f1'] - verdict.champion['macro_f1']:+.4f} ")


def test_the_same_answers_give_the_same_verdict():
    first, second = (judge(truth_labels(), scored(0.1), scored(0.15, seed=1), RULES) for _ in range(2))
    assert first == second


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(GateError, match="no example with an intent"):
        judge([()] * COUNT, scored(0.0), None, RULES)
    with pytest.raises(GateError, match="champion has scores of shape"):
        judge(truth_labels(), scored(0.0), scored(0.0, 10), RULES)
    broken = scored(0.0)
    broken.scores[0, 0] = np.nan
    with pytest.raises(GateError, match="not numbers"):
        judge(truth_labels(), broken, None, RULES)
