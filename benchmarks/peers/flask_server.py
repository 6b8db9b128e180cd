"""sentence-transformers behind Flask and gunicorn, as a server to start."""

import os
import sys
from pathlib import Path

from benchmarks.servers import ServerPlan, free_port
from serving.cores import available_cores

NAME = "sentence-transformers-flask"
DTYPE = "bfloat16"
CALLERS = 32
SETTINGS = (f"Flask under gunicorn, one worker process for each core with one torch thread, {CALLERS} threads in all, "
            f"torch {DTYPE}")


def plan(checkpoint: Path) -> ServerPlan:
    """Serve `checkpoint`; on two cores two workers answered a third more than one worker with two torch threads."""
    port, workers = free_port(), available_cores()
    command = [
        sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--workers", str(workers),
        "--threads", str(max(1, CALLERS // workers)), "--bind", f"127.0.0.1:{port}", "--timeout", "120",
        "--keep-alive", "60", "--no-control-socket", "benchmarks.peers.flask_app:create_app()",
    ]
    environment = {**os.environ, "PEER_CHECKPOINT": str(checkpoint.resolve()), "PEER_DTYPE": DTYPE,
                   "PEER_TORCH_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return ServerPlan(NAME, command, f"http://127.0.0.1:{port}/ready", environment)
