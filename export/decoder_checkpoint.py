"""Reads a decoder checkpoint without running any code that came with it: what it is, its tokenizer, its weights.

Only safetensors, GGUF or torch's weights-only loading is used, and trust_remote_code is never set. Knows nothing of
ONNX.
"""

from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from export.errors import UnsupportedModelError
from export.golden import GOLDEN_TEXT
from export.sources.checkpoint import weights_format
from export.sources.gguf import count_gguf_parameters, find_gguf, unpack_gguf

DECODER_TYPES = ("gpt2", "llama", "qwen2", "qwen3")  # `model_type` of config.json
# Tokens that end an answer wherever a vocabulary has them as special tokens: ChatML, GPT-2 and Qwen, Llama 3.
_STOP_TOKENS = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>")
_DEFAULTS = ("do_sample", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "max_new_tokens")
# Exporting SmolLM2-135M, whose float32 weights are 0.54 GB, took 1.6 GB at its peak; 0.6 GB of that are libraries.
_MEMORY_FACTOR, _LIBRARIES_BYTES = 2, 600_000_000
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class DecoderCheckpoint:
    """What is known of a decoder before its weights are loaded; `path` is a plain Hugging Face directory."""

    path: Path
    config: PretrainedConfig
    tokenizer: PreTrainedTokenizerFast
    generation: GenerationConfig

    @property
    def heads(self) -> tuple[int, int]:
        """Heads of keys and values, and numbers in each."""
        heads = self.config.num_attention_heads
        kv_heads = getattr(self.config, "num_key_value_heads", None) or heads
        return kv_heads, getattr(self.config, "head_dim", None) or self.config.hidden_size // heads

    @property
    def stop_token_ids(self) -> tuple[int, ...]:
        """Every token that ends an answer, ascending: the checkpoint's own and the well-known ones it has."""
        found = {self.tokenizer.eos_token_id}
        for value in (self.generation.eos_token_id, self.config.eos_token_id):
            found.update(value if isinstance(value, list) else [value])
        added = self.tokenizer.get_added_vocab()
        found.update(added[token] for token in _STOP_TOKENS if token in added)
        return tuple(sorted(found - {None}))

    @property
    def special_tokens(self) -> dict[str, str | list[str]]:
        """The tokenizer's special tokens by the names under which chat templates know them, such as bos_token."""
        return dict(self.tokenizer.special_tokens_map)

    @property
    def chat_template(self) -> str | None:
        """The template of conversations, None where the checkpoint has none."""
        template = self.tokenizer.chat_template
        # Some checkpoints have one for tools beside it.
        return template.get("default") if isinstance(template, dict) else template

    @property
    def prompt_prefix(self) -> str:
        """The special tokens that the tokenizer itself puts before a text, as text."""
        bare, whole = (self.tokenizer(GOLDEN_TEXT, add_special_tokens=adds)["input_ids"] for adds in (False, True))
        start = next((start for start in range(len(whole)) if whole[start:start + len(bare)] == bare), 0)
        return self.tokenizer.decode(whole[:start], skip_special_tokens=False)

    @property
    def generation_defaults(self) -> dict[str, float | int | bool]:
        """What generation_config.json states of how to sample."""
        stated = self.generation.to_diff_dict()
        return {name: stated[name] for name in _DEFAULTS if stated.get(name) is not None}


def is_decoder(path: Path) -> bool:
    """Return whether the checkpoint at `path` is a text generator, by its files alone."""
    if weights_format(path) == "gguf":
        return True
    config = path / "config.json"
    return config.is_file() and _read_raw_config(path).get("model_type") in DECODER_TYPES


def check_resources(path: Path, scratch: Path) -> None:
    """Raise UnsupportedModelError, with figures, where memory or disk cannot hold the export of this checkpoint.

    `scratch` is on the file system that graphs are written to.
    """
    weights_bytes = 4 * _count_parameters(path)
    for what, need, have in (("memory", _MEMORY_FACTOR * weights_bytes + _LIBRARIES_BYTES, _available_memory()),
                             ("disk", 3 * weights_bytes, psutil.disk_usage(str(scratch)).free)):
        if need > have:
            raise UnsupportedModelError(f"exporting {path} needs {need / 1e9:.1f} GB of {what} (its float32 weights "
                                        f"are {weights_bytes / 1e9:.1f} GB) but {have / 1e9:.1f} GB are free; free "
                                        "some, or export it on a larger machine and copy the version directory")


def open_checkpoint(path: Path, scratch: Path) -> DecoderCheckpoint:
    """Read what the checkpoint is; what is GGUF or pickled is written anew into `scratch`, as safetensors.

    Raises UnsupportedModelError naming what is not supported.
    """
    kind = weights_format(path)
    if kind == "gguf":
        unpack_gguf(find_gguf(path), scratch)
        path = scratch
    config = check_decoder(path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path), local_files_only=True)
        generation = (GenerationConfig.from_pretrained(str(path), local_files_only=True)
                      if (path / "generation_config.json").is_file() else GenerationConfig.from_model_config(config))
    except Exception as error:  # transformers raises every built-in type for damaged checkpoints
        raise UnsupportedModelError(f"{path} cannot be read by transformers: {error}") from error
    if not tokenizer.is_fast:
        raise UnsupportedModelError(f"{path}: {type(tokenizer).__name__} has no tokenizer.json form, which is what "
                                    "serving reads")
    if kind == "torch":  # The model builder must never meet a pickle.
        load_decoder(path).save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
        path = scratch
    return DecoderCheckpoint(path, config, tokenizer, generation)


def check_decoder(path: Path) -> PretrainedConfig:
    """Return the configuration; raises UnsupportedModelError unless the export knows all that it asks for."""
    raw = _read_raw_config(path)
    if raw.get("auto_map"):
        raise UnsupportedModelError(f"{path}/config.json needs remote code (auto_map), which Conch never runs")
    if raw.get("model_type") not in DECODER_TYPES:
        raise UnsupportedModelError(f"{path}/config.json: model_type {raw.get('model_type')!r} is not a decoder that "
                                    f"Conch exports; supported: {', '.join(DECODER_TYPES)}")
    if raw.get("quantization_config"):
        raise UnsupportedModelError(f"{path}/config.json: the weights are quantised already (quantization_config), so "
                                    "there is no float32 original to compare with; export the unquantised checkpoint")
    if raw.get("use_sliding_window"):
        raise UnsupportedModelError(f"{path}/config.json: use_sliding_window is set, which the serving engine lacks")
    config = AutoConfig.from_pretrained(str(path), local_files_only=True)
    scaling = (getattr(config, "rope_scaling", None) or {}).get("rope_type", "default")
    if scaling not in ("default", "llama3"):
        raise UnsupportedModelError(f"{path}/config.json: rope_scaling {scaling!r} is not proven; remove it to serve "
                                    "the model's original context")
    return config


def load_decoder(path: Path) -> PreTrainedModel:
    """Load the weights in float32 on the CPU; raises UnsupportedModelError when transformers cannot."""
    try:
        model = AutoModelForCausalLM.from_pretrained(str(path), dtype=torch.float32, local_files_only=True,
                                                     weights_only=True)
    except Exception as error:  # as above
        raise UnsupportedModelError(f"{path} cannot be loaded by transformers: {error}") from error
    return model.eval()


def _read_raw_config(path: Path) -> dict:
    try:
        document, _ = PretrainedConfig.get_config_dict(str(path), local_files_only=True)
    except (OSError, ValueError) as error:
        raise UnsupportedModelError(f"{path}/config.json cannot be read: {error}") from error
    return document


def _count_parameters(path: Path) -> int:
    if weights_format(path) == "gguf":
        return count_gguf_parameters(find_gguf(path))
    with torch.device("meta"):  # shapes without numbers
        return AutoModelForCausalLM.from_config(check_decoder(path)).num_parameters()


def _available_memory() -> int:
    """Return the bytes that this process may still take: the machine's, or its container's where that has less."""
    free = psutil.virtual_memory().available
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        held = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
    except OSError:
        return free
    # Only anonymous memory counts: the kernel gives the page cache back.
    return free if limit == "max" else min(free, int(limit) - int(held["anon"]))
