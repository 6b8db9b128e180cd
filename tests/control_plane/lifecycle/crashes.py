"""A control plane that dies between any two of its steps: calls of a Triton, and writes of the desired state."""

from contextlib import contextmanager
from datetime import timedelta

from control_plane.database.database import Database
from control_plane.database.leases import LeaseRow
from control_plane.database.schema import utc_now
from control_plane.lifecycle.store import ModelStore
from tests.control_plane.fakes import FakeGateway


class CrashError(Exception):
    """The process is dead: whatever it tries raises this."""


class Countdown:
    """How many more steps the process lives."""

    def __init__(self) -> None:
        self.steps: int | None = None  # None: for ever
        self.is_dead = False           # whether the last process died

    def step(self, _: object = None) -> None:
        """Take one step, or die."""
        if self.steps is not None:
            if self.steps <= 0:
                self.is_dead = True
                raise CrashError
            self.steps -= 1

    @contextmanager
    def dying_after(self, steps: int, gateways: list[FakeGateway]):
        """Let a process do so many steps; gives nothing back of what it raises when it dies."""
        self.steps, self.is_dead = steps, False
        for gateway in gateways:
            gateway.on_call = self.step
        try:
            yield
        except CrashError:
            assert self.is_dead
        finally:
            self.steps = None
            for gateway in gateways:
                gateway.on_call = lambda call: None


class MortalStore(ModelStore):
    """A store whose process may be dead before it writes."""

    def __init__(self, database: Database, countdown: Countdown) -> None:
        super().__init__(database)
        self._countdown = countdown

    def change(self, *arguments, **values):
        self._countdown.step()
        return super().change(*arguments, **values)

    def note(self, *arguments, **values):
        self._countdown.step()
        return super().note(*arguments, **values)

    def observe(self, *arguments, **values):
        self._countdown.step()
        return super().observe(*arguments, **values)


def leave_lease_of_the_dead(database: Database, name: str) -> None:
    """Put the lease there that a dead process of another host held; it has just run out."""
    with database.write() as session:
        session.merge(LeaseRow(name=name, owner="another-host/1/1/abc", expires_at=utc_now() - timedelta(seconds=1)))
