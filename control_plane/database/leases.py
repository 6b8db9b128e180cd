"""Leases: at most one process works on a thing at a time, and one that dies gives it up by itself.

A lease is a row with an owner and an end. The owner moves the end on while it works; when it dies the lease runs out.
The clocks of the machines must agree to within a second or two.
"""

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import psutil
from sqlalchemy import String, delete, update
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.database.database import Database
from control_plane.database.schema import Base, UtcDateTime, utc_now
from control_plane.errors import BusyError, DatabaseError, DuplicateRowError

LEASE_S = 10.0
_POLL_S = 0.1
# Linux tells when a process started by a clock that is corrected now and then.
_SAME_START_S = 5.0


class LeaseRow(Base):
    """Who works on what, until when."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(191), primary_key=True)
    owner: Mapped[str] = mapped_column(String(191))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Leases:
    """The leases of one process."""

    def __init__(self, database: Database, lease_s: float = LEASE_S) -> None:
        self._database = database
        self._lease_s = lease_s

    @contextmanager
    def hold(self, name: str, wait_s: float = 0.0) -> Iterator["Lease"]:
        """Hold the lease while the block runs; raises BusyError when another has it for longer than `wait_s`."""
        lease = self._acquire(name, wait_s)
        try:
            yield lease
        finally:
            lease.release()

    def try_acquire(self, name: str) -> "Lease | None":
        """Return the lease, to be released by the caller, or None when another has it."""
        owner = f"{this_process()}/{uuid.uuid4().hex[:8]}"
        return Lease(self._database, name, owner, self._lease_s) if self._take(name, owner) else None

    def _acquire(self, name: str, wait_s: float) -> "Lease":
        deadline = time.monotonic() + wait_s
        while (lease := self.try_acquire(name)) is None:
            if time.monotonic() >= deadline:
                raise BusyError(f"another operation on {name.partition(':')[2] or name} is under way; try again when "
                                "it is done")
            time.sleep(_POLL_S)
        return lease

    def _take(self, name: str, owner: str) -> bool:
        now = utc_now()
        expires_at = now + timedelta(seconds=self._lease_s)
        with self._database.write() as session:
            row = session.get(LeaseRow, name, with_for_update=True)
            if row is not None:
                if row.expires_at > now and not is_of_the_dead(row.owner):
                    return False
                row.owner, row.expires_at = owner, expires_at
                return True
        try:
            with self._database.write() as session:
                session.add(LeaseRow(name=name, owner=owner, expires_at=expires_at))
        except DuplicateRowError:  # Somebody was faster.
            return False
        return True


class Lease:
    """A lease that this process has; a thread moves its end on until it is released."""

    def __init__(self, database: Database, name: str, owner: str, lease_s: float) -> None:
        self._database, self._name, self._owner, self._lease_s = database, name, owner, lease_s
        self._held_until = time.monotonic() + lease_s
        self._released = threading.Event()
        self._renewer = threading.Thread(target=self._renew, name=f"lease-{name}", daemon=True)
        self._renewer.start()

    @property
    def is_held(self) -> bool:
        """Whether nobody else can have it; False once renewing failed for too long."""
        return time.monotonic() < self._held_until

    def release(self) -> None:
        """Give it back; without a database it runs out by itself."""
        self._released.set()
        self._renewer.join()
        try:
            with self._database.write() as session:
                session.execute(delete(LeaseRow).where(LeaseRow.name == self._name, LeaseRow.owner == self._owner))
        except DatabaseError:
            pass

    def _renew(self) -> None:
        while not self._released.wait(self._lease_s / 4):
            started = time.monotonic()
            try:
                with self._database.write() as session:
                    renewed = session.execute(
                        update(LeaseRow).where(LeaseRow.name == self._name, LeaseRow.owner == self._owner)
                        .values(expires_at=utc_now() + timedelta(seconds=self._lease_s))).rowcount
            except DatabaseError:
                continue
            if not renewed:  # Another took it; it does not come back.
                self._held_until = 0.0
                return
            self._held_until = started + self._lease_s


def this_process() -> str:
    """Return what names this process for good: host, process id and when it started, since ids are used again."""
    return f"{socket.gethostname()}/{os.getpid()}/{psutil.Process().create_time():.0f}"


def is_of_the_dead(owner: str) -> bool:
    """Return whether the owner was a process of this host that has ended, so that nobody need wait for its lease."""
    host, pid, started, _ = owner.rsplit("/", 3)
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(pid))
        has_same_start = abs(process.create_time() - float(started)) < _SAME_START_S
        return not has_same_start or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
