"""The tokeniser of a decoder: text to token ids, and the bytes of each token. Knows no requests."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from export.contract import TOKENIZER_FILE
from serving.errors import VersionLoadError


class Vocabulary:
    """The tokens of a version; reading it from several threads is safe."""

    def __init__(self, version_dir: Path, vocab_size: int, stop_token_ids: Sequence[int]) -> None:
        """Read tokenizer.json; raises VersionLoadError when it cannot be read or has tokens that the graph lacks."""
        path = version_dir / TOKENIZER_FILE
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
            is_byte_level = "ByteLevel" in json.dumps(json.loads(path.read_text(encoding="utf-8"))["decoder"])
        except Exception as error:  # The tokenizers library raises bare Exceptions.
            raise VersionLoadError(f"{path} cannot be read: {error}") from error
        if not stop_token_ids or not all(0 <= token < vocab_size for token in stop_token_ids):
            raise VersionLoadError(f"{version_dir} states the stop tokens {list(stop_token_ids)}; it needs "
                                   f"at least one, from 0 to {vocab_size - 1}; export the model again")
        self.size = vocab_size
        self.stop_token_ids = frozenset(stop_token_ids)
        added = self._tokenizer.get_added_tokens_decoder()
        self.special_ids = frozenset(token for token, entry in added.items() if entry.special)
        vocab = self._tokenizer.get_vocab(with_added_tokens=True)
        if vocab and max(vocab.values()) >= vocab_size:
            raise VersionLoadError(f"{path} has token {max(vocab.values())} but the graph knows {vocab_size} tokens")
        to_bytes = _byte_level_bytes if is_byte_level else _sentencepiece_bytes
        # Some graphs have more tokens than the tokeniser; those mean nothing.
        self.token_bytes = [b""] * vocab_size
        for text, token in vocab.items():
            self.token_bytes[token] = text.encode() if token in added else to_bytes(text)

    def encode(self, text: str, add_special_tokens: bool = True) -> np.ndarray:
        """Return token ids, int64 [tokens]; a chat template writes special tokens itself."""
        return np.array(self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids, dtype=np.int64)


def _byte_level_alphabet() -> dict[str, int]:
    """Return which byte each character of a byte-level token stands for (source: GPT-2, bytes_to_unicode)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = {chr(byte): byte for byte in printable}
    return alphabet | {chr(256 + place): byte for place, byte in enumerate(others)}


_ALPHABET = _byte_level_alphabet()


def _byte_level_bytes(text: str) -> bytes:
    if all(character in _ALPHABET for character in text):
        return bytes(_ALPHABET[character] for character in text)
    return text.encode()


def _sentencepiece_bytes(text: str) -> bytes:
    if len(text) == 6 and text.startswith("<0x") and text.endswith(">"):
        return bytes([int(text[3:5], 16)])
    return text.replace("▁", " ").encode()
