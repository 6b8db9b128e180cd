"""What the platform answered to one question, as those who answer hand it to the log. Does not know where it goes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# The distance of a prediction that no threshold was asked about: nothing says that it is doubtful.
_NO_DOUBT = 1.0


@dataclass(frozen=True)
class Prediction:
    """One question and its answer. Question and subject are personal data and are never written as they are."""

    question: str
    intents: tuple[str, ...]                  # empty: out of scope
    confidence: float
    method: str                               # one of tables.METHODS
    latency_ms: float                         # of the whole answer
    has_consent: bool                         # without it the question is counted and not kept
    model_version: str = ""                   # empty: no model answered
    scores: Mapping[str, float] = field(default_factory=dict)      # of every label
    thresholds: Mapping[str, float] = field(default_factory=dict)  # of every label
    time_intent: Mapping | None = None        # in its JSON form
    subject: str | None = None                # who asked, as the product names them
    called_llm: bool = False
    variant: str | None = None                # arm of the experiment that the question was part of


def uncertainty(scores: Mapping[str, float], thresholds: Mapping[str, float]) -> float:
    """Return the distance of the closest score to its threshold, small where a prediction is doubtful, at most 1.

    It is 1 where no label has both: keyword rules and LLMs have no thresholds, and an outage must not fill the
    labelling queue with what they answered.
    """
    return min((abs(scores[label] - threshold) for label, threshold in thresholds.items() if label in scores),
               default=_NO_DOUBT)
