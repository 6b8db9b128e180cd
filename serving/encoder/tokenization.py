"""Texts to token rows: prompts, truncation, token counts. Knows nothing of engines."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from export.contract import TOKENIZER_FILE
from export.manifest import EncoderManifest
from serving.encoder.options import EncodeOptions
from serving.errors import EncodeError, InvalidOptionError, TextTooLongError, VersionLoadError


@dataclass(frozen=True)
class TokenRow:
    """One tokenised text."""

    ids: list[int]           # special tokens and prompt included, at most max_tokens
    prompt_tokens: int = 0   # leading tokens to leave out of the pooling


class TextTokenizer:
    """Tokenises as sentence-transformers does: prompt + text, truncated to max_tokens, special tokens kept."""

    def __init__(self, version_dir: Path, manifest: EncoderManifest) -> None:
        path = version_dir / TOKENIZER_FILE
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises bare Exception for every kind of damage
            raise VersionLoadError(f"{path} cannot be read: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length=manifest.max_tokens)
        self._max_tokens = manifest.max_tokens
        self._prompts = manifest.prompts
        self._default_prompt = manifest.default_prompt
        self._pools_prompt = manifest.pools_prompt
        self._prompt_tokens: dict[str, int] = {}

    def tokenize(self, texts: Sequence[str], options: Sequence[EncodeOptions]) -> list[TokenRow | EncodeError]:
        """Tokenise `texts` in one call, one option each; a text that cannot be taken yields its error instead."""
        prompts = [self._prompt_or_error(option) for option in options]
        prompted = [prompt + text if isinstance(prompt, str) else ""
                    for prompt, text in zip(prompts, texts, strict=True)]
        encodings = self._tokenizer.encode_batch_fast(prompted)
        return [self._row(encoding, prompt, option)
                for encoding, prompt, option in zip(encodings, prompts, options, strict=True)]

    def _row(self, encoding, prompt: str | EncodeError, option: EncodeOptions) -> TokenRow | EncodeError:
        if isinstance(prompt, EncodeError):
            return prompt
        if not option.truncate and encoding.overflowing:
            return TextTooLongError(self._max_tokens)
        return TokenRow(encoding.ids, 0 if self._pools_prompt else self._count_prompt_tokens(prompt))

    def _prompt_or_error(self, option: EncodeOptions) -> str | EncodeError:
        name = option.prompt_name or self._default_prompt
        if name is None:
            return ""
        if name not in self._prompts:
            known = ", ".join(sorted(self._prompts)) or "none"
            return InvalidOptionError(f"unknown prompt {name!r}; this model has: {known}")
        return self._prompts[name]

    def _count_prompt_tokens(self, prompt: str) -> int:
        """Count the tokens before the text: the prompt and leading special tokens, without the closing one.

        sentence-transformers counts them so in Transformer._get_prompt_length.
        """
        if not prompt:
            return 0
        if prompt not in self._prompt_tokens:
            encoding = self._tokenizer.encode(prompt)
            self._prompt_tokens[prompt] = len(encoding.ids) - encoding.special_tokens_mask[-1]
        return self._prompt_tokens[prompt]
