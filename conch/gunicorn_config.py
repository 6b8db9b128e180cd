"""gunicorn's configuration beyond its command line: JSON logs, an end to clients that fall silent, and metrics that
outlive a worker where they should.
"""

import socket
import struct

from gunicorn.glogging import Logger
from prometheus_client.multiprocess import mark_process_dead

from control_plane.observability.logs import JsonFormatter
from control_plane.settings import load_settings

_SETTINGS = load_settings()
_METRICS_DIR = _SETTINGS.metrics_dir


class JsonLogger(Logger):
    """gunicorn's own messages in the form of ours."""

    def setup(self, cfg) -> None:
        """Set up as gunicorn does, with another formatter."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonFormatter())


logger_class = JsonLogger


def on_starting(server) -> None:
    """Forget what the workers of a master that was killed had under way; what they counted stays."""
    if _METRICS_DIR is not None:
        for file in _METRICS_DIR.glob("gauge_live*.db"):
            file.unlink()


def when_ready(server) -> None:
    """Have what a client sends and reads time out when it falls silent, or one that stops half-way holds a thread."""
    seconds, fraction = divmod(_SETTINGS.client_timeout_s, 1)
    timeval = struct.pack("@ll", int(seconds), int(fraction * 1e6))
    for listener in server.LISTENERS:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):  # Accepted sockets take them over (socket(7)).
            listener.sock.setsockopt(socket.SOL_SOCKET, option, timeval)


def child_exit(server, worker) -> None:
    """Forget what a worker that has ended had under way."""
    if _METRICS_DIR is not None:
        mark_process_dead(worker.pid, str(_METRICS_DIR))
