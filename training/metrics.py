"""Figures of multi-label decisions against the truth. Pure numbers; knows nothing of models."""

import numpy as np


def decide(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return which labels hold; `scores` float [examples, labels], `thresholds` float [labels]; bool of that shape."""
    return scores >= thresholds


def label_f1(decided: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return each label's F1; bool [examples, labels] each; float64 [labels], 0 where it is never met nor decided."""
    hits = (decided & truth).sum(axis=0)
    return _f1(hits, decided.sum(axis=0) + truth.sum(axis=0))


def macro_f1(decided: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean F1 of the labels that occur in `truth`; 0 where none does."""
    occurs = truth.any(axis=0)
    return float(label_f1(decided, truth)[occurs].mean()) if occurs.any() else 0.0


def micro_f1(decided: np.ndarray, truth: np.ndarray) -> float:
    """Return the F1 over all decisions together."""
    return float(_f1((decided & truth).sum(), decided.sum() + truth.sum()))


def exact_matches(decided: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return for which examples all labels are right; bool [examples]."""
    return (decided == truth).all(axis=1)


def out_of_scope_recall(decided: np.ndarray, truth: np.ndarray) -> float | None:
    """Return the share of out-of-scope examples for which no label is decided; None where there are none."""
    outside = ~truth.any(axis=1)
    return float((~decided[outside].any(axis=1)).mean()) if outside.any() else None


def best_label_accuracy(scores: np.ndarray, decided: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of in-scope examples that are held in scope and whose best label is true; 0 where none is."""
    inside = truth.any(axis=1)
    best_is_true = truth[np.arange(len(truth)), scores.argmax(axis=1)]
    return float((best_is_true & decided.any(axis=1))[inside].mean()) if inside.any() else 0.0


def decision_figures(scores: np.ndarray, thresholds: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return the figures that a checkpoint states of a set of examples; `truth` bool [examples, labels]."""
    decided = decide(scores, thresholds)
    figures = {"examples": float(len(truth)), "macro_f1": macro_f1(decided, truth),
               "micro_f1": micro_f1(decided, truth), "exact_match": float(exact_matches(decided, truth).mean()),
               "in_scope_accuracy": best_label_accuracy(scores, decided, truth)}
    recall = out_of_scope_recall(decided, truth)
    return figures if recall is None else {**figures, "out_of_scope_recall": recall}


def _f1(hits: np.ndarray, total: np.ndarray) -> np.ndarray:
    """F1 = 2 · hits / (decided + true), 0 where nothing was decided nor true."""
    return 2 * hits / np.maximum(total, 1)
