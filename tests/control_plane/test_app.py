"""What the factory makes: a light process, a truthful OpenAPI document, documentation that needs no other host."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from control_plane.app import create_app
from tests.control_plane.conftest import migrate

# What trains, exports or runs models; a web process needs none of it.
HEAVY = {"torch", "transformers", "sentence_transformers", "onnxruntime", "openvino", "onnx", "optimum", "tokenizers",
         "pytriton"}
# Routes whose good answers are not JSON alone.
OTHER_ANSWERS = {
    "/metrics": {"text/plain"}, "/api/v1/model-tuning/questions/export": {"application/x-ndjson", "text/csv"},
    "/api/v1/model-tuning/batches/{batch_id}/report": {"text/html"},
    "/v1/chat/completions": {"application/json", "text/event-stream"},
    "/v1/completions": {"application/json", "text/event-stream"}}
LOADER = """
import json, sys
import conch.wsgi
app = conch.wsgi.create()
print(json.dumps([app.name, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


@pytest.fixture
def document(client):
    """The OpenAPI document as a client gets it."""
    return client.get("/docs/openapi.json").json


def test_web_process_imports_nothing_that_runs_models(tmp_path):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CONCH_")}
    environment = {**inherited, "CONCH_HOME": str(tmp_path / "home"), "CONCH_MODEL_REPOSITORY": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", LOADER], env=environment, capture_output=True, text=True, check=True)
    name, imported = json.loads(done.stdout)
    assert name == "conch"
    assert "tritonclient" in imported
    assert HEAVY.isdisjoint(imported)


def test_making_an_application_asks_nothing_of_triton(settings, gateway):
    gateway.error = AssertionError("Triton was asked")
    assert create_app(settings, gateways=[gateway]).test_client().get("/nope").status_code == 401


def test_two_applications_share_nothing(app, settings, gateway, tmp_path):
    other = replace(settings, home=tmp_path / "second")
    migrate(other)
    second = create_app(other, gateways=[gateway])
    headers = {"X-API-Key": settings.admin_key_file.read_text(encoding="ascii").strip()}
    assert app.test_client().get("/v1/models", headers=headers).status_code == 200
    assert second.test_client().get("/v1/models", headers=headers).status_code == 401


def test_document_is_valid_openapi_3_1(document):
    assert document["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_error_in_the_document_is_a_problem(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for status, response in operation["responses"].items():
                media_types = set(response["content"])
                if status.startswith("2"):
                    assert media_types == OTHER_ANSWERS.get(path, {"application/json"}), (path, method, status)
                else:
                    assert "application/problem+json" in media_types, (path, method, status)
                    assert media_types == {"application/problem+json"} or (path, status) == ("/ready", "503")


def test_document_asks_for_the_key_except_where_none_is_needed(document):
    for path, item in document["paths"].items():
        for operation in item.values():
            assert ("security" in operation) == (path not in ("/health", "/ready")), path
            assert ("401" in operation["responses"]) == (path not in ("/health", "/ready")), path


def test_every_operation_with_a_body_states_what_can_be_wrong_with_it(document):
    with_body = [operation for item in document["paths"].values() for operation in item.values()
                 if "requestBody" in operation]
    assert len(with_body) >= 7
    for operation in with_body:
        is_json = "application/json" in operation["requestBody"]["content"]  # A file cannot be bad JSON.
        assert {"413", "415", "422"} | ({"400"} if is_json else set()) <= set(operation["responses"])
        assert operation["summary"]


def test_documentation_page_and_its_files_come_from_this_host(client):
    for page in ("/docs/", "/docs/swagger"):
        html = client.get(page).text
        links = re.findall(r"""(?:src|href)=['"]([^'"]+)['"]""", html)
        assert links
        for link in links:
            if not link.strip().startswith("data:"):
                assert not re.match(r"([a-z]+:)?//", link), link
                with client.get(f"/docs/{link}", follow_redirects=True) as response:
                    assert response.status_code == 200, link
        assert not re.search(r"https?://", html)


def test_stylesheet_loads_nothing_from_elsewhere(client):
    with client.get("/docs/swagger/css/swagger-ui.css") as response:
        sources = re.findall(r"url\(['\"]?([^)'\"]{1,40})", response.text)
    assert sources
    assert [source for source in sources if not source.startswith(("data:", "#"))] == []


def test_swagger_asks_no_validator_on_the_internet(client):
    configuration = re.search(r"const swagger_config = JSON\.parse\(`(.*)`\)", client.get("/docs/swagger").text)
    assert json.loads(configuration.group(1)) == {"validatorUrl": None}
