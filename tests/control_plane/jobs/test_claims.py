"""Claims: one process has a job, one that is believed dead changes nothing, and what it left is taken up."""

import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from sqlalchemy import update

from control_plane.database.leases import this_process
from control_plane.database.schema import utc_now
from control_plane.jobs.claims import LEASE_S, Claim, JobClaims
from control_plane.jobs.tables import CANCELLED, FAILED, QUEUED, RUNNING, SUCCEEDED, JobRow

COLUMNS = [column.name for column in JobRow.__table__.columns]
WRITES = {
    "renew": lambda claims, claim: claims.renew(claim),
    "report": lambda claims, claim: claims.report(claim, 0.5, "half"),
    "note": lambda claims, claim: claims.note(claim, "a line"),
    "succeed": lambda claims, claim: claims.succeed(claim, {"answer": 42}),
    "fail": lambda claims, claim: claims.fail(claim, "too bad"),
    "give_back": lambda claims, claim: claims.give_back(claim),
    "lose": lambda claims, claim: claims.lose(claim, "gone"),
}


def submit(store, max_attempts=3):
    return store.submit("tiny", {}, max_attempts, "ada").id


@pytest.fixture
def claim(store, claims) -> Claim:
    submit(store)
    return claims.claim_next()


def expire(database, job_id: str) -> None:
    with database.write() as session:
        session.execute(update(JobRow).where(JobRow.id == job_id)
                        .values(lease_expires_at=utc_now() - timedelta(seconds=1), owner="elsewhere/1/1/1"))


def test_the_oldest_job_is_claimed_first_and_each_only_once(store, claims):
    ids = sorted(submit(store) for _ in range(3))
    assert [claims.claim_next() for _ in range(4)] == [Claim(job_id, 1) for job_id in ids] + [None]


def test_a_claim_says_who_runs_the_job_and_until_when(store, claims, claim):
    job = store.find(claim.job_id)
    assert (job.state, job.attempts) == (RUNNING, 1)
    assert job.owner == f"{this_process()}/1"
    assert utc_now() < job.lease_expires_at <= utc_now() + timedelta(seconds=LEASE_S)
    assert job.started_at is not None
    assert claims.abandoned() == []


def test_many_at_once_never_claim_the_same_job(store, database):
    ids = {submit(store) for _ in range(12)}
    claimed, barrier = [], threading.Barrier(4)

    def work() -> None:
        own = JobClaims(database)
        barrier.wait()
        while claim := own.claim_next():
            claimed.append(claim)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == 12
    assert {claim.job_id for claim in claimed} == ids


def test_renewing_moves_the_end_of_the_lease_on(store, claims, claim, database):
    expire(database, claim.job_id)
    assert claims.renew(claim)
    assert store.find(claim.job_id).lease_expires_at > utc_now()
    assert claims.abandoned() == []


def test_progress_is_kept_between_0_and_1_and_each_step_is_logged_once(store, claims, claim):
    for progress, step in ((-1, "load"), (0.25, "load"), (7, "save")):
        assert claims.report(claim, progress, step)
    job = store.find(claim.job_id)
    assert (job.progress, job.step) == (1.0, "save")
    assert [row.line for row in store.log(job.id, 2)] == ["load", "save"]


def test_success_keeps_the_result(store, claims, claim):
    assert claims.succeed(claim, {"version": 2, "parity": {"min_cosine": 0.99991}})
    job = store.find(claim.job_id)
    assert (job.state, job.progress, job.result["parity"]["min_cosine"]) == (SUCCEEDED, 1.0, 0.99991)
    assert (job.owner, job.lease_expires_at) == (None, None)
    assert job.finished_at is not None


def test_failure_keeps_the_reason_whatever_it_holds(store, claims, claim):
    assert claims.fail(claim, "lone \ud800 surrogate " + "长" * 100_000)
    job = store.find(claim.job_id)
    assert job.state == FAILED
    assert job.error.startswith("lone ? surrogate 长")
    assert len(job.error) == 8000
    assert job.attempts < job.max_attempts  # An answer is no accident: it is not tried again by itself.


def test_a_job_that_was_given_back_has_lost_no_attempt(store, claims, claim):
    assert claims.give_back(claim)
    job = store.find(claim.job_id)
    assert (job.state, job.attempts, job.max_attempts, job.progress) == (QUEUED, 1, 4, 0.0)
    assert claims.claim_next() == Claim(claim.job_id, 2)


@pytest.mark.parametrize("end", ["give_back", "lose"])
def test_a_job_that_was_to_be_cancelled_is_when_its_process_has_ended(store, claims, claim, end):
    store.cancel(claim.job_id, "ada")
    assert WRITES[end](claims, claim)
    assert store.find(claim.job_id).state == CANCELLED
    assert claims.claim_next() is None


def test_a_lost_attempt_is_repeated_until_there_are_no_more(store, claims):
    job_id = submit(store, max_attempts=2)
    claims.lose(claims.claim_next(), "its process was ended by SIGKILL")
    assert store.find(job_id).state == QUEUED
    claims.lose(claims.claim_next(), "its process was ended by SIGKILL")
    job = store.find(job_id)
    assert (job.state, job.error) == (FAILED, "its process was ended by SIGKILL, in attempt 2 of 2")
    assert claims.claim_next() is None


@pytest.mark.parametrize("write", WRITES)
def test_an_attempt_that_was_taken_up_elsewhere_changes_nothing_any_more(store, claims, claim, write):
    claims.lose(claim, "believed dead")
    second = claims.claim_next()
    before, lines = store.find(claim.job_id), len(store.log(claim.job_id, 100))
    assert not WRITES[write](claims, claim)
    after = store.find(claim.job_id)
    assert {name: getattr(after, name) for name in COLUMNS} == {
        name: getattr(before, name) for name in COLUMNS}
    assert len(store.log(claim.job_id, 100)) == lines
    assert claims.renew(second)


@pytest.mark.parametrize("write", WRITES)
def test_an_attempt_that_has_ended_changes_nothing_any_more(store, claims, claim, write):
    claims.succeed(claim, {"answer": 1})
    assert not WRITES[write](claims, claim)
    assert store.find(claim.job_id).result == {"answer": 1}


def test_a_lease_that_ran_out_is_abandoned(claims, claim, database):
    expire(database, claim.job_id)
    assert claims.abandoned() == [claim]


def test_a_job_of_a_dead_process_of_this_host_is_abandoned_before_its_lease_ends(claims, claim, database):
    owner = subprocess.run([sys.executable, "-c", "from control_plane.database.leases import this_process\n"
                            "print(this_process())"], capture_output=True, text=True, check=True).stdout.strip()
    with database.write() as session:
        session.execute(update(JobRow).where(JobRow.id == claim.job_id).values(owner=f"{owner}/1"))
    assert claims.abandoned() == [claim]


def test_only_what_runs_for_its_owner_is_wanted(store, claims):
    ids = sorted(submit(store) for _ in range(4))
    kept, cancelled, ended, lost = mine = [claims.claim_next() for _ in ids]
    store.cancel(cancelled.job_id, "ada")
    claims.succeed(ended, {})
    claims.lose(lost, "gone")
    claims.claim_next()
    assert claims.unwanted(mine) == [cancelled, ended, lost]
    assert claims.unwanted([]) == []
    assert claims.renew(kept)
