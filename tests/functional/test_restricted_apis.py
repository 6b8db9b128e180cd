"""Only the control plane can use the parts of Triton's API that change it or run code."""

import pytest
from tritonclient.utils import InferenceServerException

RESTRICTED = ["/v2/repository/index", "/v2/repository/models/fast/load", "/v2/repository/models/fast/unload",
              "/v2/systemsharedmemory/region/x/register"]


@pytest.mark.parametrize("path", RESTRICTED)
def test_http_refuses_restricted_apis_without_the_secret(platform, path):
    assert platform.triton_http("POST", path, {}).status == 403


@pytest.mark.parametrize("path", ["/v2/trace/setting", "/v2/logging", "/v2/systemsharedmemory/status"])
def test_http_refuses_restricted_settings_without_the_secret(platform, path):
    assert platform.triton_http("GET", path).status == 403


def test_http_refuses_a_wrong_secret(platform):
    assert platform.triton_http("POST", "/v2/repository/index", {}, {"x-conch-secret": "guess"}).status == 403


def test_grpc_refuses_restricted_apis_without_the_secret(platform):
    client = platform.grpc()
    for call in (client.get_model_repository_index, lambda: client.unload_model("fast"), client.get_log_settings,
                 client.get_trace_settings, client.get_system_shared_memory_status):
        with pytest.raises(InferenceServerException, match="UNAVAILABLE"):
            call()


def test_the_secret_opens_them(platform):
    index = platform.grpc().get_model_repository_index(
        headers={"triton-grpc-protocol-x-conch-secret": platform.secret})
    assert [model.name for model in index.models if model.state == "READY"] == ["fast"]


def test_secret_and_key_are_readable_by_their_owner_only(platform):
    for name in ("admin.key", "triton.secret"):
        assert (platform.home / name).stat().st_mode & 0o777 == 0o600
