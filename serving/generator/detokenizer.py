"""Tokens to text as they come: never half a character, never part of a stop string. Knows no model."""

import codecs
from collections.abc import Sequence

from serving.generator.sampling_parameters import SamplingParameters
from serving.generator.vocabulary import Vocabulary


class Detokenizer:
    """The text of one sequence; what cannot be told yet is held back until more tokens have come."""

    def __init__(self, vocabulary: Vocabulary, parameters: SamplingParameters) -> None:
        self._vocabulary = vocabulary
        self._skipped = vocabulary.special_ids if parameters.skip_special_tokens else frozenset()
        # Their text is not searched for stop strings, as in vLLM.
        self._unsearched_tokens = parameters.min_tokens
        self._stops = StopStrings(parameters.stop, parameters.include_stop_str_in_output)
        # Bytes that are no UTF-8 become U+FFFD, as in the tokenizers library.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, token: int) -> tuple[str, bool]:
        """Return the text that is certain now, and whether a stop string ends it."""
        self._unsearched_tokens -= 1
        if token in self._skipped:
            return "", False
        text = self._decoder.decode(self._vocabulary.token_bytes[token])
        return (text, False) if self._unsearched_tokens >= 0 else self._stops.add(text)

    def finish(self) -> str:
        """Return what was held back, for a sequence that ends without a stop string; one may still be in it."""
        text, is_stopped = self._stops.add(self._decoder.decode(b"", final=True))
        return text if is_stopped else text + self._stops.held


class StopStrings:
    """Finds the first of some strings in a text that comes in pieces."""

    def __init__(self, strings: Sequence[str], includes: bool) -> None:
        self._strings = strings
        self._includes = includes
        self.held = ""

    def add(self, piece: str) -> tuple[str, bool]:
        """Return the text up to the first stop string, and whether there is one; what may become one is held back."""
        text = self.held + piece
        hits = [(place, string) for string in self._strings if (place := text.find(string)) >= 0]
        if hits:
            # The one that is complete first; of those that end together, the one that begins first.
            place, string = min(hits, key=lambda hit: (hit[0] + len(hit[1]), hit[0]))
            self.held = ""
            return text[:place + len(string) if self._includes else place], True
        kept = max((_overlap(text, string) for string in self._strings), default=0)
        self.held = text[len(text) - kept:]
        return text[:len(text) - kept], False


def _overlap(text: str, string: str) -> int:
    """Return how many characters at the end of `text` are a beginning of `string`."""
    longest = min(len(text), len(string) - 1)
    return next((length for length in range(longest, 0, -1) if text.endswith(string[:length])), 0)
