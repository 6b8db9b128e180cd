"""The application factory: wires and does nothing else."""

from collections.abc import Sequence

from flask_openapi3 import Info, OpenAPI

from control_plane.access.authenticator import Authenticator
from control_plane.access.guard import Guard
from control_plane.access.headers import add_security_headers
from control_plane.access.key_format import KEY_PREFIX
from control_plane.access.limits import limit_concurrency, limit_rate
from control_plane.api import (
    audit,
    experiments,
    generate,
    generation,
    health,
    intents,
    jobs,
    keys,
    label_files,
    labelling,
    labelling_page,
    metrics,
    models,
    openai,
    questions,
    rules,
    service,
    similarity,
    taxonomy,
    tuning,
    tuning_stats,
    versions,
)
from control_plane.api.request_bodies import check_body
from control_plane.json_provider import JsonRequest, OrjsonProvider
from control_plane.observability.request_log import log_requests
from control_plane.problems import DOCUMENTED_ERROR_STATUS, Problem, answer_validation_error, register_problems
from control_plane.secrets_store import read_or_create_secret
from control_plane.services import attach_services, build_services, services
from control_plane.settings import Settings
from control_plane.triton_gateway import TritonGateway

_SECURITY = {"bearer": {"type": "http", "scheme": "bearer"}}
_DOC_PREFIX = "/docs"
_ROUTES = (models, similarity, service, jobs, metrics, versions, openai, generation, generate, intents, labelling,
           labelling_page, label_files, taxonomy, questions, rules, tuning, tuning_stats, experiments,
           health, keys, audit)


def create_app(settings: Settings, gateways: Sequence[TritonGateway] | None = None) -> OpenAPI:
    """Return the application for `settings`; tests may bring gateways of their own."""
    app = OpenAPI("conch", info=Info(title="Conch", version="1"), security_schemes=_SECURITY, doc_prefix=_DOC_PREFIX,
                  validation_error_model=Problem, validation_error_callback=answer_validation_error,
                  validation_error_status=DOCUMENTED_ERROR_STATUS, static_folder=None)
    app.json = OrjsonProvider(app)
    app.request_class = JsonRequest
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    # Swagger UI's default shows a badge that a host on the internet paints; nobody else needs to learn of this server.
    app.config["SWAGGER_CONFIG"] = {"validatorUrl": None}
    attach_services(app, build_services(settings, gateways))
    register_problems(app)
    log_requests(app, services(app).metrics, settings.access_log)
    add_security_headers(app)
    limit_concurrency(app, settings.max_concurrent_requests)
    root_key = read_or_create_secret(settings.admin_key_file, KEY_PREFIX)
    Guard(Authenticator(services(app).keys, root_key), services(app).audit).protect(app)
    limit_rate(app, settings)
    app.before_request(lambda: check_body(app))
    for module in _ROUTES:
        app.register_api(module.blueprint)
    return app
