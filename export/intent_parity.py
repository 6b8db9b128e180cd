"""The parity gate of classifiers: the staged version must give the scores of the float32 original.

The golden texts and the way they are run are those of export.parity. Knows nothing of how the version was made.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.errors import ParityError
from export.intent_checkpoint import IntentCheckpoint
from export.parity import run_golden, shorten

# Of a score between 0 and 1, in any row of any batch; docs/decisions/0003 has the figures it comes from. A label can
# then hold here and not there only where its score lies this close to its threshold.
MAX_SCORE_DIFFERENCE = 0.03


@dataclass(frozen=True)
class ScoreParityFigures:
    """How close the exported scores are to the original's, over every label of every row of every batch."""

    max_score_difference: float
    allowed_score_difference: float
    changed_decisions: int    # labels that hold in one and not in the other, counted over all rows
    rows: int                 # rows compared
    batches: int              # batch compositions
    worst_text: str           # the text with the largest difference, shortened


def prove_score_parity(checkpoint: IntentCheckpoint, version_dir: Path) -> ScoreParityFigures:
    """Compare the staged version with `checkpoint`; raises ParityError with the figures when it differs too much."""
    rows = run_golden(checkpoint.model, version_dir, checkpoint.scores)
    differences = np.abs(rows.expected - rows.found).max(axis=1)
    worst = int(np.argmax(differences))  # NaN, where there is one
    thresholds = np.array(checkpoint.thresholds)
    figures = ScoreParityFigures(
        float(differences[worst]), MAX_SCORE_DIFFERENCE,
        int(np.sum((rows.expected >= thresholds) != (rows.found >= thresholds))), len(rows.texts), rows.batches,
        shorten(rows.texts[worst]))
    if not figures.max_score_difference <= MAX_SCORE_DIFFERENCE:  # also catches NaN
        raise ParityError(f"scores differ by up to {figures.max_score_difference:.4f} from the float32 original but "
                          f"{MAX_SCORE_DIFFERENCE} is allowed (worst text: {figures.worst_text!r}); the repository is "
                          "unchanged")
    return figures
