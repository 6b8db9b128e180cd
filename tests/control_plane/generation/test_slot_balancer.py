"""A conversation goes where its prefix is while there is a slot; figures come from fakes of the targets."""

import logging
import threading
from collections import Counter
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from control_plane.errors import TritonUnavailableError
from control_plane.generation.conversations import conversation_key, rank_targets
from control_plane.generation.request import GenerationRequest
from control_plane.generation.slot_balancer import SlotBalancer
from control_plane.generation.target_load import FRESH_S, LOOK_S
from control_plane.triton_metrics import GeneratorLoad
from tests.control_plane.lifecycle.world import LIMIT_S, wait_until

TARGETS = ("one:1", "two:1", "three:1")
ROUTE = SimpleNamespace(state=SimpleNamespace(name="tiny", active_version=1))
REQUEST = GenerationRequest(prompt="从前")
RANKED = rank_targets(conversation_key("tiny", REQUEST), TARGETS)


class Pages:
    """What the targets say of themselves; counts who was asked."""

    def __init__(self, slots: int) -> None:
        self.asked: Counter[str] = Counter()
        self.loads = {target: GeneratorLoad(0, 0, slots) for target in TARGETS}
        self.error: Exception | None = None
        self.now_s = 100.0
        self.gate = threading.Event()
        self.gate.set()

    def read(self, target: str) -> dict:
        self.asked[target] += 1
        assert self.gate.wait(LIMIT_S)
        if self.error:
            raise self.error
        return {("tiny", 1): self.loads[target]}


@pytest.fixture
def pages():
    return Pages(slots=2)


@pytest.fixture
def balancer(pages):
    return SlotBalancer(pages.read, lambda: pages.now_s)


@pytest.fixture
def held():
    """Streams that are open until the test ends, or closes them."""
    with ExitStack() as stack:
        yield stack


def open_one(held, balancer, request=REQUEST, targets=TARGETS) -> str:
    """Open a stream and return its target."""
    return held.enter_context(balancer.hold_slots(request))(ROUTE, targets)


def know(balancer, pages) -> None:
    """Have figures of all targets, and of now."""
    pages.now_s += LOOK_S
    with balancer.hold_slots(REQUEST) as choose:
        choose(ROUTE, TARGETS)
    wait_until(lambda: all(load.is_fresh(pages.now_s) and load._told_at_s == pages.now_s
                           for load in balancer._loads.values()))


def test_a_conversation_stays_with_its_target(balancer, pages):
    know(balancer, pages)
    for _ in range(10):
        with balancer.hold_slots(REQUEST) as choose:
            assert choose(ROUTE, TARGETS) == RANKED[0]


def test_without_a_free_slot_it_goes_where_most_are_free_and_then_where_fewest_wait(balancer, pages, held):
    know(balancer, pages)
    first, second, third = RANKED
    assert [open_one(held, balancer) for _ in range(6)] == [first, first, second, third, second, third]
    assert sorted(open_one(held, balancer) for _ in range(3)) == sorted(TARGETS)


def test_a_stream_that_ends_gives_its_slot_back(balancer, pages, held):
    know(balancer, pages)
    for _ in range(3):
        open_one(held, balancer)
    held.close()
    assert open_one(held, balancer) == RANKED[0]


def test_eight_at_once_fill_two_targets_of_four_evenly(balancer, pages, held):
    targets, meet, chosen = TARGETS[:2], threading.Barrier(8), []
    pages.loads = dict.fromkeys(TARGETS, GeneratorLoad(0, 0, 4))
    know(balancer, pages)

    def ask(number: int) -> None:
        meet.wait(LIMIT_S)
        chosen.append(open_one(held, balancer, GenerationRequest(prompt=str(number)), targets))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(chosen) == dict.fromkeys(targets, 4)


def test_several_answers_take_several_slots(balancer, pages, held):
    know(balancer, pages)
    both = GenerationRequest(prompt="从前", sampling={"n": 2})
    assert [open_one(held, balancer, both) for _ in range(2)] == RANKED[:2]


def test_slots_of_other_processes_count(balancer, pages):
    pages.loads[RANKED[0]] = GeneratorLoad(1, 1, 2)
    pages.loads[RANKED[1]] = GeneratorLoad(1, 0, 2)
    know(balancer, pages)
    with balancer.hold_slots(REQUEST) as choose:
        assert choose(ROUTE, TARGETS) == RANKED[2]


def test_a_second_choice_lets_the_first_go(balancer, pages, held):
    know(balancer, pages)
    choose = held.enter_context(balancer.hold_slots(GenerationRequest(prompt="从前", sampling={"n": 2})))
    assert choose(ROUTE, TARGETS) == RANKED[0]
    assert choose(ROUTE, RANKED[1:]) == RANKED[1]
    assert open_one(held, balancer) == RANKED[0]


def test_a_request_that_fails_holds_nothing(balancer, pages):
    know(balancer, pages)

    def fail() -> None:
        with balancer.hold_slots(REQUEST) as choose:
            assert choose(ROUTE, TARGETS) == RANKED[0]
            raise ZeroDivisionError

    for _ in range(9):
        with pytest.raises(ZeroDivisionError):
            fail()


def test_the_only_target_is_never_looked_at(balancer, pages, held):
    assert [open_one(held, balancer, targets=["one:1"]) for _ in range(9)] == ["one:1"] * 9
    assert not pages.asked


def test_a_target_is_looked_at_once_a_second_however_many_ask(balancer, pages, held):
    for _ in range(20):
        open_one(held, balancer)
    pages.now_s += LOOK_S
    for _ in range(20):
        open_one(held, balancer)
    wait_until(lambda: pages.asked == dict.fromkeys(TARGETS, 2))


@pytest.mark.parametrize("error", [TritonUnavailableError("no page"), KeyError("one:1")])
def test_figures_that_cannot_be_read_cost_no_request_and_are_logged_once(balancer, pages, held, error, caplog):
    pages.error = error
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert open_one(held, balancer) == RANKED[0]
            wait_until(lambda: all(look.done() for look in balancer._looks.values()))
            pages.now_s += FRESH_S + 1
    assert [record.args[0] for record in caplog.records].count(RANKED[0]) == 1
    # By its own count alone it fills the usual eight slots, and then the others.
    assert Counter(open_one(held, balancer) for _ in range(7))[RANKED[0]] == 5


def test_figures_that_do_not_come_are_not_waited_for(balancer, pages, held):
    pages.gate.clear()
    assert [open_one(held, balancer) for _ in range(3)] == [RANKED[0]] * 3
    assert len(pages.asked) == 3
    pages.gate.set()
