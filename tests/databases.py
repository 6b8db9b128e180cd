"""Databases for tests: SQLite files, and a private MariaDB that runs while the tests do."""

import getpass
import itertools
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql

from control_plane.database.database import Database
from control_plane.database.migration import upgrade
from serving.processes import start_child

_USER, _PASSWORD = "conch", "conch"
_START_TIMEOUT_S = 60
_POLL_S = 0.05
_INSTALLATIONS = 2  # tries
# Debian keeps servers where only root's PATH looks.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class MariaDb:
    """A running server; it gives out databases of fresh names."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._numbers = itertools.count(1)

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make an empty database, give its URL, and drop it."""
        name = f"conch_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name}")
        try:
            yield f"mysql+pymysql://{_USER}:{_PASSWORD}@127.0.0.1:{self._port}/{name}"
        finally:
            self._execute(f"DROP DATABASE {name}")

    def answers(self) -> bool:
        """Return whether it takes connections by now."""
        try:
            self._execute("SELECT 1")
        except pymysql.OperationalError:
            return False
        return True

    def _execute(self, statement: str) -> None:
        connection = pymysql.connect(host="127.0.0.1", port=self._port, user=_USER, password=_PASSWORD)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()


@contextmanager
def running_mariadb(folder: Path) -> Iterator[MariaDb]:
    """Run a MariaDB on a free loopback port with its data under `folder`, which is not synced to the disk."""
    data, log = folder / "data", folder / "mariadbd.log"
    user = f"--user={getpass.getuser()}"
    _install(data, user)
    grants = folder / "grants.sql"
    grants.write_text(f"CREATE USER {_USER}@127.0.0.1 IDENTIFIED BY '{_PASSWORD}';\n"
                      f"GRANT ALL ON *.* TO {_USER}@127.0.0.1;\n", encoding="ascii")
    port = _free_port()
    process = start_child([
        _program("mariadbd"), "--no-defaults", f"--datadir={data}", user, "--bind-address=127.0.0.1", f"--port={port}",
        "--socket=mariadbd.sock", f"--init-file={grants}", "--skip-name-resolve", "--innodb-flush-method=nosync",
        "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M", "--performance-schema=OFF"], None, log)
    try:
        server = MariaDb(port)
        _wait_until_it_answers(server, process, log)
        yield server
    finally:
        process.terminate()
        process.wait()


@contextmanager
def migrated_database(url: str) -> Iterator[Database]:
    """Open a database that has every table, and none of whose rows are anybody's yet."""
    database = Database(url)
    upgrade(database)
    yield database
    database.dispose()


def _install(data: Path, user: str) -> None:
    """Write the system tables; once more where it failed, as it did once on a machine that was busy with many."""
    for _ in range(_INSTALLATIONS):
        shutil.rmtree(data, ignore_errors=True)
        done = subprocess.run([_program("mariadb-install-db"), "--no-defaults", f"--datadir={data}", user,
                               "--skip-test-db", "--auth-root-authentication-method=normal"],
                              capture_output=True, text=True)
        if done.returncode == 0:
            return
    raise AssertionError(f"mariadb-install-db failed ({done.returncode}): {done.stdout[-2000:]}{done.stderr[-2000:]}")


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=_PATH)
    if found is None:
        raise AssertionError(f"{name} is not installed, and the tests run on MariaDB too: apt-get install "
                             "mariadb-server")
    return found


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return bound.getsockname()[1]


def _wait_until_it_answers(server: MariaDb, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not server.answers():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"MariaDB did not start: {log.read_text(encoding='utf-8', errors='replace')}")
        time.sleep(_POLL_S)
