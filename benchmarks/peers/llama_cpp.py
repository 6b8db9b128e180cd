"""llama.cpp's own server as a peer: builds it for this processor, in its own environment, and says how to start it.

The sources come from PyPI, inside llama-cpp-python, whose own server answers one request at a time and is not used. A
compiler for C++17 must be installed. Nothing of llama.cpp is imported here.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from benchmarks.peers.steps import run_once, run_step
from benchmarks.servers import ServerPlan, free_port

PEERS_DIR = Path(__file__).parent
REQUIREMENTS, SOURCE = PEERS_DIR / "llama-cpp-requirements.txt", PEERS_DIR / "llama-cpp-source.txt"
PROGRAMS = ("llama-server", "llama-quantize")
BUILD_OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DBUILD_SHARED_LIBS=OFF", "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_APP=OFF", "-DLLAMA_BUILD_UI=OFF", "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
)
# A build takes ten minutes of one core; it should not take the machine as well.
_GENTLY = ("nice", "-n", "15")
SLOTS, SLOT_TOKENS = 8, 2048
# Prompts are never repeated, so that what remembers prompts would only cost time.
SERVER_OPTIONS = ("--parallel", str(SLOTS), "--ctx-size", str(SLOTS * SLOT_TOKENS), "--cont-batching",
                  "--no-cache-prompt", "--cache-ram", "0", "--no-ui")


class LlamaCppEnvironment:
    """The programs and the quantised weights under one root, made on first use."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def prepare(self) -> None:
        """Build the server unless an earlier run did; needs the network and about ten minutes.

        A build that was interrupted goes on where it was. Raises subprocess.CalledProcessError; what pip,
        cmake or the compiler complained of stands on standard error.
        """
        recipe = "\n".join([REQUIREMENTS.read_text(), SOURCE.read_text(), *BUILD_OPTIONS])
        run_once(self._root / "unpacked.txt", recipe, self._unpack)
        run_once(self._root / "built.txt", recipe, self._build)

    def requantize(self, gguf: Path) -> Path:
        """Return the weights of `gguf` as Q8_0, which are 8 bits in blocks of 32, as Conch's int8 is."""
        target = self._root / f"{gguf.stem}.Q8_0.gguf"
        run_once(target.with_suffix(".txt"), str(gguf.resolve()), lambda: run_step(
            str(self._root / "llama-quantize"), "--allow-requantize", str(gguf), str(target), "Q8_0"))
        return target

    def plan(self, name: str, gguf: Path, threads: int, spins: bool) -> ServerPlan:
        """Return the server of a GGUF file; its threads spin between operators by default, which `spins` may forbid."""
        port = free_port()
        environment = dict(os.environ) if spins else {**os.environ, "OMP_WAIT_POLICY": "passive"}
        command = [str(self._root / "llama-server"), "--model", str(gguf), "--host", "127.0.0.1", "--port", str(port),
                   "--threads", str(threads), "--threads-batch", str(threads), *SERVER_OPTIONS]
        return ServerPlan(name, command, f"http://127.0.0.1:{port}/health", environment)

    def version(self) -> str:
        """Return what the server calls itself, and the package it came in."""
        asked = subprocess.run([str(self._root / "llama-server"), "--version"], capture_output=True, text=True,
                               check=True)
        [words] = re.findall(r"^version: (.+)$", asked.stdout + asked.stderr, flags=re.MULTILINE)
        package = SOURCE.read_text().splitlines()[-1].split()[0]
        return f"{words}, from the sources in {package}"

    def _unpack(self) -> None:
        """Install what builds, and unpack the sources, whose sha256 pip checks."""
        shutil.rmtree(self._root, ignore_errors=True)
        run_step(sys.executable, "-m", "venv", str(self._root / "tools"))
        pip = [str(self._root / "tools" / "bin" / "python"), "-m", "pip"]
        run_step(*pip, "install", "--quiet", "-r", str(REQUIREMENTS))
        run_step(*pip, "download", "--quiet", "--no-deps", "--no-binary", "llama-cpp-python",
                 "--require-hashes", "--dest", str(self._root), "-r", str(SOURCE))
        [archive] = self._root.glob("*.tar.gz")
        with tarfile.open(archive) as opened:
            opened.extractall(self._root / "sources", filter="data")

    def _build(self) -> None:
        [package] = (self._root / "sources").iterdir()
        build, tools = self._root / "build", self._root / "tools" / "bin"
        cmake = [*_GENTLY, str(tools / "cmake")]
        # ninja tells progress and the compiler's errors on standard output.
        subprocess.run([*cmake, "-S", str(package / "vendor" / "llama.cpp"), "-B", str(build), "-G", "Ninja",
                        f"-DCMAKE_MAKE_PROGRAM={tools / 'ninja'}", *BUILD_OPTIONS], check=True, stdout=sys.stderr)
        subprocess.run([*cmake, "--build", str(build), "--parallel", "1", "--target", *PROGRAMS], check=True,
                       stdout=sys.stderr)
        for program in PROGRAMS:
            shutil.copy2(build / "bin" / program, self._root / program)
        shutil.rmtree(build)
        shutil.rmtree(self._root / "sources")
