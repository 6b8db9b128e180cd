"""The one client of every contestant: a closed loop of callers, in a process of its own.

`python -m benchmarks.client` reads a Load from standard input as JSON and prints a Measurement, or the embeddings
themselves where the load names `probe_texts`. It starts no server and does not know which contestant it talks to.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import cycle

import numpy as np

from benchmarks.connections import GrpcConnection, KserveConnection, RestConnection
from serving.sample_texts import sample_texts

TEXTS_OF_A_MIX = {"short": 1024, "long": 256}


@dataclass(frozen=True)
class Load:
    """Where to send texts, and how many of them, from how many callers, for how long."""

    protocol: str  # "rest", or KServe v2: "http" or "grpc"
    url: str       # the whole endpoint, or host:port for grpc
    model: str
    encoding_format: str = "float"
    api_key: str = ""
    mix: str = "short"
    concurrency: int = 1
    texts_per_request: int = 1
    warmup_s: float = 1.0
    duration_s: float = 5.0
    probe_texts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Measurement:
    """What one caller process saw during the measured time."""

    texts_per_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    requests: int
    client_cpu_s: float
    duration_s: float


@dataclass(frozen=True)
class Answered:
    """One request: when it was sent and when its answer was there, in seconds of one clock."""

    sent: float
    ended: float

    @property
    def latency_s(self) -> float:
        return self.ended - self.sent

    def share_within(self, start: float, end: float) -> float:
        """Return which part of the request's life lies between `start` and `end`, 0 to 1."""
        overlap = min(self.ended, end) - max(self.sent, start)
        return max(0.0, overlap) / self.latency_s


def connect(load: Load) -> RestConnection | KserveConnection | GrpcConnection:
    """Make an unopened connection for `load`."""
    if load.protocol == "grpc":
        return GrpcConnection(load.url, load.model)
    if load.protocol == "http":
        return KserveConnection(load.url)
    return RestConnection(load.url, load.model, load.encoding_format, load.api_key)


async def probe(load: Load) -> list[list[float]]:
    """Embed the probe texts in one request."""
    async with connect(load) as connection:
        embeddings = await connection.embed(load.probe_texts)
    return embeddings.tolist()


async def measure(load: Load) -> Measurement:
    """Keep `load.concurrency` requests in flight until the last one sent in the measured time has been answered."""
    loop = ClosedLoop(load)
    callers = [asyncio.create_task(loop.call()) for _ in range(load.concurrency)]
    await asyncio.wait(callers, timeout=load.warmup_s, return_when=asyncio.FIRST_EXCEPTION)
    cpu_at_start = time.process_time()
    await asyncio.wait(callers, timeout=load.duration_s, return_when=asyncio.FIRST_EXCEPTION)
    client_cpu_s = time.process_time() - cpu_at_start
    await asyncio.gather(*callers)
    return summarize(loop.answered, loop.start, load, client_cpu_s)


class ClosedLoop:
    """Callers that send their next request as soon as the last one is answered."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._batches = batches_of_texts(load)
        self._awaited = 0  # requests sent in the measured time and not yet answered
        self.start = time.perf_counter() + load.warmup_s
        self._end = self.start + load.duration_s
        self.answered: list[Answered] = []

    async def call(self) -> None:
        """Run one caller; raises the error of the first request that fails."""
        async with connect(self._load) as connection:
            while (sent := time.perf_counter()) < self._end or self._awaited:
                # Callers go on past the end until nothing is awaited: the last requests meet the same crowd as the
                # first ones.
                counts = sent < self._end
                self._awaited += counts
                await connection.embed(next(self._batches))
                self._awaited -= counts
                self.answered.append(Answered(sent, time.perf_counter()))


def batches_of_texts(load: Load) -> Iterator[list[str]]:
    """Yield lists of `texts_per_request` texts without end; every load of a mix walks the same texts in one order."""
    texts = cycle(sample_texts(load.mix, TEXTS_OF_A_MIX[load.mix]))
    while True:
        yield [next(texts) for _ in range(load.texts_per_request)]


def summarize(answered: list[Answered], start: float, load: Load, client_cpu_s: float) -> Measurement:
    """Turn the requests that overlap the measured time, which begins at `start`, into a Measurement.

    A request counts with the share of its life that lies in the measured time. Counting whole requests would make a
    slow server that answers 32 callers at once look faster or slower by chance, by one such crowd.
    """
    end = start + load.duration_s
    shares = [answer.share_within(start, end) for answer in answered]
    latencies = [answer.latency_s for answer, share in zip(answered, shares, strict=True) if share]
    if not latencies:
        raise TimeoutError(f"no request was in flight during the measured {load.duration_s} s")
    p50, p90, p99 = (float(value) * 1000 for value in np.percentile(latencies, [50, 90, 99]))
    texts_per_s = sum(shares) * load.texts_per_request / load.duration_s
    return Measurement(texts_per_s, p50, p90, p99, len(latencies), client_cpu_s, load.duration_s)


def main() -> None:
    """Run the load given on standard input and print its result as JSON."""
    load = Load(**json.load(sys.stdin))
    result = asyncio.run(probe(load)) if load.probe_texts else asdict(asyncio.run(measure(load)))
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
