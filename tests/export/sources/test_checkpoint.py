"""Which files make up a checkpoint, and what weights they hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.errors import SourceError, UnsupportedModelError
from export.sources.checkpoint import check_relative, check_weights, select_files, weights_format


@pytest.mark.parametrize(("names", "selected"), [
    # Pickled weights only where a folder has nothing else; each folder is judged alone.
    (["model.safetensors", "pytorch_model.bin"], ["model.safetensors"]),
    (["pytorch_model.bin", "config.json"], ["config.json", "pytorch_model.bin"]),
    (["model.safetensors", "2_Dense/pytorch_model.bin"], ["2_Dense/pytorch_model.bin", "model.safetensors"]),
    # Shards come with their index, and only with that of the same kind.
    (["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json",
      "pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json"],
     ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]),
    (["model.safetensors", "model.fp16.safetensors", "consolidated.safetensors"], ["model.safetensors"]),
    (["adapter.safetensors"], ["adapter.safetensors"]),
    (["model.Q4.gguf"], ["model.Q4.gguf"]),
    (["model.Q4.gguf", "model.Q8.gguf"], []),
    (["model.Q4.gguf", "model.safetensors"], ["model.safetensors"]),
    # Configuration and tokenizers of every kind, and the licence.
    (["merges.txt", "spiece.model", "chat_template.jinja", "LICENSE", "README.md"],
     ["LICENSE", "README.md", "chat_template.jinja", "merges.txt", "spiece.model"]),
    # Other frameworks, code, and what hides.
    (["model.onnx", "onnx/config.json", "OpenVINO/a.json", "tf_model.h5", "flax_model.msgpack", "rust_model.ot",
      "modeling.py", "training_args.bin", "optimizer.pt", "a.pkl", ".cache/x.json", ".gitattributes"], []),
])
def test_selection_keeps_configuration_and_one_kind_of_weights(names, selected):
    assert select_files(names) == selected


@given(st.lists(st.from_regex(r"[a-z]{1,5}\.(py|pyc|so|pkl|pt|h5|onnx|sh|exe|msgpack)", fullmatch=True)))
def test_selection_never_keeps_code_or_unknown_kinds(names):
    assert select_files(names) == []


@pytest.mark.parametrize(("files", "answer"), [
    (["model.safetensors", "pytorch_model.bin"], "safetensors"),
    (["model.safetensors", "2_Dense/pytorch_model.bin"], "torch"),
    (["0_Transformer/pytorch_model.bin"], "torch"),
    (["m.gguf"], "gguf"),
])
def test_weights_format_names_what_a_loader_will_find(tmp_path, files, answer):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert weights_format(tmp_path) == answer


def test_weights_format_refuses_a_directory_without_weights(tmp_path):
    (tmp_path / "model.onnx").touch()
    with pytest.raises(UnsupportedModelError, match=r"no safetensors.*found model\.onnx"):
        weights_format(tmp_path)
    with pytest.raises(UnsupportedModelError, match="found nothing"):
        check_weights([], "hub:a/b")


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/passwd", "a\\..\\evil", "", "a\0b", ".."])
def test_path_that_leads_outside_is_refused(name):
    with pytest.raises(SourceError, match="would land elsewhere"):
        check_relative(name, "wheel")


def test_harmless_path_passes():
    assert check_relative("1_Pooling/config..json", "wheel").as_posix() == "1_Pooling/config..json"
