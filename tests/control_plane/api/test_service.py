"""The service's own endpoints: memory, devices, loading by model_id."""

import os

import psutil
import pytest

from tests.control_plane.problem_assertions import assert_problem


def test_memory_usage_is_of_this_process_and_machine(client):
    answer = client.get("/memory-usage").json
    assert 0 < answer["rss"] <= answer["vms"]
    assert answer["total"] == psutil.virtual_memory().total
    assert 0 < answer["percent"] < 100
    assert answer["models"] == {}  # the fake Triton has no processes


def test_system_info(client, loaded):
    answer = client.get("/system-info").json
    assert answer["cores"] == os.cpu_count()
    assert answer["devices"][0] == "cpu"
    assert answer["models"] == {"tiny": "ready"}
    assert (answer["workers"], answer["processes"]) == (32, 1)


@pytest.mark.parametrize("device", [None, "auto", "cpu"])
def test_load_and_unload_by_model_id(client, gateway, device):
    body = {"model_id": "tiny", **({"device": device} if device else {})}
    assert client.post("/load-model", json=body).json["state"] == "loaded"
    assert gateway.loaded == {"tiny": [1]}
    assert client.post("/unload-model", json={"model_id": "tiny"}).json["state"] == "exported"
    assert gateway.loaded == {}


def test_a_device_that_is_not_there_is_an_error(client, gateway):
    assert_problem(client.post("/load-model", json={"model_id": "tiny", "device": "cuda"}), 409,
                   "device-not-available", "cuda")
    assert gateway.loaded == {}


def test_an_unknown_device_is_refused(client):
    assert_problem(client.post("/load-model", json={"model_id": "tiny", "device": "tpu"}), 422, "invalid-request",
                   field="device")


@pytest.mark.usefixtures("only_new_garbage")
def test_optimize_memory_unloads_idle_on_demand_models_only(client, gateway):
    client.post("/api/v1/models/load", json={"model_type": "tiny", "policy": "on_demand"})
    assert client.post("/optimize-memory", json={}).json["unloaded"] == []  # it has just been loaded
    assert client.post("/optimize-memory", json={"idle_s": 0}).json["unloaded"] == ["tiny"]
    assert gateway.loaded == {}
    client.post("/api/v1/models/load", json={"model_type": "tiny", "policy": "preload"})
    assert client.post("/optimize-memory", json={"idle_s": 0}).json["unloaded"] == []
    assert gateway.loaded == {"tiny": [1]}


def test_an_idle_time_that_no_clock_can_subtract_is_refused(client):
    assert_problem(client.post("/optimize-memory", json={"idle_s": 1e308}), 422, "invalid-request", field="idle_s")
