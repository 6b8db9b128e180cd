"""Every route answers as its own OpenAPI document says, whatever is sent: schemathesis with all its checks.

It runs each route by itself with valid and wrong requests, and then chains of requests in which one uses what another
answered (a key that was made is revoked, a job is looked at and cancelled). Over HTTP, because some of its checks need
a connection; Triton is a fake.
"""

import threading
from collections.abc import Iterator
from http import HTTPStatus

import pytest
import schemathesis
from flask import request
from schemathesis.engine import Status, events, from_schema
from schemathesis.engine.run import PhaseName
from werkzeug.serving import WSGIRequestHandler, make_server

from control_plane.app import create_app
from control_plane.lifecycle.store import Change
from control_plane.services import services as services_of
from control_plane.settings import Settings
from tests.control_plane.api.model_tuning import TUNING, begin_anew
from tests.control_plane.conftest import migrate
from tests.control_plane.fakes import FakeGateway, publish, publish_generator, publish_intent

MAX_EXAMPLES = 4  # For each route; the boundaries of every field come on top.
MAX_CHAINS = 40
PHASES = {PhaseName.EXAMPLES, PhaseName.COVERAGE, PhaseName.FUZZING, PhaseName.STATEFUL_TESTING}
LEAST_REQUESTS = 500
REQUEST_TIMEOUT_S = 60  # of a busy machine
INFERENCE_PATHS = ("/v1/embeddings", "/api/v1/models/embedding", "/api/v1/models/similarity")
GENERATION_PATHS = ("/v1/chat/completions", "/v1/completions", "/generate")
# Routes that refuse (422) what their schema allows, and what JSON Schema or flask-openapi3 cannot say.
MAY_REFUSE_VALID_DATA = {
    "GET /api/v1/models/usage": "`from` lies before `to`",
    "POST /api/v1/keys": "a key is valid for 3650 days at most, in whichever unit",
    "POST /api/v1/models/embedding": "the keys of `models` are model names; flask-openapi3 knows no propertyNames",
    "POST /api/v1/model-tuning/experiments": "in an A/B `share` is below 1",
    "POST /v1/chat/completions": "the keys of `logit_bias` are token ids; flask-openapi3 knows no propertyNames",
    "POST /v1/completions": "the keys of `logit_bias` are token ids; flask-openapi3 knows no propertyNames",
    "POST /v1/embeddings": "`dimensions` is at most what the model has",
    "POST /api/v1/model-tuning/questions/import": "rows that cannot be used are refused, unless told to keep the rest",
    "POST /api/v1/model-tuning/keywords": "an intent is one of the taxonomy; a keyword has characters that show",
    "POST /api/v1/model-tuning/questions/{question_id}/label": "intents are those of the taxonomy",
    "POST /api/v1/model-tuning/taxonomy/{name}/merge": "`into` is an intent of the taxonomy",
    "POST /api/v1/models/similarity": "the keys of `models` are model names; flask-openapi3 knows no propertyNames",
}


# Routes that take (200) what their schema refuses.
MAY_TAKE_INVALID_DATA = {
    "POST /api/v1/model-tuning/questions/import": "with on_error=keep what is no row is refused by its number",
}


class QuietHandler(WSGIRequestHandler):
    """Logs nothing."""

    def log(self, type: str, message: str, *args: object) -> None:
        """Say nothing about a request."""


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """An application with the default limits, whose model `fast` has two versions and is loaded."""
    folder = tmp_path_factory.mktemp("contract")
    repository = folder / "repository"
    publish(repository, "fast", version=1)
    publish(repository, "fast", version=2)
    for version in (1, 2):
        publish_intent(repository, "intent", version)
    publish_generator(repository, "smollm2")
    settings = Settings(home=folder / "home", model_repository=repository, access_log=False,
                        generation_model="smollm2")
    settings.home.mkdir()
    migrate(settings)
    app = create_app(settings, gateways=[FakeGateway(repository)])

    @app.before_request
    def load_again() -> None:
        """The run unloads the models too."""
        for name, is_needed in (("fast", request.path in INFERENCE_PATHS),
                                ("intent", request.path.startswith((f"{TUNING}/experiments", f"{TUNING}/models"))),
                                ("smollm2", request.path in GENERATION_PATHS)):
            if is_needed and not services_of(app).store.find(name).should_be_loaded:
                services_of(app).lifecycle.load(name, Change("test"))

    begun_for = None  # the route that labelling was begun anew for, until something is changed

    @app.before_request
    def begin_labelling_anew() -> None:
        """What was labelled, merged or retired takes that once."""
        nonlocal begun_for
        if request.path.startswith(TUNING) and begun_for != request.url_rule:
            begin_anew(services_of(app), request.path)
            begun_for = request.url_rule

    @app.after_request
    def notice_change(response):
        nonlocal begun_for
        if request.method != "GET" and response.status_code < HTTPStatus.BAD_REQUEST:
            begun_for = None
        return response

    services_of(app).lifecycle.load("fast", Change("test"))
    services_of(app).lifecycle.activate("fast", 1, Change("test"))
    services_of(app).lifecycle.activate("intent", 1, Change("test"))
    yield app
    services_of(app).usage.close()
    services_of(app).database.dispose()


@pytest.fixture(scope="module")
def url(app):
    """The address of `app`."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def run(app, url, only_new_garbage):
    """Everything that schemathesis tells of one run with the key that may do everything."""
    key = services_of(app).settings.admin_key_file.read_text(encoding="ascii").strip()
    headers = {"Authorization": f"Bearer {key}"}
    config = schemathesis.Config.from_dict({
        "headers": headers, "request-timeout": REQUEST_TIMEOUT_S,
        "generation": {"max-examples": MAX_EXAMPLES, "deterministic": True, "database": "none"},
        "phases": {"stateful": {"generation": {"max-examples": MAX_CHAINS}}},
        "operations": [{"include-name": name, "checks": {"positive_data_acceptance": {"enabled": False}}}
                       for name in MAY_REFUSE_VALID_DATA.keys() - MAY_TAKE_INVALID_DATA] + [
                           {"include-name": name, "checks": {"positive_data_acceptance": {"enabled": False},
                                                             "negative_data_rejection": {"enabled": False}}}
                           for name in MAY_TAKE_INVALID_DATA]})
    schema = schemathesis.openapi.from_url(f"{url}/docs/openapi.json", headers=headers, config=config)
    return list(from_schema(schema).execute())


def recorders(run: list, *phases: PhaseName) -> Iterator:
    """Yield what was sent, answered and checked, in some phases or in all."""
    return (event.recorder for event in run
            if isinstance(event, events.ScenarioFinished) and event.phase in (phases or PHASES))


def answers_of(recorder) -> Iterator[tuple[str, int]]:
    """Yield the route and the status of each answer; other methods are tried too and are no route's."""
    for key, interaction in recorder.interactions.items():
        case = recorder.cases[key].value
        if interaction.response is not None and case.method.upper() == case.operation.method.upper():
            yield case.operation.label, interaction.response.status_code


def describe_failures(run: list) -> Iterator[str]:
    """Yield every failed check with a curl command that shows it again."""
    for recorder in recorders(run):
        for case, checks in recorder.checks.items():
            for check in checks:
                if check.status == Status.FAILURE:
                    info, answer = check.failure_info, recorder.interactions[case].response
                    yield (f"{check.name}: {info.failure.message}\n{info.code_sample}\n"
                           f"{answer and (answer.status_code, answer.content[:500])}")


def test_every_answer_is_one_that_the_document_allows(run):
    assert "\n\n".join(describe_failures(run)) == ""


def test_nothing_kept_a_route_from_being_tested(run):
    errors = [event for event in run if isinstance(event, events.NonFatalError | events.FatalError)]
    assert [str(getattr(error, "value", None) or error.exception) for error in errors] == []
    phases = {event.phase.name: event.status for event in run if isinstance(event, events.PhaseFinished)}
    assert {phases.get(phase) for phase in PHASES} == {Status.SUCCESS}


def test_every_route_was_asked_and_answered_well(app, run):
    routes = {f"{method.upper()} {path}" for path, item in app.api_doc["paths"].items() for method in item}
    answers = [answer for recorder in recorders(run) for answer in answers_of(recorder)]
    assert len(answers) > LEAST_REQUESTS
    assert {route for route, status in answers if 200 <= status < 300} == routes


def test_exempted_routes_exist(app):
    routes = {f"{method.upper()} {path}" for path, item in app.api_doc["paths"].items() for method in item}
    assert set(MAY_REFUSE_VALID_DATA) <= routes


def test_chains_reach_what_was_made_before(run):
    reached = {label_and_status for recorder in recorders(run, PhaseName.STATEFUL_TESTING)
               for label_and_status in answers_of(recorder)}
    # To which of them a chain comes depends on how soon the server answers.
    assert {("DELETE /api/v1/keys/{key_id}", 200), ("GET /api/v1/jobs/{job_id}", 200),
            ("POST /api/v1/jobs/{job_id}/cancel", 202), ("POST /api/v1/jobs/{job_id}/retry", 409)} & reached
