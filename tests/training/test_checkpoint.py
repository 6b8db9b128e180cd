import json

import pytest
import torch

from export.contract import INTENT_FILE
from training.checkpoint import IntentCard, read_card, read_head, write_checkpoint
from training.encoder import Encoder
from training.errors import CheckpointError
from training.head import Head

CARD = IntentCard(labels=("财运", "love"), thresholds=(0.4, 0.5), temperature=1.5, prompt_name="query",
                  dataset_sha256="ab", base={"source": "path:small", "revision": None}, recipe="head", seed=3,
                  metrics={"macro_f1": 0.9})


@pytest.fixture
def checkpoint(small_checkpoint, tmp_path):
    """A written checkpoint."""
    head = Head(torch.arange(64.0).reshape(2, 32), torch.tensor([1.0, 2.0]))
    write_checkpoint(tmp_path, Encoder(small_checkpoint, None, None, "fp32"), head, CARD)
    return tmp_path


def test_what_was_written_is_read(checkpoint):
    assert read_card(checkpoint) == CARD
    head = read_head(checkpoint)
    assert head.weight.tolist() == torch.arange(64.0).reshape(2, 32).tolist()
    assert head.logits(torch.ones(1, 32)).tolist() == [[sum(range(32)) + 1, sum(range(32, 64)) + 2]]


@pytest.mark.parametrize(("change", "message"), [
    ({"format": 2}, "format is not 1"), ({"thresholds": [0.5]}, "2 labels but 1 thresholds"),
    ({"surprise": 1}, "surprise"), ({"labels": 3}, "does not describe"),
])
def test_a_wrong_description_is_refused(checkpoint, change, message):
    document = json.loads((checkpoint / INTENT_FILE).read_text(encoding="utf-8"))
    (checkpoint / INTENT_FILE).write_text(json.dumps(document | change))
    with pytest.raises(CheckpointError, match=message):
        read_card(checkpoint)


def test_a_head_for_other_labels_is_refused(checkpoint):
    document = json.loads((checkpoint / INTENT_FILE).read_text(encoding="utf-8"))
    document |= {"labels": ["a", "b", "c"], "thresholds": [0.5] * 3}
    (checkpoint / INTENT_FILE).write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match="for 3 labels"):
        read_head(checkpoint)
