"""Gives each generation a target: where its conversation's prefix is, unless that has no free slot. Threads share it.

Figures of the targets are read beside the requests. Knows neither HTTP nor gRPC.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

from control_plane.generation.conversations import conversation_key, rank_targets
from control_plane.generation.request import GenerationRequest
from control_plane.generation.target_load import Served, TargetLoad
from control_plane.lifecycle.routes import Route
from control_plane.triton_metrics import GeneratorLoad

# How long the first request after a pause waits for figures; a page takes 1 to 3 ms.
_PATIENCE_S = 0.005
_LOOKS_AT_ONCE = 8
_LOG = logging.getLogger(__name__)

Choose = Callable[[Route, Sequence[str]], str]


class SlotBalancer:
    """The free slots of all targets, as one process sees them.

    `read` returns what a target's generators say of themselves; whatever it raises costs no request anything.
    """

    def __init__(self, read: Callable[[str], Mapping[Served, GeneratorLoad]],
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._read, self._clock = read, clock
        self._lock = threading.Lock()
        self._loads: defaultdict[str, TargetLoad] = defaultdict(TargetLoad)  # guarded, as are the two below
        self._looks: dict[str, Future] = {}
        self._mute: set[str] = set()                                         # targets whose last look failed
        self._pool = ThreadPoolExecutor(_LOOKS_AT_ONCE, thread_name_prefix="generator-loads")

    @contextmanager
    def hold_slots(self, request: GenerationRequest) -> Iterator[Choose]:
        """Give what chooses a target for `request` among those at hand, and holds its slots there.

        They are let go when it chooses again and when the context ends.
        """
        sequences = request.sampling.get("n", 1)
        held: list[tuple[str, Served]] = []

        def choose(route: Route, targets: Sequence[str]) -> str:
            self._release(held, sequences)
            served = (route.state.name, route.state.active_version)
            target = self._claim(served, rank_targets(conversation_key(served[0], request), targets), sequences)
            held.append((target, served))
            return target

        try:
            yield choose
        finally:
            self._release(held, sequences)

    def _claim(self, served: Served, ranked: Sequence[str], sequences: int) -> str:
        """Take the first target that is ranked, or where it has no free slot the one that has the most."""
        if len(ranked) > 1:
            self._look_at(ranked)
        with self._lock:
            now_s = self._clock()
            free = {target: self._loads[target].free_slots(served, now_s) for target in ranked}
            target = ranked[0] if free[ranked[0]] > 0 else max(ranked, key=free.__getitem__)
            self._loads[target].enter(served, sequences)
        return target

    def _release(self, held: list[tuple[str, Served]], sequences: int) -> None:
        while held:
            target, served = held.pop()
            with self._lock:
                self._loads[target].leave(served, sequences)

    def _look_at(self, targets: Sequence[str]) -> None:
        """Have the figures read that are due; waits a moment where nothing is known, and never for a mute target."""
        with self._lock:
            now_s = self._clock()
            for target in targets:
                own = self._loads[target].begin_look(now_s)
                if own is not None:
                    self._looks[target] = self._pool.submit(self._look, target, own)
            unknown = [self._looks[target] for target in targets
                       if target not in self._mute and not self._loads[target].is_fresh(now_s)]
        wait(unknown, _PATIENCE_S)

    def _look(self, target: str, own: Mapping[Served, int]) -> None:
        try:
            loads = self._read(target)
        except Exception as error:  # Whatever it is, requests go by what this process counts itself.
            with self._lock:
                is_new = target not in self._mute
                self._mute.add(target)
            if is_new:
                _LOG.warning("how busy %s is with others is not known: %s", target, error)
            return
        with self._lock:
            self._mute.discard(target)
            self._loads[target].tell(loads, own, self._clock())
