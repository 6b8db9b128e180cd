"""Databases for tests: SQLite files, and a private MariaDB that runs while the tests do."""

import getpass
import itertools
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pymysql

from control_plane.database.database import Database
from control_plane.database.migration import newest_revision, upgrade
from serving.processes import start_child
from tests.ports import free_port

_USER, _PASSWORD = "conch", "conch"
_START_TIMEOUT_S = 60
_POLL_S = 0.05
_INSTALLATIONS = 2  # tries
# Debian keeps servers where only root's PATH looks.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class MariaDb:
    """A running server; it gives out databases that are nobody else's.

    It has no TLS, and whoever would offer it reads all of the system's certificates first, for each connection.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._numbers = itertools.count(1)
        self._spare: list[str] = []

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make a database without tables, give its URL, and drop it."""
        name = self._create()
        try:
            yield self._url(name)
        finally:
            self._execute(f"DROP DATABASE {name}")

    @contextmanager
    def migrated_database(self) -> Iterator[str]:
        """Give the URL of a database with every table and no row.

        It is emptied for whoever comes next: making the tables takes ten times as long.
        """
        name = self._spare.pop() if self._spare else self._create_migrated()
        try:
            yield self._url(name)
        finally:
            if self._empty(name):
                self._spare.append(name)
            else:
                self._execute(f"DROP DATABASE {name}")

    def answers(self) -> bool:
        """Return whether it takes connections by now."""
        try:
            self._execute("SELECT 1")
        except pymysql.OperationalError:
            return False
        return True

    def _url(self, name: str) -> str:
        return f"mysql+pymysql://{_USER}:{_PASSWORD}@127.0.0.1:{self._port}/{name}?ssl_disabled=true"

    def _create(self) -> str:
        name = f"conch_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name}")
        return name

    def _create_migrated(self) -> str:
        name = self._create()
        _migrate(self._url(name))
        return name

    def _empty(self, name: str) -> bool:
        """Make a database as good as new; returns False where a test has changed more than rows."""
        if self._execute("SELECT version_num FROM alembic_version", database=name) != ((newest_revision(),),):
            return False
        tables = self._execute("SELECT table_name, auto_increment > 1 FROM information_schema.tables WHERE "
                               "table_schema = DATABASE() AND table_name <> 'alembic_version'", database=name)
        sums = self._execute("CHECKSUM TABLE " + ", ".join(table for table, _ in tables), database=name)
        # The sum of a table without rows is 0; its name comes with the database's.
        used = {table for table, was_counted in tables if was_counted}
        used |= {table.rpartition(".")[2] for table, checksum in sums if checksum}
        self._execute("SET foreign_key_checks = 0", *(f"TRUNCATE {table}" for table in sorted(used)), database=name)
        return True

    def _execute(self, *statements: str, database: str | None = None) -> tuple[tuple, ...]:
        """Return the rows of the last statement."""
        connection = pymysql.connect(host="127.0.0.1", port=self._port, user=_USER, password=_PASSWORD,
                                     database=database, ssl_disabled=True)
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return cursor.fetchall()
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
    port = free_port()
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


def create_migrated_file(file: Path) -> str:
    """Write a SQLite file that has every table and no row, unless it is there; returns its URL."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_migrated_file())
    return f"sqlite:///{file}"


@cache
def _migrated_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "conch.db"
        _migrate(f"sqlite:///{file}")
        return file.read_bytes()


def _migrate(url: str) -> None:
    database = Database(url)
    upgrade(database)
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


def _wait_until_it_answers(server: MariaDb, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not server.answers():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"MariaDB did not start: {log.read_text(encoding='utf-8', errors='replace')}")
        time.sleep(_POLL_S)
