"""Everything that a person may choose about a training; recorded with what comes out of it.

Knows nothing of data or models.
"""

from dataclasses import dataclass

HEAD, FULL = "head", "full"
RECIPES = (HEAD, FULL)


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """The choices behind a training; the defaults of `full` are those that benchmarks/INTENT.md was measured with."""

    recipe: str = FULL                 # HEAD: the encoder stays as it is; FULL: it is fine-tuned as well
    seed: int = 0
    prompt_name: str | None = None     # a prompt of the encoder, put before every question
    max_tokens: int = 64               # longer questions are cut while training, special tokens included
    precision: str = "auto"            # "fp32", "bf16", or "auto": bf16 where the processor or GPU has it

    test_share: float = 0.15           # of new groups of near-duplicates, by the hash of their key
    validation_share: float = 0.05     # of each intent's training examples, FULL: early stopping, calibration too
    calibration_share: float = 0.05    # of each intent's training examples, FULL: calibration and thresholds
    most_set_aside: int = 500          # about as many examples for either at most: more would hardly tell more
    min_examples: int = 8              # an intent with fewer examples outside the test set is refused

    batch_size: int = 64
    epochs: int = 8
    patience: int = 3                  # epochs worse on validation than the best before FULL stops
    encoder_learning_rate: float = 4e-4
    head_learning_rate: float = 5e-3
    layer_decay: float = 0.9           # each layer further from the head learns this much more slowly
    warmup_share: float = 0.1          # of all steps, during which the learning rate rises
    weight_decay: float = 0.01
    label_smoothing: float = 0.1
    class_weight_power: float = 0.5    # 0: examples count alike; 1: intents count alike, however rare
    save_every_steps: int = 100        # how much work a kill may cost FULL

    @property
    def sets_aside(self) -> bool:
        """Whether validation and calibration examples are set aside; HEAD cross-validates on all instead."""
        return self.recipe == FULL

    def __post_init__(self) -> None:
        """Raise ValueError naming the field that makes no sense."""
        _require(self.recipe in RECIPES, f"recipe must be one of {', '.join(RECIPES)}, not {self.recipe!r}")
        _require(self.precision in ("auto", "fp32", "bf16"), "precision must be auto, fp32 or bf16")
        for name in ("test_share", "validation_share", "calibration_share"):
            _require(0 < getattr(self, name) < 0.5, f"{name} must lie between 0 and 0.5")
        for name in ("batch_size", "epochs", "patience", "max_tokens", "most_set_aside", "save_every_steps"):
            _require(getattr(self, name) >= 1, f"{name} must be at least 1")
        _require(self.min_examples >= 3, "min_examples must be at least 3, so that something is left to cut")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)
