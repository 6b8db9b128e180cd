"""A private MariaDB on a loopback port; it can be away for a while.

It is as durable as a server is by default, and has the memory that docs/operations.md advises and compose gives.
"""

import getpass
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pymysql

from serving.processes import start_child

_USER, _PASSWORD = "conch", "conch"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_START_TIMEOUT_S, _POLL_S = 60, 0.1
BUFFER_POOL = "2G"


class MariaDbServer:
    """A server with its data under `folder`; it ends with the block."""

    def __init__(self, folder: Path) -> None:
        self.data, self._log = folder / "data", folder / "mariadbd.log"
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as bound:
            self._port = bound.getsockname()[1]
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> "MariaDbServer":
        self._folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([_program("mariadb-install-db"), "--no-defaults", f"--datadir={self.data}",
                        f"--user={getpass.getuser()}", "--skip-test-db", "--auth-root-authentication-method=normal"],
                       check=True, capture_output=True)
        (self._folder / "grants.sql").write_text(
            f"CREATE USER IF NOT EXISTS {_USER}@127.0.0.1 IDENTIFIED BY '{_PASSWORD}';\n"
            f"GRANT ALL ON *.* TO {_USER}@127.0.0.1;\n", encoding="ascii")
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = start_child([
            _program("mariadbd"), "--no-defaults", f"--datadir={self.data}", f"--user={getpass.getuser()}",
            "--bind-address=127.0.0.1", f"--port={self._port}", "--socket=mariadbd.sock", "--skip-name-resolve",
            f"--innodb-buffer-pool-size={BUFFER_POOL}", f"--init-file={self._folder / 'grants.sql'}"], None, self._log)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"MariaDB did not start: {self._log.read_text(errors='replace')}")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """End it; the data stays."""
        self._process.terminate()
        self._process.wait()

    def create_database(self, name: str) -> str:
        """Make an empty database and return its URL."""
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
        return f"mysql+pymysql://{_USER}:{_PASSWORD}@127.0.0.1:{self._port}/{name}"

    def _connect(self) -> pymysql.Connection:
        return pymysql.connect(host="127.0.0.1", port=self._port, user=_USER, password=_PASSWORD)

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except pymysql.OperationalError:
            return False
        return True


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=_PATH)
    if found is None:
        raise AssertionError(f"{name} is not installed: apt-get install mariadb-server")
    return found
