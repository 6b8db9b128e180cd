"""Conch itself as a server to start: `conch serve`, configured through the environment as a user would."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import ServerPlan, free_port

NAME = "conch"
MODEL = "fast"


@dataclass(frozen=True)
class ConchServer:
    """Where a Conch that this plan starts can be reached."""

    plan: ServerPlan
    home: Path
    rest_url: str
    grpc_address: str

    @property
    def api_key(self) -> str:
        """The admin key; there once the server is ready."""
        return (self.home / "admin.key").read_text().strip()


def plan_conch(home: Path, model_repository: Path) -> ConchServer:
    """Plan a Conch on free loopback ports with its state in `home`."""
    ports = {name: free_port() for name in ("HTTP", "TRITON_HTTP", "TRITON_GRPC", "TRITON_METRICS")}
    environment = {
        **os.environ, "CONCH_HOME": str(home), "CONCH_MODEL_REPOSITORY": str(model_repository.resolve()),
        "CONCH_PRELOAD_MODELS": MODEL, **{f"CONCH_{name}_PORT": str(port) for name, port in ports.items()},
    }
    # The console script of this environment, without relying on PATH.
    command = [sys.executable, "-c", "from conch.cli import main; main()", "serve"]
    rest = f"http://127.0.0.1:{ports['HTTP']}"
    return ConchServer(ServerPlan(NAME, command, f"{rest}/ready", environment), home, f"{rest}/v1/embeddings",
                       f"127.0.0.1:{ports['TRITON_GRPC']}")
