"""Makes prompts of an exact number of tokens, none twice, so that nobody can answer from what it remembers."""

from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from export.contract import TOKENIZER_FILE
from serving.sample_texts import sample_texts

_FILLER = " and"     # one token in every vocabulary of byte pairs that knows English
_TOKENS_OF_A_TEXT = 100  # a long sample text has at least that many


@dataclass(frozen=True)
class Prompt:
    """One prompt as text and as token ids; contestants take the one or the other."""

    text: str
    token_ids: list[int]


class PromptMaker:
    """Makes prompts with the tokeniser of a version directory."""

    def __init__(self, version_dir: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(version_dir / TOKENIZER_FILE))

    def make(self, count: int, tokens: int, first: int) -> list[Prompt]:
        """Return `count` English prompts of exactly `tokens` tokens, numbered from `first`; each begins otherwise."""
        return [self._make_one(tokens, first + number) for number in range(count)]

    def _make_one(self, tokens: int, number: int) -> Prompt:
        texts = sample_texts("long", tokens // _TOKENS_OF_A_TEXT + 4, seed=number)
        words = " ".join([f"{number}.", *(text for text in texts if text.isascii())])
        encoded = self._tokenizer.encode(words)
        text = words[:encoded.offsets[tokens - 1][0]].rpartition(" ")[0]
        while len(token_ids := self._tokenizer.encode(text).ids) < tokens:
            text += _FILLER
        if len(token_ids) != tokens:
            raise AssertionError(f"a prompt has {len(token_ids)} tokens, {tokens} were meant: {text}")
        return Prompt(text, token_ids)
