"""What running out of memory looks like, and that it is tried once more with less."""

import subprocess
import sys

import pytest

from serving.generator.memory import compute_twice, is_out_of_memory

# ONNX Runtime's words for it, as it raised them under a limit of the address space.
ARENA = RuntimeError("Error in execution: Status Message: bfc_arena.cc:360 Failed to allocate memory for requested "
                     "buffer of size 324000000")
LIMITED = """
import resource, sys
from pathlib import Path
from serving.errors import VersionLoadError
from serving.generator.generator import TextGenerator
from serving.generator.limits import EngineSettings

pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (300 << 20),) * 2)
try:
    TextGenerator.load(Path(sys.argv[1]), EngineSettings(slots=100_000, memory_mb=100_000), threads=1)
except VersionLoadError as error:
    print(error)
"""


@pytest.mark.parametrize("error", [MemoryError(), ARENA, RuntimeError("failed:std::bad_alloc")])
def test_it_is_known_by_its_type_or_the_runtimes_words(error):
    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("Got invalid dimensions for input"))


def test_what_finds_no_memory_is_computed_again_with_less_after_some_was_freed():
    done = []

    def compute():
        done.append("all")
        raise ARENA

    assert compute_twice(compute, lambda: done.append("free"), lambda: 7) == 7
    assert done == ["all", "free"]
    with pytest.raises(RuntimeError, match="Failed to allocate"):
        compute_twice(compute, lambda: None, compute)


def test_another_error_is_no_reason_to_compute_again():
    with pytest.raises(ZeroDivisionError):
        compute_twice(lambda: 1 / 0, pytest.fail, pytest.fail)


def test_a_load_that_finds_no_memory_says_how_much_was_asked_for(tiny_version):
    run = subprocess.run([sys.executable, "-c", LIMITED, str(tiny_version)], capture_output=True, text=True, timeout=60)
    assert run.stdout.startswith("out of memory: 100000 slots of 256 tokens take 12500 MiB"), run.stderr
