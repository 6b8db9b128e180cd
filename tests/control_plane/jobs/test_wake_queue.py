"""The queue wakes whoever waits, carries ids, and is missed by nobody when it is away."""

import threading

import pytest

from control_plane.jobs.wake_queue import WakeQueue
from control_plane.settings import SettingsError
from tests.ports import free_port

LONG_S = 60


@pytest.fixture
def file(tmp_path):
    return tmp_path / "home" / "huey.db"


def test_whoever_waits_is_woken_by_another_process_view_of_the_same_file(file):
    _assert_wakes(WakeQueue(None, file), WakeQueue(None, file))


def test_whoever_waits_is_woken_over_redis(redis_server, file):
    _assert_wakes(WakeQueue(redis_server.url, file), WakeQueue(redis_server.url, file))
    assert not file.exists()


def test_a_redis_that_comes_back_wakes_again(redis_server, file, caplog):
    sender, receiver = WakeQueue(redis_server.url, file), WakeQueue(redis_server.url, file)
    _assert_wakes(sender, receiver)
    redis_server.stop()
    sender.wake("lost")
    receiver.wait(0.1, threading.Event())
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "no controller was woken for job lost, one will find it by itself",
        "the queue cannot be read, jobs are found a little later"]
    redis_server.start()
    _assert_wakes(sender, receiver)


def test_a_redis_that_is_silent_neither_fails_a_submission_nor_a_wait(redis_server, file, caplog):
    queue = WakeQueue(redis_server.url, file)
    redis_server.suspend()
    queue.wake("lost")
    assert "no controller was woken for job lost" in caplog.text
    queue.wait(0.1, threading.Event())
    redis_server.resume()
    _assert_wakes(queue, queue)


def test_each_id_wakes_once(file):
    queue = WakeQueue(None, file)
    queue.wake("a")
    queue.wait(LONG_S, threading.Event())
    stop = threading.Event()
    woken = threading.Thread(target=queue.wait, args=(LONG_S, stop))
    woken.start()
    woken.join(0.5)
    assert woken.is_alive()
    stop.set()
    woken.join(LONG_S)
    assert not woken.is_alive()


@pytest.mark.parametrize("url", [None, "redis"])
def test_a_queue_that_is_away_neither_fails_a_submission_nor_ends_a_wait(file, url, caplog):
    if url is None:
        file.mkdir(parents=True)  # Nothing can open it as a database.
    queue = WakeQueue(url and f"redis://127.0.0.1:{free_port()}/0", file)
    queue.wake("a-job")
    assert "no controller was woken for job a-job" in caplog.text
    queue.wait(0.1, threading.Event())
    assert "jobs are found a little later" in caplog.text


def test_a_url_that_is_none_of_redis_stops_the_start(file):
    with pytest.raises(SettingsError, match=r"CONCH_QUEUE_URL is not a Redis URL .* for example redis://host:6379/0"):
        WakeQueue("amqp://host", file)


def test_nothing_is_opened_before_it_is_used(file):
    WakeQueue(None, file)
    assert not file.parent.exists()


def _assert_wakes(sender: WakeQueue, receiver: WakeQueue) -> None:
    waiting = threading.Thread(target=receiver.wait, args=(LONG_S, threading.Event()))
    waiting.start()
    sender.wake("a-job")
    waiting.join(LONG_S / 2)
    assert not waiting.is_alive()
