"""Conversations with two real Tritons: each stays where its prefix is, many spread, and a dead node's move and return.

What the Tritons computed themselves tells who was asked. The controller's golden requests add a few tokens to it.
"""

import re
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice

import pytest

from control_plane.generation.conversations import conversation_key, rank_targets
from control_plane.generation.request import GenerationRequest
from control_plane.triton_metrics import read_generator_loads
from export.triton_config import generator_config
from tests.functional.fleet_triton import SECRET, FleetTriton
from tests.functional.platform import ServedPlatform, wait_until
from tests.serving.generator.decoders import write_version

MODEL = "tiny"
SLOTS = 2
ANSWER_TOKENS = 100


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A model repository with a small decoder in two slots, for all Tritons."""
    repository = tmp_path_factory.mktemp("generators")
    write_version(repository / MODEL / "1")
    slots = f'parameters [ {{ key: "slots" value: {{ string_value: "{SLOTS}" }} }} ]\n'
    (repository / MODEL / "config.pbtxt").write_text(generator_config(MODEL) + slots)
    return repository


@pytest.fixture(scope="module")
def tritons(repository, tmp_path_factory):
    tritons = [FleetTriton(tmp_path_factory.mktemp(f"triton{number}"), repository).start() for number in range(2)]
    for triton in tritons:
        triton.wait_live()
    yield tritons
    for triton in tritons:
        triton.kill()


@pytest.fixture(scope="module")
def served(repository, tritons, tmp_path_factory):
    platform = ServedPlatform(
        tmp_path_factory.mktemp("fleet"), repository, CONCH_TRITON_SECRET=SECRET, CONCH_PRELOAD_MODELS=MODEL,
        CONCH_TRITON_URLS=",".join(triton.address for triton in tritons),
        CONCH_TRITON_METRICS_URLS=",".join(f"127.0.0.1:{triton.metrics_port}" for triton in tritons)).start()
    yield platform
    platform.stop()


def openings(triton, tritons):
    """Yield first messages of conversations that belong to `triton`."""
    for number in count():
        opening = [{"role": "user", "content": f"conversation {number:03} " + "x" * 40}]
        key = conversation_key(MODEL, GenerationRequest(messages=opening))
        if rank_targets(key, [item.address for item in tritons])[0] == triton.address:
            yield opening


def ask(served, messages, tokens=ANSWER_TOKENS) -> int:
    """Have an answer of `tokens` tokens; returns the status."""
    body = {"model": MODEL, "messages": messages, "max_tokens": tokens, "temperature": 0, "ignore_eos": True}
    return served.rest("POST", "/v1/chat/completions", body).status


def told(triton, name: str) -> float:
    """Return a metric of the generator, 0 where there is no generator yet."""
    with urllib.request.urlopen(f"http://127.0.0.1:{triton.metrics_port}/metrics") as response:
        page = response.read().decode()
    return sum(map(float, re.findall(rf"^conch_generator_{name}\{{[^}}]*\}} (\S+)", page, re.MULTILINE)))


def versions(served, triton) -> list[int]:
    targets = served.rest("GET", f"/api/v1/models/info?type={MODEL}").body["targets"]
    return targets[triton.address]["versions"]


def test_every_node_tells_its_slots(served, tritons):
    for triton in tritons:
        [(model, load)] = read_generator_loads(f"127.0.0.1:{triton.metrics_port}").items()
        assert (model, load.slots, load.waiting) == ((MODEL, 1), SLOTS, 0)


@pytest.mark.parametrize("place", [0, 1])
def test_a_conversation_stays_on_the_node_that_holds_its_prefix(served, tritons, place):
    home, other = tritons[place], tritons[1 - place]
    before = told(home, "reused_tokens_total"), told(other, "reused_tokens_total")
    messages = next(openings(home, tritons))
    for turn in range(3):
        assert ask(served, messages, tokens=8) == 200
        messages = [*messages, {"role": "assistant", "content": "ok"}, {"role": "user", "content": f"turn {turn}"}]
    # The second turn finds the first message there, the third finds the first two turns.
    wait_until(lambda: told(home, "reused_tokens_total") >= before[0] + 120)
    assert told(other, "reused_tokens_total") < before[1] + 60


def test_eight_conversations_at_once_spread_although_they_belong_to_one_node(served, tritons):
    before = [told(triton, "output_tokens_total") for triton in tritons]
    conversations = list(islice(openings(tritons[0], tritons), 8))
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda messages: ask(served, messages), conversations)) == [200] * 8

    def computed() -> list[float]:
        return [told(triton, "output_tokens_total") - count for triton, count in zip(tritons, before, strict=True)]

    wait_until(lambda: sum(computed()) >= 8 * ANSWER_TOKENS)
    assert min(computed()) >= ANSWER_TOKENS


def test_a_dead_nodes_conversations_move_without_an_error_and_come_back(served, tritons):
    stays, dies = tritons
    messages = next(openings(dies, tritons))
    assert ask(served, messages) == 200
    before = told(stays, "output_tokens_total")
    dies.kill()
    assert [ask(served, messages) for _ in range(5)] == [200] * 5
    wait_until(lambda: told(stays, "output_tokens_total") >= before + 5 * ANSWER_TOKENS)
    wait_until(lambda: versions(served, dies) == [])
    dies.start()
    wait_until(lambda: versions(served, dies) == [1])
    # A worker learns of it within half a second.
    wait_until(lambda: ask(served, messages) == 200 and told(dies, "output_tokens_total") >= ANSWER_TOKENS)
