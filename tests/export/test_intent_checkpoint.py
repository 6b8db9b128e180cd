"""Reading a trained checkpoint: what it says is what comes out, and what is damaged is named with file and field."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer

from export.contract import ENCODER_FOLDER, HEAD_FILE, INTENT_FILE
from export.errors import IntentCheckpointError, UnsupportedModelError
from export.intent_checkpoint import is_intent_checkpoint, load_intent_checkpoint
from tests.conftest import PROMPTS
from tests.export.checkpoints import HIDDEN, INTENTS, build_intent_checkpoint, edit_json
from tests.tolerances import FP32_RELATIVE_ERROR

TEXTS = ["", "我今年财运怎么样？", "a longer question about the model " * 10]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return build_intent_checkpoint(tmp_path_factory.mktemp("sound"), prompt_name="query", prompts=PROMPTS)


@pytest.fixture
def checkpoint(sound, tmp_path):
    """A checkpoint whose two small files a test may damage; the encoder is shared."""
    for name in (INTENT_FILE, HEAD_FILE):
        (tmp_path / name).write_bytes((sound / name).read_bytes())
    (tmp_path / ENCODER_FOLDER).symlink_to(sound / ENCODER_FOLDER)
    return tmp_path


def test_what_the_files_say_is_what_comes_out(sound):
    loaded = load_intent_checkpoint(sound)
    assert is_intent_checkpoint(sound)
    assert not is_intent_checkpoint(sound / ENCODER_FOLDER)
    assert (loaded.labels, loaded.thresholds) == (INTENTS, (0.5, 0.4, 0.3))
    assert (loaded.source, loaded.revision, loaded.dataset_sha256) == ("hub:org/base", "r7", "ab" * 32)
    assert (loaded.head.temperature, loaded.model.default_prompt_name) == (1.5, "query")
    assert loaded.metrics == {"macro_f1": 0.75}  # neither a table nor what could not be computed


@pytest.mark.parametrize("prompt_name", [None, "passage"])
def test_scores_are_the_calibrated_sigmoid_of_the_head_on_unit_embeddings(sound, prompt_name):
    model = SentenceTransformer(str(sound / ENCODER_FOLDER), device="cpu")
    prompt = PROMPTS[prompt_name or "query"]
    embeddings = model.encode([prompt + text for text in TEXTS], normalize_embeddings=True, batch_size=1)
    head = {name: tensor.numpy().astype(np.float64) for name, tensor in load_file(sound / HEAD_FILE).items()}
    expected = 1 / (1 + np.exp(-(embeddings @ head["weight"].T + head["bias"]) / 1.5))
    found = load_intent_checkpoint(sound).scores(TEXTS, prompt_name)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=FP32_RELATIVE_ERROR)


@pytest.mark.parametrize(("changes", "field"), [
    ({"labels": []}, "labels"), ({"labels": None}, "labels"), ({"labels": ["a", 2, "c"]}, "labels"),
    ({"labels": ["a", "", "c"]}, "labels"), ({"labels": ["a", "b", "a"]}, "labels.*names a more than once"),
    ({"thresholds": [0.5, 0.5]}, "thresholds.*3 numbers"), ({"thresholds": [0.5, 0.5, 1.5]}, "thresholds"),
    ({"thresholds": [0.5, 0.5, True]}, "thresholds"), ({"thresholds": [0.5, 0.5, math.nan]}, "thresholds"),
    ({"temperature": 0}, "temperature"), ({"temperature": math.inf}, "temperature"), ({"temperature": "1"}, "temper"),
    ({"prompt_name": "question"}, "prompt_name.*it has query, "), ({"base": "org/base"}, "base"),
    ({"base": {"source": "x", "revision": 3}}, "base"), ({"dataset_sha256": None}, "dataset_sha256"),
    ({"metrics": [1]}, "metrics"),
])
def test_a_field_that_cannot_be_used_is_named(checkpoint, changes, field):
    edit_json(checkpoint / INTENT_FILE, **changes)
    with pytest.raises(IntentCheckpointError, match=f"{INTENT_FILE}: field '{field}"):
        load_intent_checkpoint(checkpoint)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 2}', json.dumps({"format": None})])
def test_a_description_that_is_none_is_named(checkpoint, content):
    (checkpoint / INTENT_FILE).write_text(content)
    with pytest.raises(IntentCheckpointError, match=INTENT_FILE):
        load_intent_checkpoint(checkpoint)


@pytest.mark.parametrize(("changes", "says"), [
    ({"weight": torch.zeros(2, HIDDEN)}, r"'weight' must be torch.float32 \(3, 32\).*found torch.float32 \(2, 32\)"),
    ({"weight": torch.zeros(3, HIDDEN + 1)}, r".*found torch.float32 \(3, 33\)"),
    ({"weight": torch.zeros(3, HIDDEN, dtype=torch.float16)}, ".*found torch.float16"),
    ({"bias": torch.zeros(3, 1)}, r"'bias' must be torch.float32 \(3,\)"),
    ({"bias": None}, "'bias'.*found nothing"),
    ({"weight": torch.full((3, HIDDEN), math.nan)}, "'weight' holds numbers that are not finite"),
    ({"bias": torch.full((3,), math.inf)}, "'bias' holds numbers that are not finite"),
])
def test_a_head_of_the_wrong_shape_type_or_numbers_is_refused(checkpoint, changes, says):
    tensors = {**load_file(checkpoint / HEAD_FILE), **changes}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, checkpoint / HEAD_FILE)
    with pytest.raises(IntentCheckpointError, match=f"{HEAD_FILE}: {says}"):
        load_intent_checkpoint(checkpoint)


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(file.read_bytes()[:50])],
                         ids=["missing", "truncated"])
def test_a_head_that_cannot_be_read_is_named(checkpoint, damage):
    damage(checkpoint / HEAD_FILE)
    with pytest.raises(IntentCheckpointError, match=f"{HEAD_FILE} cannot be read"):
        load_intent_checkpoint(checkpoint)


def test_a_missing_encoder_is_named(checkpoint):
    (checkpoint / ENCODER_FOLDER).unlink()
    with pytest.raises(UnsupportedModelError, match=ENCODER_FOLDER):
        load_intent_checkpoint(checkpoint)
