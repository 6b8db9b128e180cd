"""What a training starts from: the labelled questions at one moment. A value, nothing more."""

from collections import Counter
from dataclasses import dataclass

from control_plane.labelling.examples import LabelledExample

OUT_OF_SCOPE = "(out of scope)"


@dataclass(frozen=True)
class TrainingData:
    """Every labelled question that a dataset may have, with the taxonomy that its labels are of."""

    taxonomy_revision: int
    labels: tuple[str, ...]
    examples: tuple[LabelledExample, ...]

    def counts(self) -> dict[str, int]:
        """Return how many questions have each intent; those without any are counted as out of scope."""
        found = Counter(label for example in self.examples for label in example.labels or (OUT_OF_SCOPE,))
        return {label: found[label] for label in (*self.labels, OUT_OF_SCOPE)}
