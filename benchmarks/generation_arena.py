"""Starts the contestants of the generation benchmark, lets each take its turns, and stops all of them again."""

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from benchmarks import generation_contestants as names
from benchmarks.generation_client import LlamaConnection, TritonConnection, take_wave
from benchmarks.generation_in_process import GENAI, GENAI_INT4, TRANSFORMERS, GenerationWorker
from benchmarks.generation_prompts import Prompt, PromptMaker
from benchmarks.generation_results import Cell, GenerationSample, Stream, sample_of
from benchmarks.generation_triton import GenerationTriton, plan_triton
from benchmarks.peers.llama_cpp import LlamaCppEnvironment
from benchmarks.rounds import Turn
from benchmarks.servers import Server, ServerPlan
from export.sources.gguf import find_gguf
from serving.cores import available_cores

START_TIMEOUT_S = 180
WARM_UP = Cell(20, 1, tokens=16)
# Prompts are numbered, and no number is used twice: room for those of a cell.
_NUMBERS_OF_A_TURN = 100
Wave = Callable[[list[Prompt], list[int], Prompt | None], list[Stream]]


class GenerationArena:
    """The contestants in `chosen`, running while the context is open."""

    def __init__(self, chosen: Sequence[str], checkpoint: Path, version_dir: Path, int4: Path | None,
                 llama_root: Path) -> None:
        """`checkpoint` is a directory with the GGUF file, the others what was made of it.

        `version_dir` is our export, `int4` what onnxruntime-genai's builder wrote, where that takes part.
        """
        self._chosen, self._checkpoint, self._version_dir, self._int4 = chosen, checkpoint, version_dir, int4
        self._llama = LlamaCppEnvironment(llama_root)
        self._maker = PromptMaker(version_dir)
        self._stack = ExitStack()
        self._waves: dict[str, tuple[Wave, bool]] = {}  # and whether a client in this process does some of the work
        self.triton: GenerationTriton | None = None

    def __enter__(self) -> "GenerationArena":
        with ExitStack() as opening:
            folder = Path(opening.enter_context(tempfile.TemporaryDirectory(prefix="conch-bench-")))
            self._start_servers(opening, folder)
            self._start_workers(opening)
            for name in self._waves:
                self._take(name, WARM_UP, first=1)
            self._stack = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def turns(self, cells: Sequence[Cell]) -> list[Turn]:
        """Return one round: every contestant at each of its cells, cell by cell."""
        return [self._turn(name, cell, place) for place, cell in enumerate(cells, start=1)
                for name in names.ALL if name in self._waves and cell in names.CELLS_OF[name]]

    def peer_versions(self) -> dict[str, str]:
        """Return the versions of what runs in an environment of its own."""
        return {"llama.cpp": self._llama.version()} if self._wants_llama() else {}

    def _turn(self, name: str, cell: Cell, place: int) -> Turn:
        # A cell's prompts are the same for all contestants in a round, and others in the next.
        firsts = count(place * _NUMBERS_OF_A_TURN, _NUMBERS_OF_A_TURN * _NUMBERS_OF_A_TURN)
        return Turn(name, cell.prompts, cell.company, lambda: self._take(name, cell, next(firsts)))

    def _take(self, name: str, cell: Cell, first: int) -> GenerationSample:
        take_wave_of, has_client = self._waves[name]
        prompts = self._maker.make(cell.waves * cell.streams, cell.prompt_tokens, first)
        long_prompt = None
        if cell.long_prompt:
            [long_prompt] = self._maker.make(1, names.LONG_PROMPT_TOKENS, first + len(prompts))
        started_s, cpu_s = time.perf_counter(), time.process_time()
        waves = [take_wave_of(prompts[start:start + cell.streams], cell.lengths, long_prompt)
                 for start in range(0, len(prompts), cell.streams)]
        cores = (time.process_time() - cpu_s) / (time.perf_counter() - started_s)
        return sample_of(name, cell, waves, cores if has_client else None)

    def _start_servers(self, opening: ExitStack, folder: Path) -> None:
        servers = [opening.enter_context(Server(plan, folder)) for plan in self._plan_servers(folder)]
        for server in servers:
            server.wait_until_ready(START_TIMEOUT_S)

    def _plan_servers(self, folder: Path) -> list[ServerPlan]:
        plans = []
        if names.CONCH in self._chosen:
            self.triton = plan_triton(folder, self._version_dir)
            plans.append(self.triton.plan)
            address = self.triton.grpc_address
            self._waves[names.CONCH] = _over_the_wire(lambda: TritonConnection(address)), True
        if self._wants_llama():
            self._llama.prepare()
            gguf = find_gguf(self._checkpoint)
            for name in (name for name in names.LLAMA if name in self._chosen):
                file = gguf if name == names.LLAMA_OWN else self._llama.requantize(gguf)
                plan = self._llama.plan(name, file, available_cores(), spins=name == names.LLAMA_Q8_SPINNING)
                plans.append(plan)
                self._waves[name] = _over_the_wire(lambda url=plan.ready_url: LlamaConnection(url)), True
        return plans

    def _start_workers(self, opening: ExitStack) -> None:
        paths = {GENAI: self._version_dir, GENAI_INT4: self._int4, TRANSFORMERS: self._checkpoint}
        for name in (name for name in paths if name in self._chosen):
            worker = opening.enter_context(GenerationWorker(name, paths[name]))
            self._waves[name] = (lambda prompts, lengths, _, worker=worker: worker.take_wave(prompts, lengths)), False

    def _wants_llama(self) -> bool:
        return not set(names.LLAMA).isdisjoint(self._chosen)


def _over_the_wire(connect: Callable) -> Wave:
    return lambda prompts, lengths, long_prompt: take_wave(connect, prompts, lengths, long_prompt)
