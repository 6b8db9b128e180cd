"""A trained checkpoint becomes a version that scores as the original does, or nothing at all."""

import numpy as np
import pytest

from export.contract import CONFIG_FILE, INTENT, MODEL_FILE, TOKENIZER_FILE, version_numbers
from export.encoder_export import STEPS
from export.errors import IntentCheckpointError, ParityError, UnsupportedModelError
from export.golden import GOLDEN_TEXT
from export.intent_checkpoint import load_intent_checkpoint
from export.intent_export import export_intent
from export.intent_parity import MAX_SCORE_DIFFERENCE
from export.manifest import read_manifest, verify_files
from export.triton_config import intent_config
from serving.encoder.encoder import TextEncoder
from serving.encoder.options import EncodeOptions
from tests.export.checkpoints import HIDDEN, INTENTS, build_intent_checkpoint, edit_json, export_to
from tests.tolerances import FP32_RELATIVE_ERROR
from tests.versions import change_weights, read_tree

TEXTS = ["", "好", "我今年财运怎么样？", "two questions about the model server " * 9, "🙂", "word"]
PROMPTS = {"query": "query: ", "other": "其他："}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return build_intent_checkpoint(tmp_path_factory.mktemp("trained"), prompt_name="query", prompts=PROMPTS)


@pytest.fixture(scope="module")
def versions(checkpoint, tmp_path_factory):
    """Return {engine: version directory}."""
    repository = tmp_path_factory.mktemp("repository")
    return {engine: export_intent(checkpoint, engine, repository, engine, "fp32")
            for engine in ("openvino", "onnxruntime")}


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("prompt_name", [None, "other"])
def test_a_version_scores_as_the_original_does_alone_and_in_a_batch(checkpoint, versions, engine, prompt_name):
    encoder = TextEncoder.load(versions[engine], threads=2)
    expected = load_intent_checkpoint(checkpoint).scores(TEXTS, prompt_name)
    assert np.ptp(expected, axis=0).min() > 0.1  # all alike, they would prove nothing
    option = EncodeOptions(prompt_name=prompt_name)
    together = encoder.encode(TEXTS, [option] * len(TEXTS))
    alone = [encoder.encode([text], [option]).vectors[0] for text in TEXTS]
    assert together.vectors.dtype == np.float32
    np.testing.assert_allclose(together.vectors, expected, atol=FP32_RELATIVE_ERROR)
    np.testing.assert_allclose(np.array(alone), expected, atol=FP32_RELATIVE_ERROR)


def test_a_version_says_what_its_labels_are_and_how_it_was_proven(checkpoint, versions):
    version = versions["openvino"]
    manifest = read_manifest(version)
    verify_files(version, manifest)
    assert (manifest.task, manifest.engine, manifest.precision) == (INTENT, "openvino", "fp32")
    assert (manifest.labels, manifest.thresholds, manifest.temperature) == (INTENTS, (0.5, 0.4, 0.3), 1.5)
    assert (manifest.source, manifest.revision) == ("hub:org/base", "r7")
    assert (manifest.dataset_sha256, manifest.metrics) == ("ab" * 32, {"macro_f1": 0.75})
    assert (manifest.dimension, manifest.default_prompt, manifest.prompts["other"]) == (HIDDEN, "query", "其他：")
    assert set(manifest.files) == {MODEL_FILE, TOKENIZER_FILE}
    assert manifest.parity["max_score_difference"] <= manifest.parity["allowed_score_difference"]
    assert manifest.golden_text == GOLDEN_TEXT
    expected = load_intent_checkpoint(checkpoint).scores([GOLDEN_TEXT])[0]
    np.testing.assert_allclose(manifest.golden_scores, expected, atol=1e-6)
    assert manifest.golden_embedding == ()
    assert (version.parent / CONFIG_FILE).read_text() == intent_config("openvino")


def test_a_later_version_may_have_more_labels_and_another_encoder(checkpoint, tmp_path):
    grown = build_intent_checkpoint(tmp_path / "grown", (*INTENTS, "健康"), pooling=("cls", "mean"))
    heard = []
    first = export_intent(checkpoint, "intent", tmp_path / "repository", "onnxruntime", "fp32", heard.append)
    second = export_intent(grown, "intent", tmp_path / "repository", "onnxruntime", "fp32")
    assert (first.name, second.name) == ("1", "2")
    assert read_manifest(second).labels == (*INTENTS, "健康")
    assert read_manifest(second).dimension == 2 * HIDDEN
    assert tuple(heard) == STEPS


def test_int8_does_not_reach_the_bound(checkpoint, tmp_path):
    with pytest.raises(ParityError, match=f"{MAX_SCORE_DIFFERENCE} is allowed"):
        export_intent(checkpoint, "intent", tmp_path, "onnxruntime", "int8")
    assert version_numbers(tmp_path / "intent") == []


def test_other_scores_are_refused_and_the_repository_stays_byte_for_byte(checkpoint, tmp_path):
    export_intent(checkpoint, "intent", tmp_path, "onnxruntime", "fp32")
    before = read_tree(tmp_path)

    def damage(step: str) -> None:
        if step == "prove parity":
            change_weights(next((tmp_path / "intent").glob(".staging-*")), lambda matrix: matrix * 1.5)

    with pytest.raises(ParityError, match=r"scores differ.*the repository is unchanged"):
        export_intent(checkpoint, "intent", tmp_path, "onnxruntime", "fp32", damage)
    assert read_tree(tmp_path) == before


def test_a_checkpoint_that_contradicts_itself_leaves_no_model(tmp_path):
    checkpoint = build_intent_checkpoint(tmp_path / "trained")
    edit_json(checkpoint / "intent.json", labels=[*INTENTS, "one too many"])
    with pytest.raises(IntentCheckpointError):
        export_intent(checkpoint, "intent", tmp_path / "repository", "onnxruntime", "fp32")
    assert not (tmp_path / "repository").exists()


def test_a_precision_that_the_engine_lacks_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(UnsupportedModelError, match="onnxruntime has no precision bf16"):
        export_intent(tmp_path / "nothing", "intent", tmp_path, "onnxruntime", "bf16")


def test_a_name_keeps_its_task(checkpoint, versions, small_checkpoint):
    repository = versions["openvino"].parents[1]
    with pytest.raises(UnsupportedModelError, match=r"openvino is a model of task intent .* embedding.*--name"):
        export_to(repository, small_checkpoint, name="openvino")
