"""Jobs as people see them: submitted once, listed newest first, cancelled and run once more."""

import threading
import uuid

import pytest

from control_plane.database.schema import utc_now
from control_plane.errors import IdempotencyConflictError, JobNotFoundError, JobStateError
from control_plane.jobs.store import JobStore, new_job_id
from control_plane.jobs.tables import CANCELLED, FAILED, QUEUED, RUNNING, SUCCEEDED


def submit(store, kind="tiny", arguments=None, actor="ada", key=None):
    return store.submit(kind, arguments or {"model": "fast"}, 3, actor, key)


def test_a_submitted_job_is_queued_as_it_was_given(store):
    before = utc_now()
    arguments = {"model": "模型", "min_cosine": 0.97, "nested": {"list": [1, None, True]}}
    job = store.find(submit(store, arguments=arguments).id)
    assert (job.kind, job.arguments, job.state, job.created_by) == ("tiny", arguments, QUEUED, "ada")
    assert (job.progress, job.step, job.attempts, job.max_attempts) == (0.0, "", 0, 3)
    assert (job.result, job.error, job.owner, job.started_at, job.finished_at) == (None,) * 5
    assert before <= job.created_at <= utc_now()
    assert [row.line for row in store.log(job.id, 10)] == ["submitted by ada"]


def test_ids_are_uuids_of_version_7_and_sort_by_when_they_were_made(monkeypatch):
    ids = []
    for nanoseconds in (1_000_000, 1_000_300, 1_999_999, 2_000_000, 10**15, 2**47 * 1_000_000):
        monkeypatch.setattr("time.time_ns", lambda at=nanoseconds: at)
        ids.append(new_job_id())
    assert ids == sorted(ids)
    assert {uuid.UUID(hex=made).version for made in ids} == {7}
    assert {uuid.UUID(hex=made).variant for made in ids} == {uuid.RFC_4122}


def test_the_same_key_and_request_give_the_same_job(store):
    first, second = (submit(store, key="k") for _ in range(2))
    assert second.id == first.id
    assert len(store.page(10)) == 1


def test_a_key_is_its_actors_own_and_no_key_never_collides(store):
    jobs = [submit(store, key="k", actor="ada"), submit(store, key="k", actor="bob"), submit(store), submit(store)]
    assert len({job.id for job in jobs}) == 4


@pytest.mark.parametrize("other", [{"kind": "other"}, {"arguments": {"model": "base"}}])
def test_the_same_key_for_another_request_is_refused_and_queues_nothing(store, other):
    first = submit(store, key="k")
    with pytest.raises(IdempotencyConflictError, match=rf"'k' belongs to another request, job {first.id}"):
        submit(store, key="k", **other)
    assert len(store.page(10)) == 1


def test_of_many_who_submit_with_one_key_at_once_all_get_the_same_job(database):
    ids, barrier = [], threading.Barrier(6)

    def ask() -> None:
        barrier.wait()
        ids.append(submit(JobStore(database), key="k").id)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 6
    assert len(set(ids)) == 1


def test_a_page_has_the_newest_jobs_first_and_the_next_begins_behind_it(store):
    ids = sorted((submit(store).id for _ in range(5)), reverse=True)
    assert [job.id for job in store.page(2)] == ids[:2]
    assert [job.id for job in store.page(10, before=ids[1])] == ids[2:]


def test_a_page_can_be_of_one_state_and_kind(store, claims):
    running, waiting, other = submit(store), submit(store), submit(store, kind="other")
    first = sorted([running.id, waiting.id, other.id])[0]
    assert claims.claim_next().job_id == first
    assert [job.id for job in store.page(10, state=RUNNING)] == [first]
    assert [job.id for job in store.page(10, kind="other")] == [other.id]
    assert store.page(10, state=SUCCEEDED) == []


def test_a_job_that_does_not_exist_is_not_found(store):
    actions = (store.find, lambda job_id: store.cancel(job_id, "ada"), lambda job_id: store.retry(job_id, "ada", 3))
    for action in actions:
        with pytest.raises(JobNotFoundError, match="no job 'nope'"):
            action("nope")


def test_a_waiting_job_is_cancelled_at_once_and_never_claimed(store, claims):
    job = submit(store)
    assert store.cancel(job.id, "bob", "a mistake").state == CANCELLED
    assert claims.claim_next() is None
    assert store.find(job.id).finished_at is not None
    assert store.log(job.id, 1)[0].line == "cancellation asked for by bob: a mistake"


def test_a_running_job_goes_on_until_its_process_has_ended(store, claims):
    job = submit(store)
    claim = claims.claim_next()
    cancelled = store.cancel(job.id, "bob")
    assert (cancelled.state, cancelled.cancel_requested) == (RUNNING, True)
    assert claims.unwanted([claim]) == [claim]


def test_what_has_ended_cannot_be_cancelled_and_what_has_not_cannot_be_retried(store, claims):
    job = submit(store)
    with pytest.raises(JobStateError, match=f"job {job.id} is queued; only a job that failed"):
        store.retry(job.id, "ada", 3)
    claim = claims.claim_next()
    with pytest.raises(JobStateError, match="is running"):
        store.retry(job.id, "ada", 3)
    claims.succeed(claim, {})
    with pytest.raises(JobStateError, match="is succeeded; only a job that is queued or running"):
        store.cancel(job.id, "ada")
    with pytest.raises(JobStateError, match="is succeeded"):
        store.retry(job.id, "ada", 3)


def test_a_retried_job_begins_afresh_with_attempts_of_its_own(store, claims):
    job = submit(store)
    claim = claims.claim_next()
    claims.report(claim, 0.5, "half")
    claims.fail(claim, "no network")
    assert store.find(job.id).state == FAILED
    retried = store.retry(job.id, "bob", 3, "network is back")
    assert (retried.state, retried.progress, retried.step, retried.error) == (QUEUED, 0.0, "", None)
    assert (retried.attempts, retried.max_attempts, retried.finished_at) == (1, 4, None)
    assert claims.claim_next().attempt == 2


def test_a_cancelled_job_can_be_run_once_more(store, claims):
    job = submit(store)
    store.cancel(job.id, "ada")
    store.retry(job.id, "ada", 3)
    assert claims.unwanted([claims.claim_next()]) == []


def test_a_log_gives_its_last_lines_oldest_first(store, claims):
    job = submit(store)
    claim = claims.claim_next()
    for number in range(5):
        claims.note(claim, f"line {number}")
    assert [row.line for row in store.log(job.id, 2)] == ["line 3", "line 4"]
    assert [row.attempt for row in store.log(job.id, 100)] == [0, 1, 1, 1, 1, 1, 1]
