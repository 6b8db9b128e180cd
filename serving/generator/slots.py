"""Which sequence is in which slot; the running ones are always the first, so that a step computes no empty row.

A slot keeps the prompt that was computed in it after its sequence has left, for requests that begin alike, and the
answer where a session computes one token as it computes many. Knows nothing of tokens' meaning or of who waits.
"""

import numpy as np

from serving.generator.decoder import Session
from serving.generator.prefix_cache import longest_prefix
from serving.generator.sequence import Sequence

_NOTHING = np.empty(0, dtype=np.int64)


class SlotTable:
    """The slots of one session; for one thread."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._computed = [_NOTHING] * session.slots   # the tokens in each slot that others may begin with
        self._left_at = [0] * session.slots
        self._clock = 0
        self._filling_slot = -1
        self.running: list[Sequence] = []             # the sequence in place i is in slot i
        self.filling: Sequence | None = None          # the one whose prompt is being computed

    @property
    def has_room(self) -> bool:
        """Whether a sequence may begin."""
        return self.filling is None and len(self.running) < self._session.slots

    @property
    def cached_tokens(self) -> int:
        """Tokens that all slots hold."""
        return sum(self._held(slot) for slot in range(self._session.slots))

    def begin(self, sequence: Sequence) -> int:
        """Give a sequence a slot; returns how many tokens of its prompt are in it already."""
        source, shared = longest_prefix(sequence.prompt, self._computed)
        slot = self._choose_slot(source, shared)
        if shared and slot != source:
            self._session.copy(source, slot, shared)
        self._filling_slot, self.filling = slot, sequence
        self._computed[slot] = sequence.prompt[:shared]
        sequence.length = shared
        return shared

    def fill(self, tokens: int) -> np.ndarray:
        """Compute the next tokens of the filling sequence's prompt; returns the logits after them, float32 [vocab]."""
        sequence = self.filling
        stop = sequence.length + tokens
        logits = self._session.prefill(self._filling_slot, sequence.prompt[sequence.length:stop], sequence.length)
        self._computed[self._filling_slot] = sequence.prompt[:stop]
        sequence.length = stop
        return logits

    def join(self) -> None:
        """Let the filling sequence run."""
        row = len(self.running)
        self._swap(self._filling_slot, row)
        self.running.append(self.filling)
        self.filling = None

    def decode(self) -> np.ndarray:
        """Compute the last token of every running sequence; returns logits, float32 [running, vocab]."""
        tokens, lengths = zip(*((item.answer[-1], item.length) for item in self.running), strict=True)
        logits = self._session.decode(tokens, lengths)
        for sequence in self.running:
            sequence.length += 1
        return logits

    def leave(self, sequence: Sequence) -> None:
        """Free the slot of a sequence; what it held and others may begin with stays until one needs the slot."""
        self._clock += 1
        if sequence is self.filling:
            self._left_at[self._filling_slot] = self._clock
            self.filling = None
            return
        row, last = self.running.index(sequence), len(self.running) - 1
        self._left_at[row] = self._clock
        if self._session.is_exact:
            self._computed[row] = sequence.held
        self._swap(row, last)
        self.running[row] = self.running[last]
        self.running.pop()

    def trim(self) -> None:
        """Free what computing has left behind; prompts that are computed lie in the slots and cost nothing more."""
        self._session.trim()

    def forget(self) -> None:
        """Forget every computed prompt, after a computation that failed half-way."""
        self._computed = [_NOTHING] * self._session.slots

    def _choose_slot(self, source: int, shared: int) -> int:
        """Return the slot of the shared prefix when little else would be lost, else the one left longest ago."""
        free = range(len(self.running), self._session.slots)
        if source in free and 2 * shared >= len(self._computed[source]) > 0:
            return source
        return min(free, key=lambda slot: (len(self._computed[slot]) > 0, self._left_at[slot]))

    def _swap(self, one: int, other: int) -> None:
        if one != other:
            held = self._held(one), self._held(other)
            if 0 in held:
                source, target = (one, other) if held[0] else (other, one)
                self._session.copy(source, target, max(held))
            else:
                self._session.exchange(one, other, max(held))
            for column in (self._computed, self._left_at):
                column[one], column[other] = column[other], column[one]

    def _held(self, slot: int) -> int:
        return self.running[slot].length if slot < len(self.running) else len(self._computed[slot])
