"""What a target should hold of one model: which versions, with which configuration. A value, nothing more."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Placement:
    """Versions of a model that should be ready, ascending; none of them means: not loaded."""

    model: str
    versions: tuple[int, ...] = ()
    configuration: dict[str, int] = field(default_factory=dict)
