"""Starts one tritonserver as Conch needs it: explicit model control, loopback, restricted APIs. Knows no model."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from export.contract import SECRET_HEADER
from serving.triton.distribution import Distribution

# Groups of Triton's API that can change the server or run code; only a caller with the secret may use them.
_RESTRICTED = "model-repository,shared-memory,trace,logging"


@dataclass(frozen=True)
class ServerOptions:
    """What differs between one tritonserver and another."""

    model_repository: Path
    backend_dir: Path
    host: str
    http_port: int
    grpc_port: int
    metrics_port: int
    secret: str


def server_command(distribution: Distribution, options: ServerOptions) -> list[str]:
    """Return the command line (source: `tritonserver --help` of 2.51)."""
    return [
        str(distribution.executable),
        f"--model-repository={options.model_repository.resolve()}",
        f"--backend-directory={options.backend_dir.resolve()}",
        "--model-control-mode=explicit",
        "--disable-auto-complete-config",
        "--exit-timeout-secs=10",
        f"--http-address={options.host}", f"--http-port={options.http_port}",
        f"--grpc-address={options.host}", f"--grpc-port={options.grpc_port}",
        f"--metrics-address={options.host}", f"--metrics-port={options.metrics_port}",
        "--allow-gpu-metrics=false",
        f"--http-restricted-api={_RESTRICTED}:{SECRET_HEADER}={options.secret}",
        f"--grpc-restricted-protocol={_RESTRICTED}:{SECRET_HEADER}={options.secret}",
    ]


def server_environment(distribution: Distribution) -> dict[str, str]:
    """Return the environment in which the server finds its libraries and its stubs find this Python's packages."""
    environment = dict(os.environ)
    libraries = [str(folder) for folder in distribution.library_dirs]
    environment["LD_LIBRARY_PATH"] = _join(libraries, environment.get("LD_LIBRARY_PATH"))
    environment["PATH"] = _join([str(Path(sys.executable).parent)], environment.get("PATH"))
    return environment


def _join(first: list[str], rest: str | None) -> str:
    return os.pathsep.join([*first, rest] if rest else first)
