"""The settings of Conch, one documented table. The only module that reads the environment; knows nothing of Flask."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

from export.contract import ConchError

# ruff: noqa: RUF009 - _setting returns a dataclass field, which is what the rule asks for.


class SettingsError(ConchError):
    """An environment variable holds a value that the setting cannot take."""


def _setting(variable: str, default: object, meaning: str, is_secret: bool = False, may_be_zero: bool = False):
    """A secret one, or one that may hold a password, is left out of repr, so that no log and no trace shows it."""
    return field(default=default, metadata={"variable": variable, "meaning": meaning, "may_be_zero": may_be_zero},
                 repr=not is_secret)


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
    triton_urls: tuple[str, ...] = _setting(
        "CONCH_TRITON_URLS", (),
        "host:port of the gRPC endpoints of Tritons that run elsewhere, separated by commas; default the one that "
        "`conch serve` then starts.")
    triton_metrics_urls: tuple[str, ...] = _setting(
        "CONCH_TRITON_METRICS_URLS", (),
        "host:port of the metrics of those Tritons, in the same order; default each one's host and "
        "CONCH_TRITON_METRICS_PORT.")
    vllm_tritons: tuple[str, ...] = _setting(
        "CONCH_VLLM_TRITONS", (),
        "Those of CONCH_TRITON_URLS that have NVIDIA's vLLM backend; they hold the models exported for it and no "
        "others.")
    triton_secret: str | None = _setting(
        "CONCH_TRITON_SECRET", None,
        "Secret header value for Triton's restricted APIs; default generated into `triton.secret` under CONCH_HOME.",
        is_secret=True)
    privacy_key: str | None = _setting(
        "CONCH_PRIVACY_KEY", None,
        "Key of the digests of questions and people, 16 characters or more; default generated into `privacy.key` under "
        "CONCH_HOME.", is_secret=True)
    database_url: str | None = _setting(
        "CONCH_DATABASE_URL", None,
        "SQLAlchemy URL of the database, for example mysql+pymysql://user:password@host/conch; default the SQLite file "
        "`conch.db` under CONCH_HOME.", is_secret=True)
    queue_url: str | None = _setting(
        "CONCH_QUEUE_URL", None,
        "Redis that wakes controllers when a job is submitted, for example redis://host:6379/0; default the SQLite "
        "file `huey.db` under CONCH_HOME.", is_secret=True)
    max_jobs: int = _setting("CONCH_MAX_JOBS", 1, "Jobs that one controller runs at once.")
    preload_models: tuple[str, ...] = _setting(
        "CONCH_PRELOAD_MODELS", ("fast",), "Models to load at start, separated by commas.")
    idle_unload_s: float = _setting(
        "CONCH_IDLE_UNLOAD_S", 1800.0, "Seconds after which an on-demand model that nobody uses is unloaded.")
    device_type: str = _setting(
        "DEVICE_TYPE", "auto", "Device of POST /load-model where the request names none: auto, cpu or cuda.")
    max_memory_usage: float = _setting(
        "MAX_MEMORY_USAGE", 90.0,
        "Percent of the machine's memory that may be in use after a model was loaded; on-demand models give way.")
    min_memory_gb: float = _setting(
        "MIN_MEMORY_GB", 0.5, "GiB of memory that must stay available after a model was loaded.")
    cpu_threads: int | None = _setting(
        "CPU_THREADS", None,
        "Cores that a model may use for computing, all its instances together; default every core of the machine that "
        "Triton runs on.")
    gpu_memory_fraction: float | None = _setting(
        "GPU_MEMORY_FRACTION", None,
        "Share of each GPU's memory that a model exported for vLLM may take, above 0 to 1; read when it is exported. "
        "Default: vLLM's own.")
    max_processes: int = _setting("MAX_PROCESSES", 1, "Web processes.")
    max_workers: int = _setting("MAX_WORKERS", 32, "Requests that one web process handles at once.")
    inference_timeout_s: float = _setting(
        "CONCH_INFERENCE_TIMEOUT_S", 30.0, "Longest wait for Triton to answer one inference.")
    load_timeout_s: float = _setting("CONCH_LOAD_TIMEOUT_S", 300.0, "Longest wait for Triton to load a model.")
    generation_model: str = _setting(
        "CONCH_GENERATION_MODEL", "qwen", "Model of POST /generate where the request names none.")
    max_generations: int = _setting(
        "CONCH_MAX_GENERATIONS", 16, "Texts that one web process has generated at once; more are refused (429).")
    max_new_tokens: int = _setting("MAX_NEW_TOKENS", 2048, "Tokens that one generated answer may have.")
    max_generation_time_s: float = _setting(
        "MAX_GENERATION_TIME", 120.0, "Seconds after which an answer ends with what there is of it.")
    generation_temperature: float | None = _setting(
        "GENERATION_TEMPERATURE", None,
        "Temperature where a request names none; 0 takes the likeliest token. Default: as the checkpoint has it.",
        may_be_zero=True)
    intent_model: str = _setting("CONCH_INTENT_MODEL", "intent", "Model that recognises intents.")
    intent_base: str = _setting(
        "CONCH_INTENT_BASE", "multilingual-e5-small", "Model of the catalog that a first intent model is trained from.")
    seed_intents: bool = _setting(
        "CONCH_SEED_INTENTS", False,
        "Train a first intent model on the questions that Conch brings along, as a job, where there is none.")
    train_after_labels: int = _setting(
        "CONCH_TRAIN_AFTER_LABELS", 100, "New labels after which a training begins by itself.")
    intent_timeout_s: float = _setting(
        "CONCH_INTENT_TIMEOUT_S", 2.0, "Longest wait for that model; then the keyword rules answer.")
    intent_rule_threshold: float = _setting(
        "CONCH_INTENT_RULE_THRESHOLD", 0.6, "Score from which on an intent holds that only keyword rules speak for.")
    intent_llm: str | None = _setting(
        "CONCH_INTENT_LLM", None,
        "Text generator of the catalog that is asked, with the question masked, where neither model nor rules are "
        "sure; default none.")
    intent_llm_timeout_s: float = _setting("CONCH_INTENT_LLM_TIMEOUT_S", 5.0, "Longest wait for that generator.")
    max_texts: int = _setting("CONCH_MAX_TEXTS", 2048, "Texts that one REST request may carry.")
    max_text_chars: int = _setting("CONCH_MAX_TEXT_CHARS", 100_000, "Characters that one text may have.")
    max_body_bytes: int = _setting("CONCH_MAX_BODY_BYTES", 16 * 1024 * 1024, "Largest REST request body.")
    client_timeout_s: float = _setting(
        "CONCH_CLIENT_TIMEOUT_S", 30.0, "Longest silence of a client that is sending a request or reading an answer.")
    max_concurrent_requests: int = _setting(
        "CONCH_MAX_CONCURRENT_REQUESTS", 256, "Requests that one worker process takes at once; more are refused (429).")
    rate_limit: str | None = _setting(
        "CONCH_RATE_LIMIT", None, "Requests that each API key may make, for example `600/minute`; default any number.")
    rate_limit_storage: str = _setting(
        "CONCH_RATE_LIMIT_STORAGE", "memory://",
        "Where requests are counted: `memory://` in each worker for itself, or a Redis that all share, for example "
        "`redis://host:6379`.", is_secret=True)

    question_retention_days: int = _setting(
        "CONCH_QUESTION_RETENTION_DAYS", 365, "Days after which a logged question is deleted.")
    time_zone: str = _setting(
        "CONCH_TIME_ZONE", "Asia/Shanghai", "Zone whose date is today in questions such as 今年 and 明天 (IANA name).")
    access_log: bool = _setting("CONCH_ACCESS_LOG", True, "One line in the log for each request.")
    metrics_dir: Path | None = _setting(
        "PROMETHEUS_MULTIPROC_DIR", None,
        "Directory in which the web workers add up their metrics; `conch serve` gives them `metrics` under CONCH_HOME.")

    @property
    def admin_key_file(self) -> Path:
        """File that holds the admin API key, mode 0600."""
        return self.home / "admin.key"

    @property
    def triton_secret_file(self) -> Path:
        """File that holds the generated secret for Triton's restricted APIs, mode 0600."""
        return self.home / "triton.secret"

    @property
    def privacy_key_file(self) -> Path:
        """File that holds the generated key of the digests of questions and people, mode 0600."""
        return self.home / "privacy.key"

    @property
    def database_address(self) -> str:
        """URL of the database, with its password."""
        return self.database_url or f"sqlite:///{(self.home / 'conch.db').resolve()}"

    @property
    def queue_file(self) -> Path:
        """SQLite file that wakes the controller where no Redis does."""
        return self.home / "huey.db"

    @property
    def question_spool(self) -> Path:
        """Directory where questions wait for the database."""
        return self.home / "spool" / "questions"

    @property
    def tuning_dir(self) -> Path:
        """Directory of datasets, trained checkpoints and gate reports, one directory for each batch."""
        return self.home / "tuning"

    @property
    def checkpoint_dir(self) -> Path:
        """Directory of downloaded checkpoints."""
        return self.home / "checkpoints"

    @property
    def catalog_path(self) -> Path:
        """The user's catalog file, which may not exist."""
        return self.catalog_file or self.home / "catalog.toml"

    @property
    def triton_addresses(self) -> tuple[str, ...]:
        """host:port of every Triton that the control plane calls."""
        return self.triton_urls or (f"{self.local_host}:{self.triton_grpc_port}",)

    @property
    def triton_metrics_addresses(self) -> dict[str, str]:
        """host:port of every Triton's metrics, by its entry in `triton_addresses`."""
        usual = [f"{address.rpartition(':')[0]}:{self.triton_metrics_port}" for address in self.triton_addresses]
        return dict(zip(self.triton_addresses, self.triton_metrics_urls or usual, strict=True))

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
    return _checked(Settings(**given))


def read_secret(variable: str) -> str:
    """Return the secret that a catalog says is in an environment variable; raises SettingsError where it is not."""
    if not os.environ.get(variable):
        raise SettingsError(f"{variable} is not set; the catalog says that it holds an API key")
    return os.environ[variable]


def environment_with(variables: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with `variables` set, for a child process."""
    return {**os.environ, **variables}


def _checked(settings: Settings) -> Settings:
    given, needed = len(settings.triton_metrics_urls), len(settings.triton_addresses)
    if given not in (0, needed):
        raise SettingsError(f"CONCH_TRITON_METRICS_URLS names {given} endpoints, but there are {needed} Tritons "
                            "(CONCH_TRITON_URLS); name one for each, in the same order")
    if unknown := set(settings.vllm_tritons).difference(settings.triton_addresses):
        raise SettingsError(f"CONCH_VLLM_TRITONS names {', '.join(sorted(unknown))}, which CONCH_TRITON_URLS does not; "
                            "name each of them there, too")
    return settings


def _parse(setting, text: str) -> object:
    """Convert `text` to the type that the setting is declared with."""
    variable = setting.metadata["variable"]
    kind = next(item for item in (get_args(setting.type) or (setting.type,)) if item is not type(None))
    if setting.type == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if setting.name == "time_zone":
        return _parse_zone(variable, text)
    if kind is bool:
        return _parse_switch(variable, text)
    if kind is int:
        return _parse_positive(variable, text, int, "a whole number")
    if kind is float:
        return _parse_number(setting, text)
    return kind(text)


def _parse_switch(variable: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise SettingsError(f"{variable}={text!r} must be true or false")
    return text.lower() == "true"


def _parse_zone(variable: str, text: str) -> str:
    try:
        return ZoneInfo(text).key
    except (KeyError, ValueError, OSError):  # A name that is not there, a path, and a directory of zones.
        raise SettingsError(f"{variable}={text!r} must be the name of a time zone, for example Asia/Shanghai") from None


def _parse_number(setting, text: str) -> float:
    if setting.metadata["may_be_zero"] and text in ("0", "0.0"):
        return 0.0
    return _parse_positive(setting.metadata["variable"], text, float, "a number")


def _parse_positive(variable: str, text: str, kind: type, what: str) -> int | float:
    try:
        number = kind(text)
    except ValueError:
        number = -1
    if not 0 < number < float("inf"):
        raise SettingsError(f"{variable}={text!r} must be {what} above 0")
    if variable.endswith("_FRACTION") and number > 1:
        raise SettingsError(f"{variable}={text!r} must be {what} above 0 and at most 1")
    if variable.endswith("_PORT") and number > 65535:
        raise SettingsError(f"{variable}={text!r} must be a port, 1 to 65535")
    return number
