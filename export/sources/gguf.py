"""Unpacks a GGUF file into a plain Hugging Face directory: float32 safetensors, configuration, tokenizer.

The weights are dequantised as transformers does it. The tokenizer is built here, from the file's own vocabulary, merges
and pre-tokenizer: transformers' conversion forgets the pre-tokenizer, puts a BOS before every text and takes it for EOS
as well. Knows nothing of ONNX and touches no network.
"""

from pathlib import Path

import torch
from gguf import GGUFReader, TokenType
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from export.errors import UnsupportedModelError

# What comes before byte-level BPE, by `tokenizer.ggml.pre` (source: the tokenizer.json files of the models, and
# llama.cpp's src/llama-vocab.cpp).
_WORDS = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
_SPLITS = {
    "gpt-2": [],
    "smollm": [pre_tokenizers.Digits(individual_digits=True)],
    "qwen2": [pre_tokenizers.Split(Regex(_WORDS % ""), "isolated")],
    "llama-bpe": [pre_tokenizers.Split(Regex(_WORDS % "{1,3}"), "isolated")],
}
_OWN_WORDS = ("qwen2", "llama-bpe")     # their pattern replaces the one of ByteLevel
_SPECIAL = ("bos", "eos", "unknown", "padding")


def find_gguf(checkpoint: Path) -> Path:
    """Return the one GGUF file of a checkpoint directory; raises UnsupportedModelError unless there is one."""
    files = sorted(checkpoint.glob("*.gguf"))
    if len(files) != 1:
        raise UnsupportedModelError(f"{checkpoint}: one .gguf file is needed, found {len(files)}")
    return files[0]


def count_gguf_parameters(file: Path) -> int:
    """Return the number of weights in the file, read from its headers only."""
    return sum(int(tensor.n_elements) for tensor in _open(file).tensors)


def unpack_gguf(file: Path, folder: Path) -> None:
    """Write the checkpoint in `file` to `folder`, its weights as float32.

    Raises UnsupportedModelError for a damaged file, and for an architecture or tokenizer that is not known.
    """
    tokenizer = build_tokenizer(file)
    try:
        model = AutoModelForCausalLM.from_pretrained(str(file.parent), gguf_file=file.name, dtype=torch.float32,
                                                     local_files_only=True)
    except Exception as error:  # transformers raises every built-in type for what it cannot read
        raise UnsupportedModelError(f"{file} cannot be read by transformers: {error}") from error
    for name in ("bos", "eos"):
        value = getattr(tokenizer, f"{name}_token_id")
        setattr(model.config, f"{name}_token_id", value)
        setattr(model.generation_config, f"{name}_token_id", value)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def build_tokenizer(file: Path) -> PreTrainedTokenizerFast:
    """Return the tokenizer that the file describes, with its special tokens and chat template."""
    fields = _open(file).fields
    kind, split = _value(fields, "tokenizer.ggml.model"), _value(fields, "tokenizer.ggml.pre", "gpt-2")
    if kind != "gpt2" or split not in _SPLITS:
        raise UnsupportedModelError(
            f"{file.name}: tokenizer {kind!r} with pre-tokenizer {split!r} is not known (known: 'gpt2' with "
            f"{', '.join(_SPLITS)}); export the model's Hugging Face checkpoint, which has a tokenizer.json")
    tokens = _value(fields, "tokenizer.ggml.tokens")
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, _merges(fields),
                                     ignore_merges=split == "llama-bpe"))
    tokenizer.normalizer = normalizers.NFC() if split == "qwen2" else None
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split not in _OWN_WORDS)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*_SPLITS[split], byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    types = _value(fields, "tokenizer.ggml.token_type", [int(TokenType.NORMAL)] * len(tokens))
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True)
                                  for token, kind in zip(tokens, types, strict=True) if kind == TokenType.CONTROL])
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False)
                          for token, kind in zip(tokens, types, strict=True) if kind == TokenType.USER_DEFINED])
    return _wrap(tokenizer, tokens, fields)


def _wrap(tokenizer: Tokenizer, tokens: list[str], fields: dict) -> PreTrainedTokenizerFast:
    numbers = {name: _value(fields, f"tokenizer.ggml.{name}_token_id") for name in _SPECIAL}
    special = {name: tokens[number] for name, number in numbers.items() if number is not None}
    if "bos" in special and _value(fields, "tokenizer.ggml.add_bos_token", False):
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{special['bos']} $A", special_tokens=[(special["bos"], numbers["bos"])])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=special.get("bos"), eos_token=special.get("eos"),
        unk_token=special.get("unknown"), pad_token=special.get("padding"), clean_up_tokenization_spaces=False,
        chat_template=_value(fields, "tokenizer.chat_template"))


def _merges(fields: dict) -> list[tuple[str, str]]:
    pairs = (merge.split(" ") for merge in _value(fields, "tokenizer.ggml.merges", []))
    return [(left, right) for left, right in pairs]


def _open(file: Path) -> GGUFReader:
    try:
        return GGUFReader(file)
    except Exception as error:  # struct, numpy and the reader itself each raise their own
        raise UnsupportedModelError(f"{file} is not a readable GGUF file: {error}") from error


def _value(fields: dict, name: str, default: object = None) -> object:
    return fields[name].contents() if name in fields else default
