"""The application factory: wires and does nothing else."""

from flask import request
from flask_openapi3 import Info, OpenAPI
from werkzeug.exceptions import RequestEntityTooLarge

from control_plane.api import health, models, openai
from control_plane.auth import require_key
from control_plane.json_provider import JsonRequest, OrjsonProvider
from control_plane.model_registry import ModelRegistry
from control_plane.model_service import ModelService
from control_plane.problems import DOCUMENTED_ERROR_STATUS, Problem, answer_validation_error, register_problems
from control_plane.secrets_store import read_or_create_secret
from control_plane.services import Services, attach_services
from control_plane.settings import Settings
from control_plane.triton_gateway import TritonGateway
from export.catalog import load_catalog

_SECURITY = {"bearer": {"type": "http", "scheme": "bearer"}}
_DOC_PREFIX = "/docs"


def create_app(settings: Settings, gateway: TritonGateway | None = None) -> OpenAPI:
    """Return the application for `settings`; tests may bring a gateway of their own."""
    app = OpenAPI("conch", info=Info(title="Conch", version="1"), security_schemes=_SECURITY, doc_prefix=_DOC_PREFIX,
                  validation_error_model=Problem, validation_error_callback=answer_validation_error,
                  validation_error_status=DOCUMENTED_ERROR_STATUS)
    app.json = OrjsonProvider(app)
    app.request_class = JsonRequest
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    # Swagger UI's default shows a badge that a host on the internet paints; nobody else needs to learn of this server.
    app.config["SWAGGER_CONFIG"] = {"validatorUrl": None}
    attach_services(app, Services(settings, model_service(settings, gateway or connect_triton(settings))))
    register_problems(app)
    require_key(app, read_or_create_secret(settings.admin_key_file, "conch_"))
    app.before_request(_refuse_bodies_that_are_not_json)
    for module in (models, openai, health):
        app.register_api(module.blueprint)
    return app


def model_service(settings: Settings, gateway: TritonGateway) -> ModelService:
    """Return the use cases around the models that `settings` name."""
    registry = ModelRegistry(load_catalog(settings.catalog_path), settings.model_repository)
    return ModelService(registry, gateway, settings.preload_models)


def connect_triton(settings: Settings) -> TritonGateway:
    """Return the gateway to the Triton that `settings` name."""
    return TritonGateway(settings.triton_grpc_address, triton_secret(settings), settings.inference_timeout_s,
                         settings.load_timeout_s)


def triton_secret(settings: Settings) -> str:
    """Return the secret that opens Triton's restricted APIs: the one given, else the generated one."""
    return settings.triton_secret or read_or_create_secret(settings.triton_secret_file)


def _refuse_bodies_that_are_not_json() -> None:
    """Parse the body once, loudly: the validation behind this takes a body that is not JSON for an empty one."""
    # An unknown path or method is a 404 or 405, whatever the body.
    if request.routing_exception is None and request.method in ("POST", "PUT", "PATCH"):
        try:
            request.get_json()
        except RequestEntityTooLarge:
            raise RequestEntityTooLarge(f"the body is larger than {request.max_content_length} bytes") from None
