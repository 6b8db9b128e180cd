"""Three real Tritons behind one control plane."""

import pytest

from tests.functional.fleet_triton import SECRET, FleetTriton
from tests.functional.platform import ServedPlatform, wait_until

TARGETS = 3


@pytest.fixture(scope="module")
def tritons(exported, tmp_path_factory):
    tritons = [FleetTriton(tmp_path_factory.mktemp(f"triton{number}"), exported).start() for number in range(TARGETS)]
    for triton in tritons:
        triton.wait_live()
    yield tritons
    for triton in tritons:
        triton.stop()


@pytest.fixture(scope="module")
def served(exported, tritons, tmp_path_factory):
    platform = ServedPlatform(tmp_path_factory.mktemp("fleet"), exported, CONCH_TRITON_SECRET=SECRET,
                              CONCH_TRITON_URLS=",".join(triton.address for triton in tritons)).start()
    yield platform
    platform.stop()


def embed(served):
    return served.rest("POST", "/api/v1/models/embedding", {"text": "hello"})


def targets(served) -> dict:
    return served.rest("GET", "/api/v1/models/info?type=fast").body["targets"]


def answered_by(served, triton) -> int:
    """Return how many requests this Triton has answered."""
    statistics = served.triton_statistics(triton.grpc_port)
    return sum(model.inference_stats.success.count for model in statistics)


def test_a_load_holds_for_every_target_and_requests_are_shared(served, tritons):
    assert {name: seen["versions"] for name, seen in targets(served).items()} == {
        triton.address: [1] for triton in tritons}
    before = [answered_by(served, triton) for triton in tritons]
    for _ in range(30):
        assert embed(served).status == 200
    for triton, count in zip(tritons, before, strict=True):
        assert answered_by(served, triton) - count >= 8


def test_unload_and_load_hold_for_all(served, tritons):
    served.rest("POST", "/api/v1/models/unload", {"model_type": "fast"})
    assert all(seen["versions"] == [] for seen in targets(served).values())
    served.rest("POST", "/api/v1/models/load", {"model_type": "fast"})
    assert all(seen["versions"] == [1] for seen in targets(served).values())


def test_a_target_that_dies_fails_no_request_and_is_brought_up_to_date_before_it_serves_again(served, tritons):
    victim = tritons[1]
    victim.stop()
    for _ in range(60):
        assert embed(served).status == 200
    wait_until(lambda: targets(served)[victim.address]["versions"] == [])
    # A change while it is away holds for the others, and for it when it comes back.
    body = {"configuration": {"queue_delay_us": 70}}
    assert served.rest("PUT", "/api/v1/models/fast/configuration", body).status == 200
    victim.start()
    wait_until(lambda: targets(served)[victim.address]["versions"] == [1])
    with served.grpc(victim.grpc_port) as client:
        assert client.get_model_config("fast").config.dynamic_batching.max_queue_delay_microseconds == 70
    served.rest("PUT", "/api/v1/models/fast/configuration", {"configuration": {}})


def test_a_target_that_dies_during_an_activation_leaves_all_or_none(served, tritons):
    body = {"configuration": {"max_queue_size": 9}}
    tritons[2].process.terminate()
    answer = served.rest("PUT", "/api/v1/models/fast/configuration", body)
    tritons[2].stop()
    wanted = served.rest("GET", "/api/v1/models/info?type=fast").body["configuration"]
    assert wanted == ({"max_queue_size": 9} if answer.status == 200 else {})
    tritons[2].start()
    wait_until(lambda: all(seen["versions"] == [1] for seen in targets(served).values()))
    for triton in tritons:
        with served.grpc(triton.grpc_port) as client:
            policy = client.get_model_config("fast").config.dynamic_batching.default_queue_policy
        assert policy.max_queue_size == wanted.get("max_queue_size", 0)
    served.rest("PUT", "/api/v1/models/fast/configuration", {"configuration": {}})


def test_without_any_target_callers_get_503(served, tritons):
    for triton in tritons:
        triton.stop()
    answer = embed(served)
    assert (answer.status, "Retry-After" in answer.headers) == (503, True)
    tritons[0].start()
    wait_until(lambda: embed(served).status == 200)
