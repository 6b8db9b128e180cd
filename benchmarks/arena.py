"""Starts the chosen contestants, knows how to reach each, and stops all of them again."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import contestants as names
from benchmarks.conch_server import MODEL, MODEL_INT8, plan_conch
from benchmarks.contestants import Contestant, conch_contestants, peer_contestants
from benchmarks.in_process import InProcessWorker
from benchmarks.peers.flask_server import DTYPE
from benchmarks.results import min_cosine
from benchmarks.rounds import Turn, client_turns, in_process_turns, perf_analyzer_turns, probe
from benchmarks.servers import Server
from serving.perf_analyzer import find_perf_analyzer
from serving.sample_texts import sample_texts

START_TIMEOUT_S = 180
PROBE_SEED = 7  # other texts than the measured ones, the same for every contestant


class Arena:
    """The contestants in `chosen`, running while the context is open."""

    def __init__(self, chosen: set[str], checkpoint: Path, version_dir: Path, infinity_root: Path) -> None:
        """`checkpoint` is what the peers serve; `version_dir`, in a model repository, is what was exported of it."""
        self._chosen, self._checkpoint, self._version_dir = chosen, checkpoint, version_dir
        self._infinity_root = infinity_root
        self._stack = ExitStack()

    def __enter__(self) -> "Arena":
        with ExitStack() as opening:
            self._folder = Path(opening.enter_context(tempfile.TemporaryDirectory(prefix="conch-bench-")))
            models = [MODEL, MODEL_INT8] if self._chosen.intersection(names.INT8) else [MODEL]
            self._conch = plan_conch(self._folder / "home", self._version_dir.parent.parent,
                                     CONCH_PRELOAD_MODELS=",".join(models))
            self._wire = self._choose_wire()
            self._start_servers(opening)
            self._workers = self._start_workers(opening)
            self._stack = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def min_cosines(self) -> dict[str, float]:
        """Compare every contestant with sentence-transformers in float32, over short and long texts."""
        texts = sample_texts("short", 24, seed=PROBE_SEED) + sample_texts("long", 8, seed=PROBE_SEED)
        with InProcessWorker("float32", self._checkpoint) as exact:
            reference = exact.probe(texts)
        found = {contestant.name: probe(contestant.load(), texts) for contestant in self._wire}
        found.update({name: worker.probe(texts) for name, worker in self._workers.items()})
        return {name: min_cosine(reference, embeddings) for name, embeddings in found.items()}

    def turns(self, mixes: list[str], duration_s: float, tools_dir: Path) -> list[Turn]:
        """Return one round; perf_analyzer is kept in `tools_dir`."""
        turns = []
        for contestant in self._wire:
            turns += client_turns(contestant.name, contestant.load(), mixes, duration_s)
        if names.CONCH_PERF_ANALYZER in self._chosen:
            analyzer = find_perf_analyzer(tools_dir)
            turns += perf_analyzer_turns(analyzer, self._conch.grpc_address, MODEL, mixes, duration_s)
        for name, worker in self._workers.items():
            turns += in_process_turns(name, worker, mixes, duration_s)
        return turns

    def _choose_wire(self) -> list[Contestant]:
        everyone = [*conch_contestants(self._conch),
                    *peer_contestants(self._chosen, self._checkpoint, self._infinity_root)]
        return [contestant for contestant in everyone if contestant.name in self._chosen]

    def _start_servers(self, opening: ExitStack) -> None:
        plans = {contestant.server.name: contestant.server for contestant in self._wire}
        if names.CONCH_PERF_ANALYZER in self._chosen:
            plans[self._conch.plan.name] = self._conch.plan
        servers = [opening.enter_context(Server(plan, self._folder)) for plan in plans.values()]
        for server in servers:
            server.wait_until_ready(START_TIMEOUT_S)

    def _start_workers(self, opening: ExitStack) -> dict[str, InProcessWorker]:
        kinds = {names.LIMIT: ("engine", self._version_dir),
                 names.LIMIT_AT_ONCE: ("engine-at-once", self._version_dir),
                 names.SENTENCE_TRANSFORMERS: (DTYPE, self._checkpoint)}
        return {name: opening.enter_context(InProcessWorker(*kind)) for name, kind in kinds.items()
                if name in self._chosen}
