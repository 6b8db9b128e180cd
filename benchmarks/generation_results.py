"""What a run of the generation benchmark measured, and the figures drawn from it. Pure: no clocks, no processes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise

import numpy as np

from benchmarks.results import Spread, spread_of


@dataclass(frozen=True)
class Cell:
    """What is asked for at once: prompts of one length, each answered with `tokens` new tokens.

    With `uneven` answers have an eighth of it to fifteen eighths. With `long_prompt` one more prompt arrives once all
    of them run; the figures are then those of the others.
    """

    prompt_tokens: int
    streams: int
    tokens: int = 64
    waves: int = 1  # one after another: a single short stream alone is over too soon to be measured well
    long_prompt: bool = False
    uneven: bool = False

    @property
    def lengths(self) -> list[int]:
        """The new tokens of each stream; neighbours differ as much as requests that come together by chance."""
        if not self.uneven:
            return [self.tokens] * self.streams
        return [self.tokens * (1 + 2 * (5 * place % 8)) // 8 for place in range(self.streams)]

    @property
    def prompts(self) -> str:
        """The prompts in words."""
        return f"{self.prompt_tokens:,}-token prompts"

    @property
    def company(self) -> str:
        """The streams in words."""
        streams = "1 stream" if self.streams == 1 else f"{self.streams} streams"
        if self.uneven:
            return f"{streams} of {min(self.lengths)} to {max(self.lengths)} tokens"
        return f"{streams} and a long prompt" if self.long_prompt else streams

    @property
    def name(self) -> str:
        """The whole cell in words."""
        return f"{self.prompts}, {self.company}"


@dataclass(frozen=True)
class Stream:
    """One answer: when it was asked for and when each piece of it came, in seconds of one clock."""

    asked_s: float
    pieces_s: list[float]
    tokens: int  # a piece is nearly always one token, but never half a character


@dataclass(frozen=True)
class GenerationSample:
    """One measurement: a contestant's turn at a cell in one round."""

    contestant: str
    cell: str
    round: int
    tokens_per_s: float                  # from the first request to the last answer
    decoding_per_s: float | None         # tokens a second while all streams run; None where they never all did
    first_token_ms: float                # median of the streams
    p50_ms: float                        # between two pieces of a stream
    p99_ms: float
    client_cores: float | None = None    # processor time of the client per second; None where there is no client


@dataclass
class GenerationResults:
    """Everything that the page is made from."""

    machine: dict[str, str]
    versions: dict[str, str]
    conditions: dict[str, str]
    settings: dict[str, str]
    cells: list[Cell]
    samples: list[GenerationSample] = field(default_factory=list)
    greedy: dict[str, int] = field(default_factory=dict)            # prompts, different
    cancelled: dict[str, int] = field(default_factory=dict)         # requests, running, before_bytes, after_bytes

    def to_document(self) -> dict:
        """Return plain dictionaries and lists."""
        return asdict(self)

    def values(self, contestant: str, cell: Cell, figure: str = "decoding_per_s") -> dict[int, float]:
        """Return one figure of one contestant by round; empty where it was not measured."""
        chosen = (sample for sample in self.samples if (sample.contestant, sample.cell) == (contestant, cell.name))
        return {sample.round: getattr(sample, figure) for sample in chosen if getattr(sample, figure) is not None}

    def spread(self, contestant: str, cell: Cell, figure: str = "decoding_per_s") -> Spread | None:
        """Return the spread of one figure over the rounds, None where it was not measured."""
        return spread_of(list(self.values(contestant, cell, figure).values()))


def sample_of(contestant: str, cell: Cell, waves: Sequence[Sequence[Stream]],
              client_cores: float | None = None) -> GenerationSample:
    """Return the figures of a turn; its round number is filled in by rounds.play()."""
    everyone = [stream for wave in waves for stream in wave]
    gaps_ms = np.concatenate([_gaps_ms(wave, cell.long_prompt) for wave in waves])
    rates = [rate for wave in waves if (rate := _decoding_per_s(wave)) is not None]
    took_s = sum(max(stream.pieces_s[-1] for stream in wave) - min(stream.asked_s for stream in wave)
                 for wave in waves)
    first_ms = [(stream.pieces_s[0] - stream.asked_s) * 1000 for stream in everyone]
    p50, p99 = np.percentile(gaps_ms, [50, 99])
    return GenerationSample(contestant, cell.name, 0, sum(stream.tokens for stream in everyone) / took_s,
                            float(np.median(rates)) if rates else None, float(np.median(first_ms)), float(p50),
                            float(p99), client_cores)


def _gaps_ms(wave: Sequence[Stream], once_all_run: bool) -> np.ndarray:
    """Return the times between two pieces; a cell about company counts them once all its streams run only."""
    begun_s = max(stream.pieces_s[0] for stream in wave) if once_all_run else 0.0
    return np.array([(after - before) * 1000 for stream in wave
                     for before, after in pairwise(stream.pieces_s) if before >= begun_s])


def _decoding_per_s(wave: Sequence[Stream]) -> float | None:
    """Return tokens a second from the last stream's first piece to the first end, None where they never all ran."""
    start = max(stream.pieces_s[0] for stream in wave)
    end = min(stream.pieces_s[-1] for stream in wave)
    if end <= start:
        return None
    tokens = sum(sum(start < at <= end for at in stream.pieces_s) * stream.tokens / len(stream.pieces_s)
                 for stream in wave)
    return tokens / (end - start)
