"""Triton with one version of a text generator as a server to start, and what can be read of it from outside."""

import re
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.generation_client import MODEL
from benchmarks.servers import ServerPlan, free_port
from export.triton_config import generator_config
from serving.triton.distribution import find_distribution, lay_out_backends
from serving.triton.server import ServerOptions, server_command, server_environment


@dataclass(frozen=True)
class GenerationTriton:
    """How to start it, and where it is reached then."""

    plan: ServerPlan
    grpc_address: str
    http_address: str
    metrics_url: str

    def running(self) -> int:
        """Return how many sequences are in a slot, by Triton's own metrics."""
        with urllib.request.urlopen(self.metrics_url) as response:
            text = response.read().decode()
        return int(float(re.search(r"^conch_generator_running\{.*\} (\S+)$", text, flags=re.MULTILINE).group(1)))

    def memory_bytes(self) -> int:
        """Return the resident memory of the process that computes."""
        [stub] = [process for process in psutil.Process().children(recursive=True)
                  if process.cmdline() and process.cmdline()[0].endswith("triton_python_backend_stub")]
        return stub.memory_info().rss


def plan_triton(folder: Path, version_dir: Path) -> GenerationTriton:
    """Plan Triton with the version in a repository of its own, at the settings of an export."""
    model_dir = Path(tempfile.mkdtemp(dir=folder)) / MODEL
    model_dir.mkdir()
    (model_dir / "1").symlink_to(version_dir.resolve())
    (model_dir / "config.pbtxt").write_text(generator_config(MODEL))
    distribution = find_distribution()
    http, grpc, metrics = (free_port() for _ in range(3))
    options = ServerOptions(model_dir.parent, lay_out_backends(distribution, folder / "backends"), "127.0.0.1", http,
                            grpc, metrics, "benchmark")
    command = [*server_command(distribution, options), f"--load-model={MODEL}"]
    environment = {**server_environment(distribution), "PYTHONPATH": str(Path(__file__).parents[1])}
    return GenerationTriton(ServerPlan("triton", command, f"http://127.0.0.1:{http}/v2/health/ready", environment),
                            f"127.0.0.1:{grpc}", f"127.0.0.1:{http}", f"http://127.0.0.1:{metrics}/metrics")
