"""A private Redis for tests, which can go away, fall silent and come back."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

import psutil

from serving.processes import start_child
from tests.ports import free_port

_START_TIMEOUT_S = 60
_POLL_S = 0.02


class RedisServer:
    """Runs on one free loopback port; it keeps nothing on the disk, so that it comes back empty."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self._keeper: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        """Its address, whether it runs or not."""
        return f"redis://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = self._folder / "redis.log"
        self._keeper = start_child([_program(), "--port", str(self._port), "--bind", "127.0.0.1", "--save", "",
                                    "--dir", str(self._folder)], None, log)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if self._keeper.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"Redis did not start: {log.read_text(encoding='utf-8', errors='replace')}")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Stop it; whoever asks it is refused."""
        if self._keeper is not None:
            self._keeper.terminate()
            self._keeper.wait()
            self._keeper = None

    def suspend(self) -> None:
        """Have it take connections and questions, and answer none."""
        self._process().suspend()

    def resume(self) -> None:
        """Have it answer again."""
        self._process().resume()

    def _process(self) -> psutil.Process:
        server, = psutil.Process(self._keeper.pid).children()
        return server

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16) == b"+PONG\r\n"
        except OSError:
            return False


def _program() -> str:
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        raise AssertionError("redis-server is not installed, and the tests need one: apt-get install redis-server")
    return found
