"""The process of a job: what it does when the database goes away, and that it never works without a lease."""

import signal
import subprocess
import sys

import pytest

from control_plane.database.database import Database
from control_plane.errors import DatabaseError, DatabaseUnavailableError
from control_plane.jobs.claims import JobClaims
from control_plane.jobs.worker import EXIT_LOST, Report, run_claimed
from export.contract import ConchError


@pytest.fixture
def claim(store, claims):
    store.submit("tiny", {}, 2, "ada")
    return claims.claim_next()


@pytest.fixture(autouse=True)
def handler():
    """Whatever handles SIGTERM here afterwards handles it as before."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


class Flaky(JobClaims):
    """A database that is away for the first so many writes of each outcome."""

    def __init__(self, database: Database, failures: int) -> None:
        super().__init__(database)
        self.failures = failures

    def succeed(self, claim, result):
        self._fail()
        return super().succeed(claim, result)

    def report(self, claim, progress, step):
        self._fail()
        return super().report(claim, progress, step)

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise DatabaseUnavailableError("gone")


def test_an_outcome_is_written_when_the_database_is_back(store, database, claim):
    run_claimed(Flaky(database, failures=1), claim, lambda report: {"answer": 42})
    assert store.find(claim.job_id).result == {"answer": 42}


def test_a_report_that_cannot_be_written_costs_the_job_nothing(store, database, claim):
    def work(report: Report) -> dict:
        report(0.1, "first")
        report(0.2, "second")
        return {}

    run_claimed(Flaky(database, failures=1), claim, work)
    assert store.find(claim.job_id).state == "succeeded"
    assert "second" in [row.line for row in store.log(claim.job_id, 10)]


def test_a_database_that_is_away_while_the_job_works_costs_an_attempt_and_not_the_job(store, claims, claim):
    def work(report: Report) -> dict:
        raise DatabaseUnavailableError("the database does not answer")

    run_claimed(claims, claim, work)
    job = store.find(claim.job_id)
    assert (job.state, job.attempts, job.max_attempts) == ("queued", 1, 2)


def test_reports_of_one_step_are_not_written_each(store, claims, claim):
    def work(report: Report) -> dict:
        for number in range(1000):
            report(number / 1000, "many")
        assert store.find(claim.job_id).progress == 0.0
        report(0.999, "next")
        assert store.find(claim.job_id).progress == 0.999
        return {}

    run_claimed(claims, claim, work)
    assert store.find(claim.job_id).state == "succeeded"


def test_sigterm_in_the_middle_gives_the_job_back_though_the_work_catches_every_exception(store, claims, claim):
    """The handler is called as the signal would; real signals reach real processes in test_dispatcher."""
    cleaned_up = []

    def work(report: Report) -> dict:
        try:
            signal.getsignal(signal.SIGTERM)(signal.SIGTERM, None)
        except Exception:
            raise AssertionError("being stopped is no error of the work") from None
        finally:
            cleaned_up.append(signal.getsignal(signal.SIGTERM))  # Asked again, it still cleans up.
        return {}

    run_claimed(claims, claim, work)
    assert cleaned_up == [signal.SIG_IGN]
    assert store.find(claim.job_id).state == "queued"


def test_an_error_of_ours_is_the_answer(store, claims, claim):
    def work(report: Report) -> dict:
        raise ConchError("no source gave the checkpoint")

    run_claimed(claims, claim, work)
    job = store.find(claim.job_id)
    assert (job.state, job.error) == ("failed", "no source gave the checkpoint")


_PROGRAM = """
import sys
from control_plane.database.database import Database
from control_plane.jobs.claims import Claim, JobClaims
from control_plane.jobs.worker import run_claimed
run_claimed(JobClaims(Database(sys.argv[1])), Claim(sys.argv[2], int(sys.argv[3])), lambda report: print("worked"))
"""


def run_program(url: str, job_id: str, attempt: int) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", _PROGRAM, url, job_id, str(attempt)], capture_output=True, text=True,
                          timeout=60)


def test_a_process_whose_attempt_is_not_the_present_one_does_not_begin(database_url, claims, claim):
    claims.lose(claim, "believed dead")
    claims.claim_next()
    run = run_program(database_url, claim.job_id, claim.attempt)
    assert (run.returncode, run.stdout) == (EXIT_LOST, "")


def test_a_process_that_cannot_take_its_lease_does_not_begin(tmp_path):
    away = tmp_path / "away"
    away.mkdir()
    run = run_program(f"sqlite:///{away}", "some-job", 1)
    assert (run.returncode, run.stdout) == (EXIT_LOST, "")
    assert "the database was away for too long" in run.stderr


def test_a_result_that_no_database_takes_ends_the_process_instead_of_keeping_the_job_for_ever(store, database, claim):
    with pytest.raises(DatabaseError, match="not JSON serializable"):
        run_claimed(JobClaims(database, lease_s=1.0), claim, lambda report: {"answer": object()})
    assert store.find(claim.job_id).state == "running"  # Until its dispatcher sees that the process has ended.
