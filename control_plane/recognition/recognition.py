"""What came out of recognising a question. Values, nothing more."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

# The stage before the local model in an experiment: the version that is tried.
TREATMENT_MODEL = "treatment_model"


@dataclass(frozen=True)
class Scores:
    """What the local model says of every label, and from which score on a label holds."""

    scores: Mapping[str, float]
    thresholds: Mapping[str, float]
    model_version: str
    latency_ms: float = 0.0

    def held(self) -> dict[str, float]:
        """Return the labels that hold with their scores, the surest first."""
        held = {label: score for label, score in self.scores.items() if score >= self.thresholds[label]}
        return dict(sorted(held.items(), key=lambda item: -item[1]))

    def under(self, names: Mapping[str, str]) -> "Scores":
        """Return the same under other names, label -> name. Labels that share one become one, with the largest score.

        It holds where one of them does: its threshold is the lowest of those that hold, or else that of the largest.
        """
        if all(label == name for label, name in names.items()):
            return self
        sharing: dict[str, list[tuple[float, float]]] = {}
        for label, score in self.scores.items():
            sharing.setdefault(names[label], []).append((score, self.thresholds[label]))
        held = {name: [threshold for score, threshold in pairs if score >= threshold]
                for name, pairs in sharing.items()}
        return replace(self, scores={name: max(pairs)[0] for name, pairs in sharing.items()},
                       thresholds={name: min(held[name], default=max(pairs)[1]) for name, pairs in sharing.items()})


@dataclass(frozen=True)
class Recognition:
    """The answer to one question; without intents it is out of scope."""

    intents: Mapping[str, float]          # with their scores, the surest first
    confidence: float                     # of the answer as a whole, 0 to 1
    method: str                           # control_plane.questions.tables.METHODS
    model: Scores | None = None           # what the local model said, where it answered
    rule_ids: tuple[int, ...] = ()        # of the rules that matched, whether they were needed or not
    called_llm: bool = False
    failed_stages: Mapping[str, str] = field(default_factory=dict)  # stage -> the name of its problem
