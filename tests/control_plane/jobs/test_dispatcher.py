"""Dispatchers with real processes: a job runs once, and whatever is killed, it is taken up and nothing is left."""

import os
import signal

import psutil
import pytest
from redis import Redis

from control_plane.jobs.claims import Claim
from control_plane.jobs.dispatcher import Dispatcher
from control_plane.jobs.wake_queue import WakeQueue


def test_a_job_runs_in_a_process_of_its_own_and_tells_how_far_it_is(workplace):
    dispatcher = workplace.start_dispatcher()
    job_id = workplace.submit()
    pid, = workplace.wait_for_beginnings(1)
    assert psutil.pid_exists(pid)
    assert pid != dispatcher.pid
    workplace.wait_until(lambda: workplace.describe(job_id)["step"] == "waiting", workplace.output)
    assert workplace.describe(job_id)["progress"] == 0.5
    workplace.may_end.touch()
    job = workplace.wait_for(job_id, "succeeded")
    assert (job["result"], job["attempts"], job["progress"]) == ({"answer": 42}, 1, 1.0)
    assert [line["line"].partition(",")[0] for line in job["log"]] == [
        "submitted by tester", "attempt 1 begins", "waiting", "succeeded"]
    workplace.wait_until_gone([pid])


@pytest.mark.parametrize(("outcome", "error"), [
    ("fails", "the parity is too low"), ("breaks", "unexpected ValueError: a bug")])
def test_an_error_ends_a_job_with_its_reason_at_once(workplace, outcome, error):
    workplace.may_end.touch()
    workplace.start_dispatcher()
    job = workplace.wait_for(workplace.submit(outcome), "failed")
    assert (job["error"], job["attempts"]) == (error, 1)


def test_of_two_dispatchers_on_one_database_one_runs_each_job(workplace):
    workplace.may_end.touch()
    ids = [workplace.submit() for _ in range(6)]
    for _ in range(2):
        workplace.start_dispatcher(max_jobs=2)
    jobs = [workplace.wait_for(job_id, "succeeded") for job_id in ids]
    assert [job["attempts"] for job in jobs] == [1] * 6
    assert len(workplace.lines(workplace.began)) == 6


def test_no_more_jobs_run_at_once_than_are_allowed(workplace):
    ids = [workplace.submit() for _ in range(3)]
    workplace.start_dispatcher(max_jobs=2)
    workplace.wait_for_beginnings(2)
    states = sorted(workplace.describe(job_id)["state"] for job_id in ids)
    assert states == ["queued", "running", "running"]
    workplace.may_end.touch()
    for job_id in ids:
        workplace.wait_for(job_id, "succeeded")


def test_a_job_whose_process_was_killed_runs_again(workplace):
    workplace.start_dispatcher()
    job_id = workplace.submit()
    first, = workplace.wait_for_beginnings(1)
    os.kill(first, signal.SIGKILL)
    _, second = workplace.wait_for_beginnings(2)
    workplace.may_end.touch()
    job = workplace.wait_for(job_id, "succeeded")
    assert job["attempts"] == 2
    assert any("its process was ended by SIGKILL; queued again" in line["line"] for line in job["log"])
    workplace.wait_until_gone([first, second])


def test_a_job_whose_process_dies_every_time_fails_with_the_reason(workplace):
    workplace.start_dispatcher()
    job_id = workplace.submit()
    for count in (1, 2, 3):
        os.kill(workplace.wait_for_beginnings(count)[-1], signal.SIGKILL)
    assert workplace.wait_for(job_id, "failed")["error"] == "its process was ended by SIGKILL, in attempt 3 of 3"


def test_a_killed_dispatcher_leaves_no_process_and_its_job_is_taken_up(workplace):
    keeper = workplace.start_dispatcher()
    job_id = workplace.submit()
    first, = workplace.wait_for_beginnings(1)
    dispatcher, = psutil.Process(keeper.pid).children()
    dispatcher.kill()
    workplace.wait_until_gone([first, dispatcher.pid, keeper.pid])
    # The lease is one of 30 s; the dead owner is recognised long before.
    workplace.start_dispatcher()
    workplace.wait_for_beginnings(2)
    workplace.may_end.touch()
    job = workplace.wait_for(job_id, "succeeded")
    assert job["attempts"] == 2
    assert any("its process is gone; queued again" in line["line"] for line in job["log"])


def test_a_job_is_taken_up_though_keeper_and_dispatcher_are_killed_at_once(workplace):
    keeper = workplace.start_dispatcher()
    job_id = workplace.submit()
    first, = workplace.wait_for_beginnings(1)
    family = [psutil.Process(keeper.pid), *psutil.Process(keeper.pid).children(recursive=True)]
    for process in family[:2]:
        process.kill()
    workplace.wait_until_gone([process.pid for process in family])
    assert first in [process.pid for process in family]
    workplace.may_end.touch()
    workplace.start_dispatcher()
    assert workplace.wait_for(job_id, "succeeded")["attempts"] == 2


def test_a_frozen_process_loses_its_job_to_another_dispatcher_and_changes_nothing_when_it_wakes(workplace):
    workplace.start_dispatcher(lease_s=5.0)
    job_id = workplace.submit()
    first, = workplace.wait_for_beginnings(1)
    family = [process.pid for process in psutil.Process(workplace.dispatchers[0].pid).children(recursive=True)]
    workplace.freeze(family)
    workplace.start_dispatcher(lease_s=5.0)
    _, second = workplace.wait_for_beginnings(2)
    os.kill(first, signal.SIGCONT)  # Its dispatcher is still frozen, so it has to notice by itself.
    workplace.wait_until_gone([first])
    workplace.may_end.touch()
    job = workplace.wait_for(job_id, "succeeded")
    assert (job["attempts"], job["result"]) == (2, {"answer": 42})
    for pid in family:
        if pid != first:
            os.kill(pid, signal.SIGCONT)
    workplace.wait_until_gone([second])


def test_a_running_job_that_is_cancelled_ends_politely(workplace):
    workplace.start_dispatcher()
    job_id = workplace.submit()
    pid, = workplace.wait_for_beginnings(1)
    workplace.service.cancel(job_id, "ada", "a mistake")
    job = workplace.wait_for(job_id, "cancelled")
    assert workplace.lines(workplace.stopped) == [str(pid)]
    assert (job["attempts"], job["result"]) == (1, None)
    workplace.wait_until_gone([pid])


def test_a_dispatcher_that_stops_gives_its_jobs_back(workplace):
    dispatcher = workplace.start_dispatcher()
    job_id = workplace.submit()
    pid, = workplace.wait_for_beginnings(1)
    workplace.end_dispatcher(dispatcher)
    job = workplace.describe(job_id)
    assert (job["state"], job["attempts"], job["max_attempts"]) == ("queued", 1, 4)
    assert workplace.lines(workplace.stopped) == [str(pid)]
    workplace.wait_until_gone([pid])


def test_a_job_is_found_though_nobody_was_woken(workplace):
    workplace.start_dispatcher()
    workplace.may_end.touch()
    job = workplace.store.submit("tiny", {name: str(workplace.folder / name) for name in (
        "began", "stopped", "may_end")}, 3, "tester")
    assert workplace.wait_for(job.id, "succeeded")["attempts"] == 1


def test_jobs_run_while_the_redis_that_wakes_is_there_is_away_and_is_back(workplace_with_redis, redis_server):
    workplace = workplace_with_redis
    workplace.may_end.touch()
    workplace.start_dispatcher()
    workplace.wait_for(workplace.submit(), "succeeded")
    with Redis.from_url(redis_server.url) as redis:
        workplace.wait_until(lambda: redis.keys() == [], redis.keys)  # The dispatcher has taken its wake.
    redis_server.stop()
    workplace.wait_for(workplace.submit(), "succeeded")
    assert "the queue cannot be read, jobs are found a little later" in workplace.output()
    redis_server.start()
    workplace.wait_for(workplace.submit(), "succeeded")
    assert not list(workplace.folder.glob("huey.db*"))


def test_a_process_that_cannot_be_started_costs_an_attempt(store, claims, tmp_path):
    def start(claim: Claim):
        raise OSError("no space left on device")

    job_id = store.submit("tiny", {}, 1, "ada").id
    Dispatcher(claims, WakeQueue(None, tmp_path / "huey.db"), start, 1).run_pass()
    job = store.find(job_id)
    assert (job.state, job.error) == (
        "failed", "no process could be started: no space left on device, in attempt 1 of 1")
