"""More requests than are allowed are refused with when to come again; nothing else is, and nothing is counted twice."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from control_plane.access.limits import limit_rate
from control_plane.services import services
from control_plane.settings import SettingsError
from tests.control_plane.access.clients import Keys
from tests.control_plane.problem_assertions import assert_problem

READ = "/v1/models"
LIMIT_S = 60


@pytest.fixture
def make_keys(make_app, settings):
    """Return a function that makes an application with other settings, and the keys of it."""
    def make(**changes) -> Keys:
        app = make_app(replace(settings, **changes))
        return Keys(app, settings.admin_key_file.read_text(encoding="ascii").strip())

    return make


@pytest.fixture
def busy(make_keys, monkeypatch):
    """Two requests that are under way in an application which takes no more; gives its keys and ends them."""
    keys = make_keys(max_concurrent_requests=2)
    go_on, arrived = threading.Event(), threading.Semaphore(0)

    def wait():
        arrived.release()
        assert go_on.wait(60)
        return []

    monkeypatch.setattr(services(keys._app).models, "describe_all", wait)
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(keys.client_with(keys.root).get(READ).status_code))
               for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert arrived.acquire(timeout=60)

    def end() -> list[int]:
        go_on.set()
        for thread in threads:
            thread.join()
        return statuses

    yield keys, end
    end()


def test_requests_beyond_the_cap_are_refused_and_those_under_way_answered(busy):
    keys, end = busy
    response = keys.client_with(keys.root).get("/api/v1/keys")
    assert_problem(response, 429, "too-many-concurrent-requests", "2 requests", "CONCH_MAX_CONCURRENT_REQUESTS")
    assert response.headers["Retry-After"] == "1"
    assert end() == [200, 200]
    assert keys.client_with(keys.root).get("/api/v1/keys").status_code == 200


def test_health_answers_beyond_the_cap(busy):
    keys, _ = busy
    assert keys.client_with("").get("/health").status_code == 200


def test_every_place_is_given_back_however_a_request_ends(make_keys, monkeypatch):
    keys = make_keys(max_concurrent_requests=1)
    client = keys.client_with(keys.root)
    monkeypatch.setattr(services(keys._app).models, "describe_all", lambda: 1 / 0)
    for _ in range(3):
        assert client.get(READ).status_code == 500
        assert client.get("/unknown").status_code == 404
        assert client.post("/v1/embeddings", data="{").status_code == 415
        assert keys.client_with("wrong").get(READ).status_code == 401
        assert client.get("/api/v1/keys").status_code == 200


def test_a_key_is_limited_over_all_routes_and_by_itself(make_keys):
    keys = make_keys(rate_limit="3/hour")
    client = keys.client("admin")
    assert [client.get(path).status_code for path in (READ, "/api/v1/keys", "/unknown")] == [200, 200, 404]
    response = client.get(READ)
    assert_problem(response, 429, "rate-limit", "3 per 1 hour", "CONCH_RATE_LIMIT")
    assert 1 <= int(response.headers["Retry-After"]) <= 3600
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert keys.client("infer").get(READ).status_code == 200
    assert keys.client_with(keys.root).get(READ).status_code == 200


def test_a_change_that_was_not_tried_is_not_audited(make_keys):
    keys = make_keys(rate_limit="1/hour")
    client = keys.client("admin")
    statuses = [client.post("/api/v1/models/unload", json={"model_type": "fast"}).status_code for _ in range(3)]
    assert statuses == [503, 429, 429]
    assert [row.status for row in keys.audited()] == [503]


def test_what_needs_no_key_has_no_rate_and_a_wrong_key_uses_up_nobodys(make_keys):
    keys = make_keys(rate_limit="1/hour")
    for _ in range(5):
        for path in ("/health", "/label"):
            with keys.client_with("").get(path) as response:
                assert response.status_code == 200
        assert keys.client_with("wrong").get(READ).status_code == 401
    assert keys.client_with(keys.root).get(READ).status_code == 200


def test_without_a_rate_nothing_is_set_up(app):
    assert "limiter" not in app.extensions


def test_a_storage_that_is_away_makes_each_worker_count_for_itself(make_keys, caplog):
    keys = make_keys(rate_limit="2/hour", rate_limit_storage="redis://127.0.0.1:1")  # Nothing listens on port 1.
    client = keys.client("infer")
    assert [client.get(READ).status_code for _ in range(3)] == [200, 200, 429]
    assert "falling back to in-memory storage" in caplog.text


def test_two_applications_count_together_in_a_redis_and_by_themselves_while_it_is_away(make_keys, redis_server, caplog):
    caplog.set_level(logging.INFO)
    limits = {"rate_limit": "4/day", "rate_limit_storage": redis_server.url}
    first = make_keys(**limits)
    key, _ = first.make("infer")
    clients = [first.client_with(key), make_keys(**limits).client_with(key)]
    assert [client.get(READ).status_code for client in clients * 3] == [200] * 4 + [429] * 2
    redis_server.stop()
    assert [clients[0].get(READ).status_code for _ in range(5)] == [200] * 4 + [429]
    assert [clients[1].get(READ).status_code for _ in range(5)] == [200] * 4 + [429]
    redis_server.start()
    deadline = time.monotonic() + LIMIT_S
    # It comes back empty, and each application asks it again after a second, after two, and so on.
    statuses = []
    while caplog.text.count("Rate limit storage recovered") < len(clients):
        assert time.monotonic() < deadline
        statuses += [client.get(READ).status_code for client in clients]
        time.sleep(0.1)
    statuses += [client.get(READ).status_code for client in clients * 3]
    assert statuses.count(200) == 4


def test_requests_that_are_under_way_when_a_redis_falls_silent_are_answered(make_keys, redis_server):
    keys = make_keys(rate_limit="100/hour", rate_limit_storage=redis_server.url)
    key, _ = keys.make("infer")
    assert keys.client_with(key).get(READ).status_code == 200
    redis_server.suspend()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: keys.client_with(key).get(READ).status_code, range(8)))
    redis_server.resume()
    assert answers == [200] * 8


@pytest.mark.parametrize("rate", ["fast", "0/second", "10", "10/fortnight", "-1/second", "1/second;x"])
def test_a_rate_that_is_none_stops_the_start(app, settings, rate):
    with pytest.raises(SettingsError, match=r"CONCH_RATE_LIMIT=.* must be a rate, for example 20/second"):
        limit_rate(app, replace(settings, rate_limit=rate))


@pytest.mark.parametrize("storage", ["nowhere", "gopher://user:hunter2@host", "redis://user:hunter2@host:port/x"])
def test_a_storage_that_is_none_stops_the_start_without_repeating_its_password(app, settings, storage):
    with pytest.raises(SettingsError, match="CONCH_RATE_LIMIT_STORAGE") as raised:
        limit_rate(app, replace(settings, rate_limit="1/second", rate_limit_storage=storage))
    assert "hunter2" not in str(raised.value)
