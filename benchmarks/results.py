"""What a benchmark run measured, and the figures drawn from it. Pure: no clocks, no processes, no Markdown."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median

import numpy as np


@dataclass(frozen=True)
class Scenario:
    """How many callers send how many texts at a time."""

    name: str
    concurrency: int
    texts_per_request: int

    @property
    def title(self) -> str:
        texts = "text" if self.texts_per_request == 1 else "texts"
        return f"{self.concurrency} callers, {self.texts_per_request} {texts} a request"


SCENARIOS = (Scenario("32x1", 32, 1), Scenario("4x32", 4, 32), Scenario("16x1", 16, 1))


@dataclass(frozen=True)
class Sample:
    """One measurement: a contestant's turn in one round."""

    contestant: str
    mix: str
    scenario: str
    round: int
    texts_per_s: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    client_cores: float | None = None  # processor time of the client per second measured


@dataclass(frozen=True)
class Spread:
    """Median, smallest and largest of the rounds."""

    median: float
    low: float
    high: float


@dataclass
class Results:
    """Everything that the report is made from; survives a round trip through JSON."""

    machine: dict[str, str]
    versions: dict[str, str]
    conditions: dict[str, str]
    settings: dict[str, str]
    samples: list[Sample] = field(default_factory=list)
    min_cosines: dict[str, float] = field(default_factory=dict)

    def to_document(self) -> dict:
        """Return plain dictionaries and lists."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: dict) -> "Results":
        """Rebuild what to_document gave."""
        return cls(**{**document, "samples": [Sample(**sample) for sample in document["samples"]]})

    def values(self, contestant: str, mix: str, scenario: str, field_name: str = "texts_per_s") -> dict[int, float]:
        """Return one figure of one contestant by round; empty where it was not measured."""
        chosen = (sample for sample in self.samples
                  if (sample.contestant, sample.mix, sample.scenario) == (contestant, mix, scenario))
        return {sample.round: getattr(sample, field_name) for sample in chosen
                if getattr(sample, field_name) is not None}

    def spread(self, contestant: str, mix: str, scenario: str, field_name: str = "texts_per_s") -> Spread | None:
        """Return the spread of one figure over the rounds, None where it was not measured."""
        return spread_of(list(self.values(contestant, mix, scenario, field_name).values()))


def spread_of(values: Sequence[float]) -> Spread | None:
    """Return median, smallest and largest, None for no values."""
    return Spread(median(values), min(values), max(values)) if values else None


def ratio_of(numerator: dict[int, float], denominator: dict[int, float]) -> Spread | None:
    """Return the spread of the ratio, taken round by round.

    The speed of a machine drifts over minutes; two turns of one round lie close together.
    """
    rounds = numerator.keys() & denominator.keys()
    return spread_of([numerator[number] / denominator[number] for number in sorted(rounds)])


def min_cosine(reference: np.ndarray, embeddings: np.ndarray) -> float:
    """Return the lowest cosine between rows of the same index; both are [rows, dimension]."""
    dots = np.sum(reference.astype(np.float64) * embeddings, axis=1)
    lengths = np.linalg.norm(reference, axis=1) * np.linalg.norm(embeddings, axis=1)
    return float(np.min(dots / lengths))
