"""Checkpoints are loaded without running anything that came with them, and refused by name when they need more."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file
from sentence_transformers.sentence_transformer.modules import Dense, Normalize

from export.checkpoint_model import check_checkpoint, load_sentence_transformer
from export.errors import UnsupportedModelError
from export.packed_body import FAMILIES
from tests.export.checkpoints import build_body, build_checkpoint, edit_json

TEXTS = ["Hello!", "你好", ""]


@pytest.fixture
def checkpoint(small_checkpoint, tmp_path):
    return shutil.copytree(small_checkpoint, tmp_path / "checkpoint")


@pytest.fixture
def malicious_pickle(tmp_path):
    """Return pickled bytes whose loading creates a file, and that file."""
    owned = tmp_path / "owned"

    class Payload:
        def __reduce__(self):
            return Path.touch, (owned,)

    return pickle.dumps(Payload()), owned


@pytest.mark.parametrize("body", FAMILIES)
def test_every_supported_body_is_accepted(tmp_path, body):
    check_checkpoint(build_body(tmp_path / body, body))


def test_a_model_is_loaded_for_inference_in_float32_on_the_cpu(checkpoint):
    edit_json(checkpoint / "config.json", dtype="float16")
    model = load_sentence_transformer(checkpoint)
    assert not model.training
    assert {(parameter.dtype, parameter.device.type) for parameter in model.parameters()} == {(torch.float32, "cpu")}


def test_a_checkpoint_without_modules_gets_mean_pooling_and_no_normalisation(tmp_path):
    model = load_sentence_transformer(build_body(tmp_path / "plain"))
    assert [type(module).__name__ for module in model] == ["Transformer", "Pooling"]
    assert model[1].pooling_mode == "mean"
    assert not model.training


def test_modules_of_the_older_package_layout_are_accepted(checkpoint):
    _edit_modules(checkpoint, lambda module: {
        **module, "type": "sentence_transformers.models." + module["type"].rpartition(".")[2]})
    check_checkpoint(checkpoint)


@pytest.mark.parametrize("kind", [
    "custom_code.Pooling", "sentence_transformers.sentence_transformer.modules.cnn.CNN",
    "sentence_transformers_evil.Pooling", "os.system", "Pooling", "",
])
def test_an_unknown_module_is_refused_by_name(checkpoint, kind):
    _edit_modules(checkpoint, lambda module: {**module, "type": kind} if module["idx"] == 1 else module)
    with pytest.raises(UnsupportedModelError, match=f"{kind!r} is not supported.*Pooling"):
        load_sentence_transformer(checkpoint)


@pytest.mark.parametrize("modules", [
    "", "{", "{}", "null", "[]", "[1]", '[{"idx": 0}]', '[{"type": 1, "path": ""}]',
    '[{"path": 5, "type": "sentence_transformers.Transformer"}]',
])
def test_a_malformed_module_list_is_refused_with_the_file_named(checkpoint, modules):
    (checkpoint / "modules.json").write_text(modules)
    with pytest.raises(UnsupportedModelError, match=r"modules\.json"):
        load_sentence_transformer(checkpoint)


def test_remote_code_of_the_body_is_refused(checkpoint):
    edit_json(checkpoint / "config.json", auto_map={"AutoModel": "modeling_evil.EvilModel"})
    with pytest.raises(UnsupportedModelError, match="remote code"):
        load_sentence_transformer(checkpoint)


def test_remote_code_of_the_tokeniser_is_never_run(checkpoint, tmp_path):
    owned = tmp_path / "owned"
    (checkpoint / "evil.py").write_text(f"from pathlib import Path\nPath({str(owned)!r}).touch()\nEvil = dict\n")
    edit_json(checkpoint / "tokenizer_config.json", tokenizer_class="Evil",
              auto_map={"AutoTokenizer": ["evil.Evil", "evil.Evil"]})
    with pytest.raises(UnsupportedModelError):
        load_sentence_transformer(checkpoint)
    assert not owned.exists()


@pytest.mark.parametrize("config", [
    transformers.T5Config(), transformers.BartConfig(), transformers.GPT2Config(), transformers.Qwen2Config(),
    transformers.DebertaV2Config(),
], ids=lambda config: config.model_type)
def test_seq2seq_decoder_and_unknown_bodies_are_refused_by_name(tmp_path, config):
    config.save_pretrained(tmp_path)
    with pytest.raises(UnsupportedModelError, match=f"'{config.model_type}' is not an encoder"):
        load_sentence_transformer(tmp_path)


def test_an_encoder_turned_into_a_decoder_is_refused(checkpoint):
    edit_json(checkpoint / "config.json", is_decoder=True)
    with pytest.raises(UnsupportedModelError, match="is_decoder"):
        load_sentence_transformer(checkpoint)


@pytest.mark.parametrize("config", ["", "{", "[]", "{}", "null", '{"model_type": ["bert"]}',
                                    '{"model_type": "bert", "hidden_size": "wide"}'])
def test_a_malformed_body_config_is_refused_with_the_file_named(checkpoint, config):
    (checkpoint / "config.json").write_text(config)
    with pytest.raises(UnsupportedModelError) as caught:
        load_sentence_transformer(checkpoint)
    assert str(checkpoint) in str(caught.value)


@pytest.mark.parametrize("activation", ["evil.Activation", "os.getcwd", "torch.hub.load", "builtins.print", 5])
def test_a_foreign_activation_is_refused_by_name(tmp_path, activation):
    checkpoint = build_checkpoint(tmp_path, heads=[lambda dimension: Dense(dimension, 16)])
    edit_json(checkpoint / "2_Dense" / "config.json", activation_function=activation)
    with pytest.raises(UnsupportedModelError, match=str(activation)):
        load_sentence_transformer(checkpoint)


def test_a_tokeniser_that_has_no_tokenizer_json_form_is_refused_by_name(checkpoint):
    edit_json(checkpoint / "tokenizer_config.json", tokenizer_class="BertJapaneseTokenizer",
              word_tokenizer_type="basic")
    with pytest.raises(UnsupportedModelError, match=r"BertJapaneseTokenizer has no tokenizer\.json"):
        load_sentence_transformer(checkpoint)


@pytest.mark.parametrize("where", ["", "2_Dense"])
def test_a_malicious_pickle_is_refused_and_never_run(tmp_path, malicious_pickle, where):
    payload, owned = malicious_pickle
    checkpoint = build_checkpoint(tmp_path, heads=[lambda dimension: Dense(dimension, 16)])
    (checkpoint / where / "model.safetensors").unlink()
    (checkpoint / where / "pytorch_model.bin").write_bytes(payload)
    with pytest.raises(UnsupportedModelError):
        load_sentence_transformer(checkpoint)
    assert not owned.exists()
    pickle.loads(payload)  # noqa: S301 - shows that the payload is live
    assert owned.exists()


@pytest.mark.parametrize("key", ["model_args", "model_kwargs"])
def test_a_checkpoint_cannot_switch_the_guard_against_pickles_off(checkpoint, malicious_pickle, key):
    payload, owned = malicious_pickle
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / "pytorch_model.bin").write_bytes(payload)
    edit_json(checkpoint / "sentence_bert_config.json", **{key: {"weights_only": False}})
    with pytest.raises(UnsupportedModelError):
        load_sentence_transformer(checkpoint)
    assert not owned.exists()


def test_good_torch_weights_load_and_give_the_same_embeddings(tmp_path):
    checkpoint = build_checkpoint(tmp_path, heads=[lambda dimension: Dense(dimension, 16), Normalize])
    expected = load_sentence_transformer(checkpoint).encode(TEXTS)
    for folder in (checkpoint, checkpoint / "2_Dense"):
        torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    assert (load_sentence_transformer(checkpoint).encode(TEXTS) == expected).all()


def test_safetensors_are_preferred_to_a_pickle_beside_them(checkpoint, malicious_pickle):
    payload, owned = malicious_pickle
    (checkpoint / "pytorch_model.bin").write_bytes(payload)
    load_sentence_transformer(checkpoint)
    assert not owned.exists()


def test_missing_weights_are_refused_with_the_checkpoint_named(checkpoint):
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(UnsupportedModelError, match="cannot be loaded") as caught:
        load_sentence_transformer(checkpoint)
    assert str(checkpoint) in str(caught.value)


def test_truncated_weights_are_refused_with_the_checkpoint_named(checkpoint):
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UnsupportedModelError, match="cannot be loaded"):
        load_sentence_transformer(checkpoint)


def _edit_modules(checkpoint: Path, change) -> None:
    file = checkpoint / "modules.json"
    file.write_text(json.dumps([change(module) for module in json.loads(file.read_text())]))
