"""The settings of Conch, one documented table. The only module that reads the environment; knows nothing of Flask."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from export.contract import ConchError

# ruff: noqa: RUF009 - _setting returns a dataclass field, which is what the rule asks for.


class SettingsError(ConchError):
    """An environment variable holds a value that the setting cannot take."""


def _setting(variable: str, default: object, meaning: str):
    return field(default=default, metadata={"variable": variable, "meaning": meaning})


@dataclass(frozen=True)
class Settings:
    """Every setting: its environment variable, default and meaning (docs/settings.md is checked against this table)."""

    home: Path = _setting(
        "CONCH_HOME", Path("var"), "Directory of all state: keys, checkpoints, logs, Triton's backend directory.")
    model_repository: Path = _setting(
        "CONCH_MODEL_REPOSITORY", Path("model_repository"), "Directory that `conch export` fills and Triton serves.")
    catalog_file: Path | None = _setting(
        "CONCH_CATALOG", None, "Your own catalog file; default `catalog.toml` under CONCH_HOME.")
    host: str = _setting(
        "CONCH_HOST", "127.0.0.1", "Address that REST and Triton's inference ports bind to.")
    http_port: int = _setting("CONCH_HTTP_PORT", 8080, "REST and OpenAI-compatible API.")
    triton_http_port: int = _setting("CONCH_TRITON_HTTP_PORT", 8000, "Triton's KServe v2 HTTP.")
    triton_grpc_port: int = _setting("CONCH_TRITON_GRPC_PORT", 8001, "Triton's KServe v2 gRPC.")
    triton_metrics_port: int = _setting("CONCH_TRITON_METRICS_PORT", 8002, "Triton's Prometheus metrics.")
    triton_url: str | None = _setting(
        "CONCH_TRITON_URL", None,
        "host:port of a Triton gRPC endpoint that runs elsewhere; default the one that `conch serve` starts.")
    triton_secret: str | None = _setting(
        "CONCH_TRITON_SECRET", None,
        "Secret header value for Triton's restricted APIs; default generated into `triton.secret` under CONCH_HOME.")
    preload_models: tuple[str, ...] = _setting(
        "CONCH_PRELOAD_MODELS", ("fast",), "Models to load at start, separated by commas.")
    workers: int = _setting("CONCH_WORKERS", 1, "gunicorn worker processes.")
    worker_threads: int = _setting("CONCH_WORKER_THREADS", 32, "Requests that one worker handles at once.")
    inference_timeout_s: float = _setting(
        "CONCH_INFERENCE_TIMEOUT_S", 30.0, "Longest wait for Triton to answer one inference.")
    load_timeout_s: float = _setting("CONCH_LOAD_TIMEOUT_S", 300.0, "Longest wait for Triton to load a model.")
    max_texts: int = _setting("CONCH_MAX_TEXTS", 2048, "Texts that one REST request may carry.")
    max_text_chars: int = _setting("CONCH_MAX_TEXT_CHARS", 100_000, "Characters that one text may have.")
    max_body_bytes: int = _setting("CONCH_MAX_BODY_BYTES", 16 * 1024 * 1024, "Largest REST request body.")

    @property
    def admin_key_file(self) -> Path:
        """File that holds the admin API key, mode 0600."""
        return self.home / "admin.key"

    @property
    def triton_secret_file(self) -> Path:
        """File that holds the generated secret for Triton's restricted APIs, mode 0600."""
        return self.home / "triton.secret"

    @property
    def checkpoint_dir(self) -> Path:
        """Directory of downloaded checkpoints."""
        return self.home / "checkpoints"

    @property
    def catalog_path(self) -> Path:
        """The user's catalog file, which may not exist."""
        return self.catalog_file or self.home / "catalog.toml"

    @property
    def triton_grpc_address(self) -> str:
        """host:port that the control plane calls Triton on."""
        return self.triton_url or f"{self.local_host}:{self.triton_grpc_port}"

    @property
    def local_host(self) -> str:
        """Address to reach this machine's own servers, also when they bind to every interface."""
        return "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared, never bound


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environment` (default: the process's own).

    Raises SettingsError naming the variable, its value and what it must be.
    """
    values = os.environ if environment is None else environment
    given = {}
    for setting in fields(Settings):
        text = values.get(setting.metadata["variable"], "")
        if text:
            given[setting.name] = _parse(setting, text)
    return Settings(**given)


def _parse(setting, text: str) -> object:
    """Convert `text` to the type of the setting's default (paths where there is none to go by name)."""
    variable = setting.metadata["variable"]
    if setting.name in ("home", "model_repository", "catalog_file"):
        return Path(text)
    if isinstance(setting.default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if isinstance(setting.default, int):
        return _parse_positive(variable, text, int, "a whole number")
    if isinstance(setting.default, float):
        return _parse_positive(variable, text, float, "a number")
    return text


def _parse_positive(variable: str, text: str, kind: type, what: str) -> int | float:
    try:
        number = kind(text)
    except ValueError:
        number = -1
    if not 0 < number < float("inf"):
        raise SettingsError(f"{variable}={text!r} must be {what} above 0")
    if variable.endswith("_PORT") and number > 65535:
        raise SettingsError(f"{variable}={text!r} must be a port, 1 to 65535")
    return number
