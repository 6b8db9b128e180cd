"""The errors of training, each with a message for the person who started it.

    ConchError
    └── TrainingError               anything that stops a training; what was there before stays as it was
        ├── DatasetError            a snapshot is damaged or not of the format that is expected
        ├── TooFewExamplesError     an intent has too few examples, or all examples say the same; names the counts
        ├── CheckpointError         an encoder or a trained checkpoint cannot be read, or is of an unsupported kind
        └── GateError               two sets of scores cannot be compared
"""

from export.contract import ConchError


class TrainingError(ConchError):
    """A training stopped; checkpoints that were there before are untouched."""


class DatasetError(TrainingError):
    """A snapshot is damaged, or is not of the format that is expected."""


class TooFewExamplesError(TrainingError):
    """An intent has too few examples to learn from, or there is nothing to tell apart."""


class CheckpointError(TrainingError):
    """An encoder or a trained checkpoint cannot be read, or is of a kind that is not supported."""


class GateError(TrainingError):
    """Challenger and champion were not scored on the same test set, or the test set is empty."""
