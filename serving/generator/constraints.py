"""Keeps an answer to a JSON schema or a regular expression, by llguidance (docs/decisions/0007). Knows no sampling."""

from collections.abc import Sequence

import numpy as np
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from serving.errors import ComputationError, InvalidGenerationError
from serving.generator.sampling_parameters import SamplingParameters
from serving.generator.vocabulary import Vocabulary

# A small model writes blanks without end where a schema leaves it free to.
_JSON_OPTIONS = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class GrammarCompiler:
    """Makes constraints for one vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._tokenizer = LLTokenizer(TokenizerWrapper(_TokenTable(vocabulary)), n_vocab=vocabulary.size,
                                      eos_token=sorted(vocabulary.stop_token_ids))

    def compile(self, parameters: SamplingParameters) -> "Constraint | None":
        """Return the constraint that a request asks for, None if none; raises InvalidGenerationError with its fault."""
        if parameters.json_schema is None and parameters.regex is None:
            return None
        try:
            grammar = (LLMatcher.grammar_from_regex(parameters.regex) if parameters.json_schema is None
                       else LLMatcher.grammar_from_json_schema(parameters.json_schema, overrides=_JSON_OPTIONS))
        except ValueError as error:
            raise InvalidGenerationError(f"guided_decoding.json is no JSON schema: {error}") from error
        matcher = LLMatcher(self._tokenizer, grammar)
        if matcher.is_error():
            kind = "regex" if parameters.json_schema is None else "json"
            raise InvalidGenerationError(f"guided_decoding.{kind} cannot be used: {_first_line(matcher.get_error())}")
        return Constraint(matcher, self._vocabulary.size)


class Constraint:
    """What may come next in one sequence."""

    def __init__(self, matcher: LLMatcher, vocab_size: int) -> None:
        self._matcher = matcher
        self._mask = np.zeros((vocab_size + 31) // 32, dtype=np.int32)
        self._vocab_size = vocab_size

    def copy(self) -> "Constraint":
        """Return one of the same state, for another sequence of the request."""
        return Constraint(self._matcher.deep_copy(), self._vocab_size)

    @property
    def is_complete(self) -> bool:
        """Whether nothing may follow."""
        return self._matcher.is_stopped()

    def apply(self, logits: np.ndarray) -> None:
        """Set every token that may not come to minus infinity, in place; float32 [vocab]."""
        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        self._check()
        allowed = np.unpackbits(self._mask.view(np.uint8), bitorder="little")[:self._vocab_size]
        logits[allowed == 0] = -np.inf

    def accept(self, token: int) -> None:
        """Go on by a token; raises ComputationError when the grammar became too large."""
        self._matcher.consume_token(token)
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            raise ComputationError(f"the grammar failed: {_first_line(self._matcher.get_error())}; make it simpler")


class _TokenTable:
    """A vocabulary in the shape that llguidance's TokenizerWrapper reads."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.eos_token_id = min(vocabulary.stop_token_ids, default=None)
        self.bos_token_id = None
        self.tokens = vocabulary.token_bytes
        self.special_token_ids = sorted(vocabulary.special_ids | vocabulary.stop_token_ids)
        self._encode = vocabulary.encode

    def __call__(self, text: str) -> Sequence[int]:
        return self._encode(text, add_special_tokens=False).tolist()


def _first_line(message: str) -> str:
    return message.strip().splitlines()[0][:300] if message.strip() else "no reason given"
