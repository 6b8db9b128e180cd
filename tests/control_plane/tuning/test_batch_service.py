"""Batches: refused with the counts when nothing is labelled, one at a time, one job however often asked."""

import pytest
from sqlalchemy import update

from control_plane.database.leases import Leases
from control_plane.jobs.tables import JobRow
from control_plane.tuning.batch_service import AUTOMATIC, LEASE
from control_plane.tuning.tables import FAILED, RUNNING, SUCCEEDED
from control_plane.tuning_errors import BatchNotFoundError, BatchStateError


def _end(database, job_id: str, state: str, error: str | None = None) -> None:
    with database.write() as session:
        session.execute(update(JobRow).where(JobRow.id == job_id).values(state=state, error=error))


def test_nothing_labelled_is_nothing_to_train_on_and_the_counts_say_so(batches, taxonomy):
    with pytest.raises(BatchStateError, match=r"'wealth': 0.*\(out of scope\)': 0"):
        batches.create("first", "full", "anna")


def test_questions_that_are_all_out_of_scope_are_nothing_to_train_on(batches, label):
    label(3)
    with pytest.raises(BatchStateError, match=r"\(out of scope\)': 3"):
        batches.create("first", "full", "anna")


def test_a_batch_runs_as_one_job_however_often_that_is_asked(batches, label, jobs):
    label(2, "wealth")
    batch = batches.create("first", "head", "anna")
    first = batches.run(batch.batch_id, True, "anna")
    assert first["arguments"] == {"batch_id": batch.batch_id, "auto_extract_keywords": True}
    assert batches.run(batch.batch_id, False, "ben")["id"] == first["id"]
    assert len(jobs.page(10, None, None, None)["jobs"]) == 1
    assert batches.find(batch.batch_id).training_status == RUNNING


def test_batches_run_one_at_a_time(batches, label, database, store):
    label(2, "wealth")
    one, two = (batches.create(name, "head", "anna") for name in ("one", "two"))
    job = batches.run(one.batch_id, False, "anna")
    with pytest.raises(BatchStateError, match=one.batch_id):
        batches.run(two.batch_id, False, "anna")
    store.change(one.batch_id, training_status=SUCCEEDED)
    _end(database, job["id"], "succeeded")
    assert batches.run(two.batch_id, False, "anna")["id"] != job["id"]


@pytest.mark.parametrize(("state", "error", "kept"), [
    ("failed", "its process died", "its process died"), ("cancelled", None, "its job was cancelled")])
def test_a_batch_whose_job_is_over_without_a_word_has_failed_and_is_run_again_by_the_same_job(
        batches, label, database, state, error, kept):
    label(2, "wealth")
    batch = batches.create("first", "head", "anna")
    job = batches.run(batch.batch_id, False, "anna")
    _end(database, job["id"], state, error)
    found = batches.find(batch.batch_id)
    assert (found.training_status, found.error) == (FAILED, kept)
    again = batches.run(batch.batch_id, False, "anna")
    assert (again["id"], again["state"]) == (job["id"], "queued")
    assert batches.find(batch.batch_id).training_status == RUNNING


def test_a_batch_that_nobody_created_is_not_found(batches, taxonomy):
    with pytest.raises(BatchNotFoundError):
        batches.run("nope", False, "anna")


def test_a_batch_begins_by_itself_once_enough_labels_are_new(batches, label, store):
    label(2, "wealth")
    assert batches.begin_automatically(3) is None
    label(1)
    job = batches.begin_automatically(3)
    [batch] = store.page(10)
    assert (batch.job_id, batch.created_by, batch.recipe) == (job["id"], AUTOMATIC, "full")
    assert batches.begin_automatically(3) is None  # It runs.


def test_nothing_begins_by_itself_while_somebody_runs_a_batch_without_a_job(batches, label, database, store):
    label(3, "wealth")
    with Leases(database).hold(LEASE):
        assert batches.begin_automatically(3) is None
    store.begin(store.add("one whose process was killed", "head", "seed").batch_id)
    assert batches.begin_automatically(3) is not None


def test_after_a_failure_it_takes_as_many_labels_again(batches, label, database):
    label(3, "wealth")
    job = batches.begin_automatically(3)
    _end(database, job["id"], "failed", "too few examples")
    assert batches.begin_automatically(3) is None
    label(2, "love")
    assert batches.begin_automatically(3) is None
    label(1, "love")
    assert batches.begin_automatically(3)["id"] != job["id"]
