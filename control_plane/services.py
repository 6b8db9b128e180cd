"""The services of one application or controller, put together from settings; there are no globals."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Flask

from control_plane.access.audit import AuditLog
from control_plane.access.keys import KeyStore
from control_plane.database.database import Database
from control_plane.database.leases import Leases
from control_plane.fleet import Fleet
from control_plane.generation.generation_service import GenerationLimits, GenerationService
from control_plane.generation.slot_balancer import SlotBalancer
from control_plane.inference import Inference
from control_plane.jobs.claims import JobClaims
from control_plane.jobs.job_service import JobService
from control_plane.jobs.store import JobStore
from control_plane.jobs.wake_queue import WakeQueue
from control_plane.labelling.live_taxonomy import LiveTaxonomy
from control_plane.lifecycle.lifecycle import Lifecycle
from control_plane.lifecycle.residency import Residency
from control_plane.lifecycle.rollout import Rollout
from control_plane.lifecycle.routes import Routes
from control_plane.lifecycle.store import ModelStore
from control_plane.memory.budget import GIB, MemoryBudget
from control_plane.model_registry import ModelRegistry
from control_plane.model_service import ModelService
from control_plane.observability.exposition import Exposition
from control_plane.observability.inference_observer import InferenceObserver
from control_plane.observability.metrics import Metrics
from control_plane.observability.platform_state import PlatformState
from control_plane.observability.usage import UsageRecorder
from control_plane.observability.usage_store import UsageStore
from control_plane.providers.openai_endpoint import OpenAIEndpoint
from control_plane.recognition.intent_model import IntentModel
from control_plane.secrets_store import read_or_create_secret
from control_plane.settings import Settings, read_secret
from control_plane.triton_gateway import TritonGateway
from control_plane.triton_metrics import read_generator_loads
from control_plane.tuning_services import TuningServices, build_tuning
from export.catalog import RemoteEndpoint, load_catalog
from export.contract import CPU_THREADS_PARAMETER

_EXTENSION = "conch"


@dataclass(frozen=True)
class Services:
    """What routes, the controller and the command line call."""

    settings: Settings
    database: Database
    leases: Leases
    store: ModelStore
    fleet: Fleet
    rollout: Rollout
    residency: Residency
    lifecycle: Lifecycle
    models: ModelService
    generation: GenerationService
    tuning: TuningServices
    jobs: JobService
    job_claims: JobClaims
    job_queue: WakeQueue
    metrics: Metrics
    usage: UsageRecorder
    exposition: Exposition
    keys: KeyStore
    audit: AuditLog


def build_services(settings: Settings, gateways: Sequence[TritonGateway] | None = None) -> Services:
    """Put the services for `settings` together; tests may bring gateways of their own. Connects to nothing yet."""
    database = Database(settings.database_address)
    leases, store = Leases(database), ModelStore(database)
    registry = ModelRegistry(load_catalog(settings.catalog_path), settings.model_repository, store.has)
    fleet = Fleet(connect_tritons(settings) if gateways is None else gateways, settings.vllm_tritons)
    rollout = Rollout(fleet, registry, store, settings.load_timeout_s, model_parameters(settings))
    residency = Residency(store, leases, fleet, rollout, registry, memory_budget(settings))
    lifecycle = Lifecycle(registry, store, leases, fleet, rollout, residency, settings.load_timeout_s)
    routes = Routes(store)
    metrics, usage = Metrics(), UsageRecorder(UsageStore(database), note_use=store.note_use)
    inference, observer = Inference(fleet, routes, lifecycle), InferenceObserver(metrics, usage)
    models = ModelService(registry, store, routes, inference, observer)
    pages = settings.triton_metrics_addresses
    balancer = SlotBalancer(lambda target: read_generator_loads(pages[target]))
    generation = GenerationService(registry, inference, observer, balancer, connect_endpoint,
                                   generation_limits(settings))
    state = PlatformState(store, JobStore(database), fleet, settings.home, settings.model_repository)
    job_queue = WakeQueue(settings.queue_url, settings.queue_file)
    jobs = JobService(JobStore(database), job_queue)
    tuning = build_tuning(settings, database, IntentModel(
        registry, inference, observer, LiveTaxonomy(database), settings.intent_model, settings.intent_timeout_s),
        generation, jobs, lifecycle, metrics.questions_lost.inc)
    return Services(settings, database, leases, store, fleet, rollout, residency, lifecycle, models, generation,
                    tuning, jobs, JobClaims(database), job_queue, metrics, usage,
                    Exposition(metrics, state, settings.metrics_dir), KeyStore(database), AuditLog(database))


def memory_budget(settings: Settings) -> MemoryBudget | None:
    """Return the budget for models on this machine, None where Triton runs elsewhere and its memory cannot be seen."""
    if settings.triton_urls:
        return None
    return MemoryBudget(settings.max_memory_usage, int(settings.min_memory_gb * GIB))


def generation_limits(settings: Settings) -> GenerationLimits:
    """Return what one generated answer may take."""
    return GenerationLimits(settings.max_new_tokens, settings.max_generation_time_s, settings.max_generations,
                            settings.generation_temperature)


def connect_endpoint(remote: RemoteEndpoint) -> OpenAIEndpoint:
    """Return the client of a server elsewhere, with the key that the environment holds for it."""
    return OpenAIEndpoint(remote, None if remote.key_variable is None else read_secret(remote.key_variable))


def model_parameters(settings: Settings) -> dict[str, str]:
    """Return the parameters that every model is loaded with, unless its config.pbtxt states them."""
    return {} if settings.cpu_threads is None else {CPU_THREADS_PARAMETER: str(settings.cpu_threads)}


def connect_tritons(settings: Settings) -> list[TritonGateway]:
    """Return the gateways to the Tritons that `settings` name."""
    secret = triton_secret(settings)
    return [TritonGateway(address, secret, settings.inference_timeout_s, settings.load_timeout_s)
            for address in settings.triton_addresses]


def triton_secret(settings: Settings) -> str:
    """Return the secret that opens Triton's restricted APIs: the one given, else the generated one."""
    return settings.triton_secret or read_or_create_secret(settings.triton_secret_file)


def attach_services(app: Flask, attached: Services) -> None:
    """Give `app` its services."""
    app.extensions[_EXTENSION] = attached


def services(app: Flask) -> Services:
    """Return the services of `app`."""
    return app.extensions[_EXTENSION]
