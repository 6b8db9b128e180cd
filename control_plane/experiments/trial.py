"""Who gets which arm of an experiment. Sticky, and the same in every process, without anything to remember."""

import hashlib
from dataclasses import dataclass

from control_plane.experiments.tables import CONTROL, SHADOW, TREATMENT, ExperimentRow


@dataclass(frozen=True)
class Trial:
    """The part that one question has in an experiment."""

    experiment: ExperimentRow
    arm: str

    @property
    def treatment(self) -> int | None:
        """The version that is asked before the control, None where it is not asked."""
        return self.experiment.treatment_version if self.arm == TREATMENT else None

    @property
    def variant(self) -> str:
        """What the question is logged with."""
        return self.experiment.variant(self.arm)


def enter(experiment: ExperimentRow, subject: str | None, question: str) -> Trial | None:
    """Return the part that a question has, None where it has none.

    In an A/B everybody with a name has one. Who has no name cannot be given the same arm again, and gets what there is
    without an experiment. A shadow answers nobody, so that the question itself will do for a name; the others of its
    questions than `share` have no part, so that both arms count the same ones.
    """
    if experiment.kind == SHADOW:
        is_shown = position(experiment.id, subject or question) < experiment.share
        return Trial(experiment, CONTROL) if is_shown else None
    if subject is None:
        return None
    return Trial(experiment, TREATMENT if position(experiment.id, subject) < experiment.share else CONTROL)


def position(experiment_id: str, unit: str) -> float:
    """Return where `unit` lies in [0, 1): the first 53 bits, as many as a float keeps, of SHA-256 of both.

    The id is hashed too, so that who got the treatment in one experiment is as likely as others to get it in the next.
    """
    digest = hashlib.sha256(f"{experiment_id}\0{unit}".encode("utf-8", "surrogatepass")).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2 ** 53
