"""What every table shares: the declarative base and column types that mean the same on SQLite and MySQL."""

from datetime import datetime, timezone

from sqlalchemy import DateTime, MetaData
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

# Names are compared byte by byte, as SQLite does: a model "Fast" is not the model "fast".
_OPTIONS = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}
# SQLAlchemy takes a URL that begins with mariadb for another dialect, which does not look at the options of mysql.
MYSQL_OPTIONS = {f"{dialect}_{name}": value for dialect in ("mysql", "mariadb") for name, value in _OPTIONS.items()}
# Migrations name constraints to change them later; a database's own made-up names differ.
_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s", "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of every table."""

    metadata = MetaData(naming_convention=_NAMING)
    __table_args__ = MYSQL_OPTIONS


class UtcDateTime(TypeDecorator):
    """A moment, kept without a zone in UTC with microseconds and handed out as an aware datetime."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect):
        """MySQL keeps whole seconds unless told otherwise."""
        return dialect.type_descriptor(mysql.DATETIME(fsp=6) if dialect.name in ("mysql", "mariadb") else DateTime())

    def process_bind_param(self, value: datetime | None, dialect) -> datetime | None:
        """Refuse a datetime without a zone: it could mean any moment."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(timezone.utc).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect) -> datetime | None:
        """Say that it is UTC."""
        return None if value is None else value.replace(tzinfo=timezone.utc)


def utc_now() -> datetime:
    """Return this moment as an aware datetime."""
    return datetime.now(timezone.utc)
