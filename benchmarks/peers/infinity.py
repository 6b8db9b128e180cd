"""infinity-emb as a peer: its own virtual environment, its model directories and its server commands.

Nothing of infinity is imported here: it needs older libraries than Conch and only ever runs as a child process.
"""

import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.steps import run_once, run_step
from benchmarks.servers import ServerPlan, free_port

PEERS_DIR = Path(__file__).parent
REQUIREMENTS = PEERS_DIR / "infinity-requirements.txt"
# infinity prefers OpenVINO's execution provider where ONNX Runtime has it; that build of ONNX Runtime lies beside the
# ordinary one, and PYTHONPATH chooses.
OPENVINO_PROVIDER = "onnxruntime-openvino==1.24.1"


@dataclass(frozen=True)
class Variant:
    """One way to run infinity on a CPU."""

    engine: str
    model: str  # directory under the models directory
    settings: str  # for the report
    options: list[str] = field(default_factory=list)
    with_openvino: bool = False


_MEAN = ["--pooling-method", "mean"]  # "auto" means the first token here, which is wrong for this model.
VARIANTS = {
    "infinity-torch-fp32": Variant(
        "torch", "checkpoint", "torch engine, float32 (its default on a CPU), scaled-dot-product attention"),
    "infinity-torch-bf16": Variant(
        "torch", "checkpoint", "torch engine, bfloat16, scaled-dot-product attention", ["--dtype", "bfloat16"]),
    "infinity-optimum-fp32": Variant(
        "optimum", "fp32", "optimum engine, float32 graph fused by infinity for the CPU", _MEAN),
    "infinity-optimum-int8": Variant(
        "optimum", "int8", "optimum engine, fused graph quantised for AVX-512 VNNI, one scale for each channel",
        [*_MEAN, "--onnx-disable-optimize"]),
    "infinity-openvino": Variant(
        "optimum", "openvino", "optimum engine, float32 graph on OpenVINO's execution provider",
        [*_MEAN, "--onnx-disable-optimize"], with_openvino=True),
}
# Measured and left out: BetterTransformer and --compile (slower than scaled-dot-product attention on long texts here),
# batch sizes 16 and 64, and --lengths-via-tokenize (no different).
COMMON_OPTIONS = ["--no-compile", "--no-bettertransformer", "--no-vector-disk-cache"]


class InfinityEnvironment:
    """The environment and model directories under one root, made on first use."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._provider_dir = self._root / "openvino-provider"
        self.python = self._root / "bin" / "python"

    def prepare(self, checkpoint: Path) -> None:
        """Install infinity and export the graphs of `checkpoint` unless an earlier run did.

        Raises subprocess.CalledProcessError; what pip printed stands on standard error.
        """
        run_once(self._root / "installed.txt", REQUIREMENTS.read_text() + OPENVINO_PROVIDER, self._install)
        run_once(self._root / "exported.txt", str(checkpoint.resolve()), lambda: self._export(checkpoint))

    def plan(self, name: str) -> ServerPlan:
        """Return the server for a key of VARIANTS."""
        variant, port = VARIANTS[name], free_port()
        command = [
            str(self._root / "bin" / "infinity_emb"), "v2", "--engine", variant.engine, "--device", "cpu",
            "--model-id", str(self._models_dir / variant.model), "--served-model-name", "model",
            "--host", "127.0.0.1", "--port", str(port), *COMMON_OPTIONS, *variant.options,
        ]
        environment = {**os.environ, "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
        if variant.with_openvino:
            environment["PYTHONPATH"] = str(self._provider_dir)
        return ServerPlan(name, command, f"http://127.0.0.1:{port}/models", environment)

    @property
    def _models_dir(self) -> Path:
        return self._root / "models"

    def _install(self) -> None:
        run_step(sys.executable, "-m", "venv", "--clear", str(self._root))
        pip = [str(self.python), "-m", "pip", "install", "--quiet"]
        run_step(*pip, "-r", str(REQUIREMENTS))
        run_step(*pip, "--no-deps", "--target", str(self._provider_dir), OPENVINO_PROVIDER)

    def _export(self, checkpoint: Path) -> None:
        shutil.rmtree(self._models_dir, ignore_errors=True)
        shutil.copytree(checkpoint, self._models_dir / "checkpoint", ignore=shutil.ignore_patterns("*.onnx"))
        run_step(str(self.python), "-W", "ignore", str(PEERS_DIR / "export_onnx.py"), str(checkpoint),
                 str(self._models_dir))
        # A directory of its own, because infinity writes the graph it has fused beside the one it was given.
        shutil.copytree(self._models_dir / "fp32", self._models_dir / "openvino")
