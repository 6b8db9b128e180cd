import dataclasses
import json
import socket
from types import SimpleNamespace

import pytest
from gunicorn.config import Config

from conch import gunicorn_config
from control_plane.settings import load_settings

OF_WORKERS = ("counter_1.db", "counter_2.db", "gauge_livesum_1.db", "gauge_livesum_2.db", "histogram_1.db")


@pytest.fixture
def metrics_dir(tmp_path, monkeypatch):
    """What two workers counted and have under way."""
    for name in OF_WORKERS:
        (tmp_path / name).touch()
    monkeypatch.setattr(gunicorn_config, "_METRICS_DIR", tmp_path)
    return tmp_path


def names(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_worker_that_ends_leaves_what_it_counted_and_nothing_under_way(metrics_dir):
    gunicorn_config.child_exit(None, SimpleNamespace(pid=1))
    assert names(metrics_dir) == set(OF_WORKERS) - {"gauge_livesum_1.db"}


def test_a_master_that_starts_finds_nothing_under_way(metrics_dir):
    gunicorn_config.on_starting(None)
    assert names(metrics_dir) == {"counter_1.db", "counter_2.db", "histogram_1.db"}


def test_without_a_directory_there_is_nothing_to_forget(monkeypatch):
    monkeypatch.setattr(gunicorn_config, "_METRICS_DIR", None)
    gunicorn_config.on_starting(None)
    gunicorn_config.child_exit(None, SimpleNamespace(pid=1))


def test_gunicorn_s_own_messages_are_lines_of_json(capsys):
    config = Config()
    config.set("logger_class", gunicorn_config.logger_class)
    config.logger_class(config).info("Listening at: %s", "here")
    line = json.loads(capsys.readouterr().err)
    assert (line["logger"], line["message"]) == ("gunicorn.error", "Listening at: here")


@pytest.fixture
def listener(monkeypatch):
    """A listening socket whose clients may be silent for a fifth of a second."""
    monkeypatch.setattr(gunicorn_config, "_SETTINGS", dataclasses.replace(load_settings({}), client_timeout_s=0.2))
    with socket.create_server(("127.0.0.1", 0)) as sock:
        gunicorn_config.when_ready(SimpleNamespace(LISTENERS=[SimpleNamespace(sock=sock)]))
        yield sock


def test_a_client_that_falls_silent_does_not_hold_who_listens_to_it(listener):
    with socket.create_connection(listener.getsockname()) as client:
        accepted, _ = listener.accept()
        with accepted:
            accepted.setblocking(True)  # as gunicorn does before a request is read
            client.sendall(b"POST / HTTP/1.1")
            assert accepted.recv(100) == b"POST / HTTP/1.1"
            with pytest.raises(BlockingIOError):
                accepted.recv(100)


def test_a_client_that_does_not_read_does_not_hold_who_answers(listener):
    with socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            accepted.setblocking(True)
            with pytest.raises(BlockingIOError):
                accepted.sendall(bytes(64 << 20))
