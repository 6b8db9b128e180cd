"""Exports a checkpoint as what it is: the one place that chooses how. Knows nothing of how each kind is exported."""

from collections.abc import Callable
from pathlib import Path

from export.contract import EMBEDDING, INTENT, TEXT_GENERATION
from export.decoder_checkpoint import is_decoder
from export.decoder_export import STEPS as DECODER_STEPS
from export.decoder_export import GeneratorRequest, export_decoder
from export.encoder_export import STEPS as ENCODER_STEPS
from export.encoder_export import ExportRequest, export_encoder
from export.errors import UnsupportedModelError
from export.intent_checkpoint import is_intent_checkpoint
from export.intent_export import export_intent
from export.precision import CALIBRATED, VLLM_ENGINE
from export.vllm_export import STEPS as VLLM_STEPS
from export.vllm_export import export_vllm


def task_of(path: Path) -> str:
    """Return the task of the checkpoint at `path`, by its files alone."""
    if is_intent_checkpoint(path):
        return INTENT
    return TEXT_GENERATION if is_decoder(path) else EMBEDDING


def steps_of(path: Path, engine: str) -> tuple[str, ...]:
    """Return the names of the steps that exporting the checkpoint at `path` for `engine` takes, in order."""
    if task_of(path) != TEXT_GENERATION:
        return ENCODER_STEPS
    return VLLM_STEPS if engine == VLLM_ENGINE else DECODER_STEPS


def export_checkpoint(request: ExportRequest, on_step: Callable[[str], None] = lambda step: None) -> Path:
    """Export one version and return its directory; `on_step` hears the name of each step as it begins.

    Raises ExportError; the repository is then what it was.
    """
    path, task = request.checkpoint.path, task_of(request.checkpoint.path)
    if request.min_cosine is not None and task != EMBEDDING:
        proof = "scores" if task == INTENT else "predictions"
        raise UnsupportedModelError(f"{path} is a model of task {task}, which is proven by its {proof} and not by a "
                                    "cosine; leave --min-cosine out")
    if request.engine != VLLM_ENGINE and request.vllm.of_the_model:
        raise UnsupportedModelError(f"engine {request.engine} has neither a context nor a number of GPUs to choose; "
                                    "leave --context-tokens and --gpus out, or take --engine vllm")
    if request.calibration is not None and (request.engine, request.precision) != CALIBRATED.get(task):
        fitted = " and ".join(f"{task} in {' '.join(choice)}" for task, choice in CALIBRATED.items())
        raise UnsupportedModelError(f"{path}: only {fitted} are fitted to texts; leave --calibration out")
    if task == TEXT_GENERATION:
        generator = GeneratorRequest(request.checkpoint, request.repository, request.name, request.engine,
                                     request.precision, request.forced, request.calibration)
        if request.engine == VLLM_ENGINE:
            return export_vllm(generator, request.vllm, on_step)
        return export_decoder(generator, on_step)
    if request.forced:
        raise UnsupportedModelError(f"{path} is a model of task {task}, whose proof is never waived; leave --force out")
    if task == INTENT:
        return export_intent(path, request.name, request.repository, request.engine, request.precision, on_step)
    return export_encoder(request, on_step)
