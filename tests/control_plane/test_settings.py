"""Each variable reaches its setting; a wrong value stops the start with the variable and what it needs."""

import re
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from control_plane.settings import Settings, SettingsError, load_settings

# variable -> (a value, the setting that it becomes, as what)
GIVEN = {
    "CONCH_HOME": ("/srv/conch", "home", Path("/srv/conch")),
    "CONCH_MODEL_REPOSITORY": ("/srv/models", "model_repository", Path("/srv/models")),
    "CONCH_CATALOG": ("/srv/mine.toml", "catalog_file", Path("/srv/mine.toml")),
    "CONCH_HOST": ("0.0.0.0", "host", "0.0.0.0"),  # noqa: S104 - parsed, never bound
    "CONCH_HTTP_PORT": ("81", "http_port", 81),
    "CONCH_TRITON_HTTP_PORT": ("82", "triton_http_port", 82),
    "CONCH_TRITON_GRPC_PORT": ("83", "triton_grpc_port", 83),
    "CONCH_TRITON_METRICS_PORT": ("84", "triton_metrics_port", 84),
    "CONCH_TRITON_URLS": ("one:8001, two:8001", "triton_urls", ("one:8001", "two:8001")),
    "CONCH_TRITON_METRICS_URLS": ("one:8002", "triton_metrics_urls", ("one:8002",)),
    "CONCH_VLLM_TRITONS": ("127.0.0.1:8001", "vllm_tritons", ("127.0.0.1:8001",)),
    "CONCH_TRITON_SECRET": ("s3cr3t", "triton_secret", "s3cr3t"),
    "CONCH_PRIVACY_KEY": ("0123456789abcdef", "privacy_key", "0123456789abcdef"),
    "CONCH_DATABASE_URL": ("mysql+pymysql://u:p@host/conch", "database_url", "mysql+pymysql://u:p@host/conch"),
    "CONCH_QUEUE_URL": ("redis://host:6379/0", "queue_url", "redis://host:6379/0"),
    "CONCH_MAX_JOBS": ("4", "max_jobs", 4),
    "CONCH_PRELOAD_MODELS": ("fast, accurate,", "preload_models", ("fast", "accurate")),
    "CONCH_IDLE_UNLOAD_S": ("90", "idle_unload_s", 90.0),
    "DEVICE_TYPE": ("cpu", "device_type", "cpu"),
    "MAX_MEMORY_USAGE": ("75", "max_memory_usage", 75.0),
    "MIN_MEMORY_GB": ("2", "min_memory_gb", 2.0),
    "CPU_THREADS": ("2", "cpu_threads", 2),
    "GPU_MEMORY_FRACTION": ("0.8", "gpu_memory_fraction", 0.8),
    "MAX_PROCESSES": ("3", "max_processes", 3),
    "MAX_WORKERS": ("5", "max_workers", 5),
    "CONCH_INFERENCE_TIMEOUT_S": ("2.5", "inference_timeout_s", 2.5),
    "CONCH_LOAD_TIMEOUT_S": ("60", "load_timeout_s", 60.0),
    "CONCH_GENERATION_MODEL": ("smollm2", "generation_model", "smollm2"),
    "CONCH_MAX_GENERATIONS": ("6", "max_generations", 6),
    "MAX_NEW_TOKENS": ("100", "max_new_tokens", 100),
    "MAX_GENERATION_TIME": ("9.5", "max_generation_time_s", 9.5),
    "GENERATION_TEMPERATURE": ("0.5", "generation_temperature", 0.5),
    "CONCH_INTENT_MODEL": ("wishes", "intent_model", "wishes"),
    "CONCH_INTENT_BASE": ("fast", "intent_base", "fast"),
    "CONCH_SEED_INTENTS": ("true", "seed_intents", True),
    "CONCH_TRAIN_AFTER_LABELS": ("20", "train_after_labels", 20),
    "CONCH_INTENT_TIMEOUT_S": ("0.5", "intent_timeout_s", 0.5),
    "CONCH_INTENT_RULE_THRESHOLD": ("0.7", "intent_rule_threshold", 0.7),
    "CONCH_INTENT_LLM": ("qwen", "intent_llm", "qwen"),
    "CONCH_INTENT_LLM_TIMEOUT_S": ("3", "intent_llm_timeout_s", 3.0),
    "CONCH_MAX_TEXTS": ("10", "max_texts", 10),
    "CONCH_MAX_TEXT_CHARS": ("11", "max_text_chars", 11),
    "CONCH_MAX_BODY_BYTES": ("12", "max_body_bytes", 12),
    "CONCH_CLIENT_TIMEOUT_S": ("1.5", "client_timeout_s", 1.5),
    "CONCH_MAX_CONCURRENT_REQUESTS": ("13", "max_concurrent_requests", 13),
    "CONCH_RATE_LIMIT": ("600/minute", "rate_limit", "600/minute"),
    "CONCH_RATE_LIMIT_STORAGE": ("redis://host:6379", "rate_limit_storage", "redis://host:6379"),
    "CONCH_QUESTION_RETENTION_DAYS": ("30", "question_retention_days", 30),
    "CONCH_TIME_ZONE": ("Europe/Berlin", "time_zone", "Europe/Berlin"),
    "CONCH_ACCESS_LOG": ("False", "access_log", False),
    "PROMETHEUS_MULTIPROC_DIR": ("/srv/metrics", "metrics_dir", Path("/srv/metrics")),
}
WHOLE_NUMBERS = sorted(variable for variable, (_, _, value) in GIVEN.items() if type(value) is int)
PORTS = sorted(variable for variable in GIVEN if variable.endswith("_PORT"))
MAY_BE_ZERO = ["GENERATION_TEMPERATURE"]
NUMBERS = sorted(variable for variable, (_, _, value) in GIVEN.items()
                 if type(value) is float and variable not in MAY_BE_ZERO)


def test_the_table_of_this_test_has_every_setting():
    assert {setting.metadata["variable"]: setting.name for setting in fields(Settings)} == {
        variable: name for variable, (_, name, _) in GIVEN.items()}


@pytest.mark.parametrize("variable", GIVEN)
def test_variable_sets_its_setting_and_no_other(variable):
    text, name, value = GIVEN[variable]
    settings = load_settings({variable: text})
    assert getattr(settings, name) == value
    assert type(getattr(settings, name)) is type(value)
    changed = [setting.name for setting in fields(Settings) if getattr(settings, setting.name) != setting.default]
    assert changed == [name]


def test_an_empty_environment_gives_the_defaults():
    assert load_settings({}) == Settings()


@pytest.mark.parametrize("variable", GIVEN)
def test_an_empty_value_counts_as_not_set(variable):
    assert load_settings({variable: ""}) == Settings()


def test_a_lone_comma_preloads_nothing():
    assert load_settings({"CONCH_PRELOAD_MODELS": ","}).preload_models == ()


@pytest.mark.parametrize("variable", WHOLE_NUMBERS)
@pytest.mark.parametrize("text", ["many", "0", "-1", "1.5", "1e3", "0x10", "nan", "inf"])
def test_wrong_whole_number_names_the_variable_its_value_and_the_need(variable, text):
    with pytest.raises(SettingsError, match=f"^{variable}='{text}' must be a whole number above 0$"):
        load_settings({variable: text})


@pytest.mark.parametrize("variable", NUMBERS)
@pytest.mark.parametrize("text", ["soon", "0", "-0.5", "nan", "inf", "30s"])
def test_wrong_number_names_the_variable_its_value_and_the_need(variable, text):
    with pytest.raises(SettingsError, match=f"^{variable}='{text}' must be a number above 0$"):
        load_settings({variable: text})


@pytest.mark.parametrize("variable", MAY_BE_ZERO)
def test_a_number_that_may_be_zero_is_refused_only_below(variable):
    assert getattr(load_settings({variable: "0"}), GIVEN[variable][1]) == 0.0
    with pytest.raises(SettingsError, match=f"^{variable}='-1' must be a number above 0$"):
        load_settings({variable: "-1"})


@pytest.mark.parametrize("variable", PORTS)
def test_port_that_no_socket_has_is_refused(variable):
    assert load_settings({variable: "65535"})
    with pytest.raises(SettingsError, match=f"^{variable}='65536' must be a port, 1 to 65535$"):
        load_settings({variable: "65536"})


def test_settings_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Settings().http_port = 1


def test_state_lies_under_home():
    settings = Settings(home=Path("/srv"))
    assert settings.admin_key_file == Path("/srv/admin.key")
    assert settings.triton_secret_file == Path("/srv/triton.secret")
    assert settings.privacy_key_file == Path("/srv/privacy.key")
    assert settings.checkpoint_dir == Path("/srv/checkpoints")
    assert settings.catalog_path == Path("/srv/catalog.toml")
    assert Settings(home=Path("/srv"), catalog_file=Path("/etc/c.toml")).catalog_path == Path("/etc/c.toml")


@pytest.mark.parametrize("text", ["yes", "1", "on", "truee"])
def test_a_switch_is_true_or_false_and_nothing_else(text):
    assert load_settings({"CONCH_ACCESS_LOG": "TRUE"}).access_log is True
    with pytest.raises(SettingsError, match=f"^CONCH_ACCESS_LOG='{text}' must be true or false$"):
        load_settings({"CONCH_ACCESS_LOG": text})


@pytest.mark.parametrize("text", ["Shanghai", "Asia", "../../etc/passwd", "+08:00", "/etc/localtime"])
def test_a_time_zone_is_one_that_exists(text):
    with pytest.raises(SettingsError, match=f"^CONCH_TIME_ZONE='{re.escape(text)}' must be the name of a time zone"):
        load_settings({"CONCH_TIME_ZONE": text})


def test_the_database_is_a_file_under_home_unless_another_is_named(tmp_path):
    assert Settings(home=tmp_path).database_address == f"sqlite:///{tmp_path}/conch.db"
    assert Settings(home=Path("relative")).database_address == f"sqlite:///{Path.cwd()}/relative/conch.db"
    assert Settings(database_url="mysql+pymysql://host/conch").database_address == "mysql+pymysql://host/conch"


@pytest.mark.parametrize(("settings", "address"), [
    (Settings(), "127.0.0.1:8001"),
    (Settings(host="0.0.0.0", triton_grpc_port=9), "127.0.0.1:9"),  # noqa: S104 - compared, never bound
    (Settings(host="192.0.2.7"), "192.0.2.7:8001"),
    (Settings(triton_urls=("triton:8001",), triton_grpc_port=9), "triton:8001"),
])
def test_triton_is_called_where_it_runs(settings, address):
    assert settings.triton_addresses == (address,)


def test_several_tritons_are_called_where_they_run():
    assert Settings(triton_urls=("one:8001", "two:8001")).triton_addresses == ("one:8001", "two:8001")


@pytest.mark.parametrize(("settings", "pages"), [
    (Settings(), {"127.0.0.1:8001": "127.0.0.1:8002"}),
    (Settings(triton_urls=("one:8001", "[::1]:8001"), triton_metrics_port=9),
     {"one:8001": "one:9", "[::1]:8001": "[::1]:9"}),
    (Settings(triton_urls=("one:1", "one:2"), triton_metrics_urls=("one:3", "one:4")),
     {"one:1": "one:3", "one:2": "one:4"}),
])
def test_metrics_are_on_each_tritons_host_unless_stated(settings, pages):
    assert settings.triton_metrics_addresses == pages


def test_metrics_are_stated_for_every_triton_or_for_none():
    with pytest.raises(SettingsError, match=r"CONCH_TRITON_METRICS_URLS names 1 endpoints, but there are 2 Tritons"):
        load_settings({"CONCH_TRITON_URLS": "one:8001,two:8001", "CONCH_TRITON_METRICS_URLS": "one:8002"})


def test_what_is_secret_or_may_hold_a_password_is_not_shown():
    variables = {"CONCH_TRITON_SECRET": "s3cr3t", "CONCH_PRIVACY_KEY": "hunter0",
                 "CONCH_DATABASE_URL": "mysql+pymysql://user:hunter2@host/conch",
                 "CONCH_QUEUE_URL": "redis://user:hunter3@host", "CONCH_RATE_LIMIT_STORAGE": "redis://user:hunter4@host"}
    shown = repr(load_settings({**variables, "CONCH_HTTP_PORT": "4711"}))
    assert "4711" in shown
    assert not re.search("s3cr3t|hunter", shown)


@pytest.mark.parametrize("text", ["0", "-0.1", "1.01", "2", "nan", "half"])
def test_a_share_of_memory_is_above_0_and_at_most_1(text):
    with pytest.raises(SettingsError, match=f"GPU_MEMORY_FRACTION='{text}' must be a number above 0"):
        load_settings({"GPU_MEMORY_FRACTION": text})
    assert load_settings({"GPU_MEMORY_FRACTION": "1"}).gpu_memory_fraction == 1


def test_a_triton_for_vllm_must_be_one_of_the_tritons():
    urls = {"CONCH_TRITON_URLS": "one:8001,gpu:8001"}
    assert load_settings({**urls, "CONCH_VLLM_TRITONS": "gpu:8001"}).vllm_tritons == ("gpu:8001",)
    with pytest.raises(SettingsError, match="CONCH_VLLM_TRITONS names other:1, which CONCH_TRITON_URLS does not"):
        load_settings({**urls, "CONCH_VLLM_TRITONS": "gpu:8001,other:1"})
