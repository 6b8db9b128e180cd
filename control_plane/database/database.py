"""Opens transactions. SQLAlchemy's connection errors stop here. Knows no table."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from control_plane.errors import DatabaseError, DatabaseUnavailableError, DuplicateRowError
from control_plane.settings import SettingsError

_BUSY_TIMEOUT_MS = 5000   # SQLite: how long a writer waits for another
_CONNECT_TIMEOUT_S = 3    # MySQL: a database that is away is noticed, not waited for
_ANSWER_TIMEOUT_S = 20
_POOL_RECYCLE_S = 1800    # below MySQL's own wait_timeout of eight hours and most proxies' of one
_WRITES = "conch_writes"  # execution option: this transaction is going to write


class Database:
    """One database by its URL; connections are opened on first use, so that it survives gunicorn's fork."""

    def __init__(self, url: str) -> None:
        self.engine = _create_engine(url)
        self._writer = self.engine.execution_options(**{_WRITES: True})

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads; raises DatabaseUnavailableError when there is no database to ask."""
        with _translated(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that is committed at the end, or rolled back by an exception.

        Raises DatabaseUnavailableError, or DuplicateRowError when a row with that key is there already.
        """
        with _translated(), Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def dispose(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()


def _create_engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            if parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            engine = create_engine(parsed)
            _prepare_sqlite(engine)
            return engine
        return create_engine(
            parsed, pool_pre_ping=True, pool_recycle=_POOL_RECYCLE_S, isolation_level="READ COMMITTED",
            connect_args={"connect_timeout": _CONNECT_TIMEOUT_S, "read_timeout": _ANSWER_TIMEOUT_S,
                          "write_timeout": _ANSWER_TIMEOUT_S, "charset": "utf8mb4"})
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise SettingsError(f"CONCH_DATABASE_URL is not a database URL that works here ({error}); for example "
                            "sqlite:////var/lib/conch/conch.db or mysql+pymysql://user:password@host/conch") from error


def _prepare_sqlite(engine: Engine) -> None:
    """Let readers and a writer work side by side, and begin transactions ourselves (sqlite.org: WAL, "BEGIN")."""
    @event.listens_for(engine, "connect")
    def configure(connection, _) -> None:
        connection.isolation_level = None  # The driver begins no transaction behind our back.
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection) -> None:
        # A transaction that reads first and writes later would fail at once where another wrote in between.
        immediate = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise DuplicateRowError(f"the row exists already or refers to one that does not: {error.orig}") from error
    except DBAPIError as error:
        raise DatabaseUnavailableError(f"the database does not answer: {error.orig}") from error
    except SQLAlchemyError as error:
        raise DatabaseError(f"the database could not be used: {error}") from error
