"""Conch itself as a server to start: `conch serve`, configured through the environment as a user would."""

import json
import os
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import ServerPlan, free_port

NAME = "conch"
MODEL = "fast"
MODEL_INT8 = "fast-int8"
EXPORT_INT8 = f"conch export {MODEL} --name {MODEL_INT8} --precision int8 --min-cosine 0.998"
_EMBEDDINGS = "/v1/embeddings"


@dataclass(frozen=True)
class ConchServer:
    """Where a Conch that this plan starts can be reached."""

    plan: ServerPlan
    home: Path
    rest_url: str
    triton_url: str    # HTTP
    grpc_address: str

    @property
    def api_key(self) -> str:
        """The admin key; there once the server is ready."""
        return (self.home / "admin.key").read_text().strip()

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        """Call the control plane and return its answer; raises urllib.error.HTTPError where it refuses."""
        request = urllib.request.Request(
            self.rest_url.removesuffix(_EMBEDDINGS) + path, None if body is None else json.dumps(body).encode(),
            method=method, headers={"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request) as response:
            return json.loads(response.read())


def plan_conch(home: Path, model_repository: Path, **settings: str) -> ConchServer:
    """Plan a Conch on free loopback ports with its state in `home`; `settings` are environment variables of it."""
    ports = {name: free_port() for name in ("HTTP", "TRITON_HTTP", "TRITON_GRPC", "TRITON_METRICS")}
    environment = {
        **os.environ, "CONCH_HOME": str(home), "CONCH_MODEL_REPOSITORY": str(model_repository.resolve()),
        "CONCH_PRELOAD_MODELS": MODEL, **{f"CONCH_{name}_PORT": str(port) for name, port in ports.items()},
        **settings,
    }
    # The console script of this environment, without relying on PATH.
    command = [sys.executable, "-c", "from conch.cli import main; main()", "serve"]
    rest = f"http://127.0.0.1:{ports['HTTP']}"
    return ConchServer(ServerPlan(NAME, command, f"{rest}/ready", environment), home, f"{rest}{_EMBEDDINGS}",
                       f"http://127.0.0.1:{ports['TRITON_HTTP']}", f"127.0.0.1:{ports['TRITON_GRPC']}")
