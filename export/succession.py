"""What a new version must have in common with those before it under the same name. Knows nothing of weights."""

from pathlib import Path

from export.contract import CONFIG_FILE, version_numbers
from export.errors import UnsupportedModelError
from export.manifest import Manifest, read_manifest
from export.triton_config import embedding_dimension, stated_backend, states_output


def check_task(model_dir: Path, task: str, output: str) -> None:
    """Refuse a version that does something else than the model's others; `output` is Triton's name for its answer."""
    newest = _newest_manifest(model_dir)
    if newest is not None and newest.task != task:
        raise UnsupportedModelError(f"{model_dir.name} is a model of task {newest.task} and this checkpoint is one of "
                                    f"task {task}; export it under another --name")
    # config.pbtxt outlives its versions, because people edit it.
    config_file = model_dir / CONFIG_FILE
    if config_file.exists() and not states_output(config_file.read_text(encoding="utf-8"), output):
        raise UnsupportedModelError(f"{config_file} has no output {output!r}, which a model of task {task} answers "
                                    "with; export it under another --name, or remove that file")


def check_backend(model_dir: Path, backend: str) -> None:
    """Refuse a version that another of Triton's backends computes: config.pbtxt names one for all versions."""
    config_file = model_dir / CONFIG_FILE
    stated = stated_backend(config_file.read_text(encoding="utf-8")) if config_file.exists() else backend
    if stated != backend:
        raise UnsupportedModelError(f"{config_file} has Triton's backend {stated!r} serve {model_dir.name}, and this "
                                    f"export is for the backend {backend!r}; export it under another --name")


def check_dimension(model_dir: Path, dimension: int) -> None:
    """Refuse a version whose vectors could not be compared with those that clients have stored."""
    newest = _newest_manifest(model_dir)
    if newest is not None and newest.dimension != dimension:
        raise UnsupportedModelError(f"{model_dir.name} has {newest.dimension} dimensions and this checkpoint "
                                    f"{dimension}: stored vectors would no longer compare; export it under another "
                                    "--name")
    config_file = model_dir / CONFIG_FILE
    configured = embedding_dimension(config_file.read_text(encoding="utf-8")) if config_file.exists() else None
    if configured not in (None, dimension):
        raise UnsupportedModelError(f"{config_file} says {configured} dimensions and this checkpoint has {dimension}; "
                                    "export it under another --name, or remove that file")


def _newest_manifest(model_dir: Path) -> Manifest | None:
    versions = version_numbers(model_dir)
    return read_manifest(model_dir / str(versions[-1])) if versions else None
