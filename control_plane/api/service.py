"""REST for administrators: the service as a whole, its memory and devices, and loading by `model_id`."""

import gc
from datetime import timedelta
from typing import Literal

import psutil
from flask import current_app
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

from control_plane.access.scopes import ADMIN, INFER, needs_scope
from control_plane.api.changes import change
from control_plane.api.fields import ModelName, Reason
from control_plane.api.models import CHANGE_STATUSES, ModelDescription
from control_plane.database.schema import utc_now
from control_plane.memory.budget import read_machine_memory
from control_plane.memory.devices import AUTO, CPU, cuda_devices, resolve_device
from control_plane.observability.model_memory import resident_bytes
from control_plane.problems import problem_responses
from control_plane.services import services

blueprint = APIBlueprint("service", __name__, abp_tags=[Tag(name="service")], abp_security=[{"bearer": []}])
_LONGEST_IDLE_S = 10 * 365 * 86400


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class MemoryUsage(BaseModel):
    """Memory in bytes. Models are seen where Triton runs on this machine."""

    rss: int = Field(description="Resident set of the process that answers.")
    vms: int = Field(description="Its virtual memory.")
    percent: float = Field(description="How much of the machine's memory is in use.")
    total: int
    available: int
    models: dict[str, int] = Field(description="Resident set of each loaded model.")


class OptimizeBody(_Strict):
    """Which models count as idle."""

    idle_s: float | None = Field(None, ge=0, le=_LONGEST_IDLE_S, strict=True, description=(
        "Unload on-demand models that nobody has used for so many seconds; default CONCH_IDLE_UNLOAD_S."))


class Optimized(BaseModel):
    """What was freed."""

    unloaded: list[str]
    freed: int = Field(description="Bytes of the machine's memory that are available now and were not before.")
    memory: MemoryUsage


class SystemInfo(BaseModel):
    """The machine and what runs on it."""

    cores: int
    memory_total: int
    memory_available: int
    workers: int = Field(description="Requests that one worker process handles at once.")
    processes: int = Field(description="Worker processes.")
    devices: list[str]
    models: dict[str, str] = Field(description="Each model that should be live: ready, or why not.")


class LoadByIdBody(_Strict):
    """Which model, and where."""

    model_id: ModelName
    device: Literal["auto", "cpu", "cuda"] | None = Field(None, description="Default: DEVICE_TYPE.")
    reason: Reason = ""


class UnloadByIdBody(_Strict):
    """Which model."""

    model_id: ModelName
    reason: Reason = ""


@blueprint.get("/memory-usage", responses={"200": MemoryUsage, **problem_responses(401)}, summary="Memory in use")
@needs_scope(INFER)
def memory_usage():
    """Say how much memory this process, the machine and each model use."""
    return _memory_usage()


@blueprint.post("/optimize-memory", responses={"200": Optimized, **problem_responses(*CHANGE_STATUSES)},
                summary="Unload idle models and free caches")
@needs_scope(ADMIN)
def optimize_memory(body: OptimizeBody):
    """Unload on-demand models that are idle, free what this process need not keep, and say what that gave."""
    found = services(current_app)
    before = read_machine_memory()
    idle_s = found.settings.idle_unload_s if body.idle_s is None else body.idle_s
    unloaded = found.residency.unload_idle(timedelta(seconds=idle_s), utc_now())
    gc.collect()
    return {"unloaded": unloaded, "freed": max(0, read_machine_memory().available - before.available),
            "memory": _memory_usage()}


@blueprint.get("/system-info", responses={"200": SystemInfo, **problem_responses(401)}, summary="Machine and models")
@needs_scope(INFER)
def system_info():
    """Describe the machine that answers, and the state of every model that should be live."""
    found, machine = services(current_app), read_machine_memory()
    return {"cores": psutil.cpu_count(), "memory_total": machine.total, "memory_available": machine.available,
            "workers": found.settings.max_workers, "processes": found.settings.max_processes,
            "devices": [CPU, *cuda_devices()], "models": found.models.readiness()}


@blueprint.post("/load-model", responses={"200": ModelDescription, **problem_responses(*CHANGE_STATUSES)},
                summary="Load a model on a device")
@needs_scope(ADMIN)
def load_model(body: LoadByIdBody):
    """Load a model as POST /api/v1/models/load does; a device that is not there is an error, not another device."""
    found = services(current_app)
    resolve_device(body.device or found.settings.device_type or AUTO, found.models.is_for_vllm(body.model_id))
    found.lifecycle.load(body.model_id, change(body.reason))
    return found.models.describe(body.model_id)


@blueprint.post("/unload-model", responses={"200": ModelDescription, **problem_responses(*CHANGE_STATUSES)},
                summary="Unload a model")
@needs_scope(ADMIN)
def unload_model(body: UnloadByIdBody):
    """Unload a model as POST /api/v1/models/unload does."""
    services(current_app).lifecycle.unload(body.model_id, change(body.reason))
    return services(current_app).models.describe(body.model_id)


def _memory_usage() -> dict:
    settings, process, machine = services(current_app).settings, psutil.Process().memory_info(), read_machine_memory()
    return {"rss": process.rss, "vms": process.vms, "percent": machine.used_percent,
            "total": machine.total, "available": machine.available,
            "models": resident_bytes(settings.home, settings.model_repository)}
