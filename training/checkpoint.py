"""Writes and reads trained checkpoints: encoder/, head.safetensors and intent.json, which the export takes.

Knows nothing of how they were trained.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors.torch import load_file, save_file

from export.contract import ENCODER_FOLDER, HEAD_FILE, INTENT_FILE, INTENT_FORMAT
from training.encoder import Encoder
from training.errors import CheckpointError
from training.head import Head


@dataclass(frozen=True, kw_only=True)
class IntentCard:
    """What intent.json says beside its format."""

    labels: tuple[str, ...]
    thresholds: tuple[float, ...]      # a label holds where its score reaches its threshold, [labels]
    temperature: float                 # score = sigmoid(logit / temperature)
    prompt_name: str | None
    dataset_sha256: str
    base: dict[str, str | None]        # "source" and "revision" of the encoder that the first training began with
    recipe: str
    seed: int
    metrics: dict[str, float]          # on the frozen test set


def write_checkpoint(directory: Path, encoder: Encoder, head: Head, card: IntentCard) -> None:
    """Write the checkpoint; intent.json comes last, so that a directory that has one is whole."""
    encoder.save(directory / ENCODER_FOLDER)
    tensors = {"weight": head.weight.contiguous(), "bias": head.bias.contiguous()}
    save_file(tensors, str(directory / HEAD_FILE))
    text = json.dumps({"format": INTENT_FORMAT, **asdict(card)}, ensure_ascii=False, indent=2)
    partial = directory / f"{INTENT_FILE}.partial"
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(directory / INTENT_FILE)


def read_card(directory: Path) -> IntentCard:
    """Read intent.json; raises CheckpointError naming the file and what is wrong with it."""
    path = directory / INTENT_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.pop("format") != INTENT_FORMAT:
            raise ValueError(f"its format is not {INTENT_FORMAT}")
        document |= {name: tuple(document[name]) for name in ("labels", "thresholds")}
        card = IntentCard(**document)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} does not describe a trained checkpoint: {error!r}") from error
    if len(card.labels) != len(card.thresholds):
        raise CheckpointError(f"{path} has {len(card.labels)} labels but {len(card.thresholds)} thresholds")
    return card


def read_head(directory: Path) -> Head:
    """Read head.safetensors; raises CheckpointError when it does not fit intent.json."""
    path, labels = directory / HEAD_FILE, read_card(directory).labels
    try:
        tensors = load_file(str(path))
        head = Head(tensors["weight"].float(), tensors["bias"].float())
    except Exception as error:  # safetensors raises an exception class of its own
        raise CheckpointError(f"{path} cannot be read: {error!r}") from error
    if head.weight.ndim != 2 or len(head.weight) != len(labels) or head.bias.shape != (len(labels),):
        raise CheckpointError(f"{path} has a weight of shape {tuple(head.weight.shape)} and a bias of shape "
                              f"{tuple(head.bias.shape)} for {len(labels)} labels")
    return head
