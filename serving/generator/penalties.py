"""Makes tokens that were there already less likely (source: vLLM, "SamplingParams")."""

import numpy as np

from serving.generator.sampling_parameters import SamplingParameters


class Penalties:
    """The penalties of one sequence and the tokens that they count."""

    def __init__(self, parameters: SamplingParameters, prompt: np.ndarray) -> None:
        self._repetition = parameters.repetition_penalty
        self._presence = parameters.presence_penalty
        self._frequency = parameters.frequency_penalty
        self._seen = dict.fromkeys(prompt.tolist()) if self._repetition != 1 else {}
        self._counts: dict[int, int] = {}
        self.are_off = self._repetition == 1 and self._presence == 0 and self._frequency == 0

    def count(self, token: int) -> None:
        """Note a token of the answer."""
        if not self.are_off:
            self._seen[token] = None
            self._counts[token] = self._counts.get(token, 0) + 1

    def apply(self, logits: np.ndarray) -> None:
        """Change logits, float32 [vocab], in place.

        Repetition sees prompt and answer: a positive logit is divided by it, a negative one multiplied. Presence and
        frequency see the answer only and are subtracted, the second as often as the token came.
        """
        if self._repetition != 1:
            seen = np.fromiter(self._seen, dtype=np.int64, count=len(self._seen))
            values = logits[seen]
            logits[seen] = np.where(values > 0, values / self._repetition, values * self._repetition)
        if self._counts:
            tokens = np.fromiter(self._counts, dtype=np.int64, count=len(self._counts))
            counts = np.fromiter(self._counts.values(), dtype=np.float32, count=len(self._counts))
            logits[tokens] -= self._presence + self._frequency * counts
