"""The queue wakes whoever waits, carries ids, and is missed by nobody when it is away."""

import shutil
import socket
import subprocess
import threading
import time

import pytest

from control_plane.jobs.wake_queue import WakeQueue
from control_plane.settings import SettingsError

LONG_S = 60


@pytest.fixture
def file(tmp_path):
    return tmp_path / "home" / "huey.db"


@pytest.fixture
def redis_url(tmp_path):
    """A private Redis, where one is installed."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        pytest.skip("no redis-server is installed")
    port = _free_port()
    with subprocess.Popen([program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)],
                          stdout=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + LONG_S
        while not _answers(port):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
        server.terminate()


def test_whoever_waits_is_woken_by_another_process_view_of_the_same_file(file):
    _assert_wakes(WakeQueue(None, file), WakeQueue(None, file))


def test_whoever_waits_is_woken_over_redis(redis_url, file):
    _assert_wakes(WakeQueue(redis_url, file), WakeQueue(redis_url, file))
    assert not file.exists()


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
    queue = WakeQueue(url and f"redis://127.0.0.1:{_free_port()}/0", file)
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


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return bound.getsockname()[1]


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
