"""Measures text generation through Triton's gRPC and prints the figures: `python -m benchmarks.generation VERSION_DIR`.

One stream against eight, what a long prompt does to streams that run, greedy text in company against greedy text alone,
and what cancelled requests leave behind. With `--genai DIRECTORY` also onnxruntime-genai on a graph of its own.
"""

import json
import queue
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
import onnxruntime_genai
import psutil
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from benchmarks.machine import describe_machine
from benchmarks.servers import Server, ServerPlan, free_port
from export.contract import PROMPT_INPUT, SAMPLING_INPUT, STREAM_INPUT, TEXT_OUTPUT
from export.triton_config import generator_config
from serving.sample_texts import sample_texts
from serving.triton.distribution import find_distribution, lay_out_backends
from serving.triton.server import ServerOptions, server_command, server_environment

MODEL = "generator"
STREAMS = 8
START_TIMEOUT_S = 120
LONG_PROMPT_WORDS = 600     # about 1,000 tokens of the texts used here


class Client:
    """Streams from one Triton over gRPC; for one request at a time."""

    def __init__(self, address: str) -> None:
        self._client = triton.InferenceServerClient(address)
        self._answers: queue.SimpleQueue = queue.SimpleQueue()
        self._client.start_stream(lambda result, error: self._answers.put((result, error)))

    def generate(self, prompt: str, **sampling) -> Iterator[tuple[float, str]]:
        """Yield the time and the text of each piece; leaving early cancels the request."""
        inputs = [_tensor(PROMPT_INPUT, prompt.encode(), "BYTES"), _tensor(STREAM_INPUT, True, "BOOL"),
                  _tensor(SAMPLING_INPUT, json.dumps(sampling).encode(), "BYTES")]
        self._client.async_stream_infer(MODEL, inputs)
        while True:
            result, error = self._answers.get()
            if error:
                raise error
            yield time.perf_counter(), result.as_numpy(TEXT_OUTPUT)[0].decode()
            if result.get_response().parameters["triton_final_response"].bool_param:
                return

    def close(self, cancels: bool = False) -> None:
        """End the stream, and what still runs on it."""
        self._client.stop_stream(cancel_requests=cancels)
        self._client.close()


@click.command()
@click.argument("version_dir", type=click.Path(exists=True, path_type=Path))
@click.option("--tokens", default=128, show_default=True, help="Tokens of each answer.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--prompts", default=200, show_default=True, help="Greedy prompts, alone and in company.")
@click.option("--cancellations", default=1000, show_default=True)
@click.option("--genai", type=click.Path(exists=True, path_type=Path), help="A directory that its builder wrote.")
def main(version_dir: Path, tokens: int, rounds: int, prompts: int, cancellations: int, genai: Path | None) -> None:
    """Measure a version directory of a text generator."""
    click.echo(json.dumps(describe_machine()))
    with tempfile.TemporaryDirectory() as folder:
        plan, address = _plan(Path(folder), version_dir)
        with Server(plan, Path(folder)) as server:
            server.wait_until_ready(START_TIMEOUT_S)
            for number in range(rounds):
                one, many = _tokens_per_s(address, 1, tokens), _tokens_per_s(address, STREAMS, tokens)
                click.echo(f"round {number}: 1 stream {one:.0f} tokens/s, {STREAMS} streams {many:.0f}, "
                           f"x{many / one:.2f}")
                if genai:
                    peers = _genai_tokens_per_s(genai, 1, tokens), _genai_tokens_per_s(genai, STREAMS, tokens)
                    click.echo(f"  onnxruntime-genai: {peers[0]:.0f} and {peers[1]:.0f}; "
                               f"ours x{one / peers[0]:.2f} and x{many / peers[1]:.2f}")
                click.echo("  a long prompt among seven streams: " + _long_prompt(address, tokens))
            click.echo(f"greedy in company unlike greedy alone: {_count_different(address, prompts)} of {prompts}")
            click.echo(_cancel_many(address, cancellations))


def _plan(folder: Path, version_dir: Path) -> tuple[ServerPlan, str]:
    """Return how to start Triton with the version in a repository of its own, and its gRPC address."""
    model_dir = folder / "repository" / MODEL
    model_dir.mkdir(parents=True)
    (model_dir / "1").symlink_to(version_dir.resolve())
    (model_dir / "config.pbtxt").write_text(generator_config(MODEL))
    distribution = find_distribution()
    http, grpc, metrics = (free_port() for _ in range(3))
    options = ServerOptions(model_dir.parent, lay_out_backends(distribution, folder / "backends"), "127.0.0.1", http,
                            grpc, metrics, "benchmark")
    command = [*server_command(distribution, options), f"--load-model={MODEL}"]
    environment = {**server_environment(distribution), "PYTHONPATH": str(Path(__file__).parents[1])}
    return (ServerPlan("triton", command, f"http://127.0.0.1:{http}/v2/health/ready", environment),
            f"127.0.0.1:{grpc}")


def _tokens_per_s(address: str, streams: int, tokens: int) -> float:
    """Return tokens a second from the first request to the last answer, `streams` of them at once."""
    def stream(prompt: str) -> None:
        client = Client(address)
        for _ in client.generate(prompt, max_tokens=tokens, temperature=0, ignore_eos=True):
            pass
        client.close()

    started = time.perf_counter()
    with ThreadPoolExecutor(streams) as pool:
        list(pool.map(stream, _prompts(streams)))
    return streams * tokens / (time.perf_counter() - started)


def _genai_tokens_per_s(folder: Path, batch: int, tokens: int) -> float:
    """Return tokens a second of onnxruntime-genai's static batch, in process."""
    model = onnxruntime_genai.Model(str(folder))
    tokenizer = onnxruntime_genai.Tokenizer(model)
    encoded = tokenizer.encode_batch(_prompts(batch))
    parameters = onnxruntime_genai.GeneratorParams(model)
    parameters.set_search_options(max_length=1024, batch_size=batch, do_sample=False)
    generator = onnxruntime_genai.Generator(model, parameters)
    started = time.perf_counter()
    generator.append_tokens(encoded)
    for _ in range(tokens):
        generator.generate_next_token()
    return batch * tokens / (time.perf_counter() - started)


def _long_prompt(address: str, tokens: int) -> str:
    """Return p99 and median of the time between two pieces, with and without a long prompt that arrives."""
    gaps: dict[bool, list[float]] = {False: [], True: []}
    words = " ".join(sample_texts("long", 20, seed=5)).split()[:LONG_PROMPT_WORDS]
    for has_long in (False, True):
        times: list[list[float]] = [[] for _ in range(STREAMS - 1)]

        def stream(place: int, times=times) -> None:
            client = Client(address)
            times[place] = [at for at, _ in client.generate(_prompts(STREAMS)[place], max_tokens=tokens, temperature=0,
                                                            ignore_eos=True)]
            client.close()

        threads = [threading.Thread(target=stream, args=(place,)) for place in range(STREAMS - 1)]
        for thread in threads:
            thread.start()
        if has_long:
            client = Client(address)
            list(client.generate(" ".join([str(time.time()), *words]), max_tokens=1))
            client.close()
        for thread in threads:
            thread.join()
        begun = max(stream_times[0] for stream_times in times)
        gaps[has_long] = [after - before for stream_times in times
                          for before, after in pairwise(stream_times) if before > begun]
    quiet, busy = (np.percentile(gaps[has_long], [50, 99]) * 1000 for has_long in (False, True))
    return (f"p50 {quiet[0]:.0f} to {busy[0]:.0f} ms, p99 {quiet[1]:.0f} to {busy[1]:.0f} ms, "
            f"x{busy[1] / quiet[1]:.2f}")


def _count_different(address: str, count: int) -> int:
    """Return how many greedy answers differ when eight run at once from those that ran alone."""
    def answer(prompt: str) -> str:
        client = Client(address)
        text = "".join(piece for _, piece in client.generate(prompt, max_tokens=32, temperature=0))
        client.close()
        return text

    prompts = _prompts(count)
    alone = [answer(prompt) for prompt in prompts]
    with ThreadPoolExecutor(STREAMS) as pool:
        together = list(pool.map(answer, reversed(prompts)))
    return sum(one != other for one, other in zip(alone, reversed(together), strict=True))


def _cancel_many(address: str, count: int) -> str:
    """Cancel requests after a random number of pieces; returns the memory before and after, and that slots answer."""
    chooser = random.Random(3)  # noqa: S311 - reproducible cancellations, not secrets.
    [stub] = [process for process in psutil.Process().children(recursive=True)
              if process.cmdline() and process.cmdline()[0].endswith("triton_python_backend_stub")]
    _tokens_per_s(address, STREAMS, 32)
    before = stub.memory_info().rss

    def begin_and_leave(pieces: int) -> None:
        client = Client(address)
        answer = client.generate(f"Tell me about number {pieces}.", max_tokens=500, temperature=1, ignore_eos=True)
        for _ in range(pieces):
            next(answer)
        client.close(cancels=True)

    with ThreadPoolExecutor(STREAMS) as pool:
        list(pool.map(begin_and_leave, [chooser.randint(0, 5) for _ in range(count)]))
    speed = _tokens_per_s(address, STREAMS, 32)
    after = stub.memory_info().rss
    return (f"{count} cancelled: memory {before / 2**20:.0f} to {after / 2**20:.0f} MiB ({after / before - 1:+.1%}), "
            f"eight streams at {speed:.0f} tokens/s afterwards")


def _prompts(count: int) -> list[str]:
    return [text[:200] for text in sample_texts("short", count, seed=11)]


def _tensor(name: str, value, data_type: str) -> triton.InferInput:
    tensor = triton.InferInput(name, [1], data_type)
    tensor.set_data_from_numpy(np.array([value], dtype=bool if data_type == "BOOL" else object))
    return tensor


if __name__ == "__main__":
    try:
        main()
    except InferenceServerException as error:
        sys.exit(f"Triton answered with an error: {error}")
