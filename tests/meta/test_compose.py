"""docker-compose.yml and Dockerfile fit the code: settings, paths, modules, ports, Triton's options. No engine runs."""

import importlib.util
import re
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from conch.cli import COMMANDS
from control_plane.settings import Settings, load_settings
from serving.triton.distribution import Distribution
from serving.triton.server import ServerOptions, server_command
from tests.meta.source_tree import PACKAGES, ROOT, imported_modules, modules

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SERVICES = COMPOSE["services"]
ONCE = {name for name, service in SERVICES.items() if service["restart"].startswith("on-failure")}
LONG_RUNNING = sorted(set(SERVICES) - ONCE)
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("conch:")}
SETTINGS = {item.metadata["variable"] for item in fields(Settings)}
VARIABLES = {variable for service in OURS.values() for variable in service["environment"]}
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(:[?-])?([^}]*)\}")
BACKENDS = ("text_encoder", "text_generator")
PART_OF_TRITON = {"triton_python_backend_utils"}


def fill_in(text: str) -> str:
    """Put values where compose would: the defaults, and a word for what must be given."""
    return VARIABLE.sub(lambda match: match.group(3) if match.group(2) == ":-" else "given", text).replace("$$", "$")


def mounts(name: str) -> list[list[str]]:
    """Return source, target and mode of what a service mounts."""
    return [mount.split(":") for mount in SERVICES[name].get("volumes", [])]


def test_the_platform_and_all_that_it_needs_is_there():
    needed = {"triton", "control-plane", "controller", "mysql", "redis", "prometheus", "grafana"}
    assert {name for name in LONG_RUNNING if "profiles" not in SERVICES[name]} == needed
    assert [name for name in SERVICES if "profiles" in SERVICES[name]] == ["triton-gpu"]
    assert {"schema", "export", "preload", "prometheus-key"} == ONCE


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_to_a_full_version(name):
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+(-[a-z]+)?", SERVICES[name]["image"])


def test_base_images_are_pinned_and_every_target_exists():
    bases = re.findall(r"^FROM (\S+) AS (\w+)$", DOCKERFILE, flags=re.MULTILINE)
    assert len(bases) == len(re.findall("^FROM ", DOCKERFILE, flags=re.MULTILINE))
    assert all(re.search(r":\d+\.\d+(\.\d+)?-[\w-]+$", image) for image, _ in bases)
    built = {service["build"]["target"] for service in SERVICES.values() if "build" in service}
    assert built == {target for _, target in bases}


def test_the_images_of_ours_have_the_version_of_the_package():
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE).group(1)
    assert {service["image"].partition(":")[2] for service in SERVICES.values() if "build" in service} == {version}


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_what_runs_on_is_checked_and_started_again(name):
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries"} <= set(SERVICES[name]["healthcheck"])
    volumes = {source for source, *_ in mounts(name) if not source.startswith(".")}
    assert volumes
    assert volumes <= set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_the_loopback_address_only(name):
    assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port) for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_services_wait_for_services_that_say_when_they_are_done(name):
    for other, on in SERVICES[name].get("depends_on", {}).items():
        done = "service_completed_successfully" if other in ONCE else "service_healthy"
        assert on == {"condition": done}, other


@pytest.mark.parametrize("name", OURS)
def test_every_variable_of_ours_is_a_setting_that_takes_its_value(name):
    values = {variable: fill_in(value) for variable, value in OURS[name]["environment"].items()}
    assert set(values) <= SETTINGS
    settings = load_settings(values)
    assert settings.triton_urls == ("triton:8001",)
    assert settings.database_address.startswith("mysql+pymysql://")
    for url in (settings.queue_url, settings.rate_limit_storage):
        assert url.startswith("redis://")
    mounted = [target for _, target, *_ in mounts(name)]
    assert str(settings.home) in mounted
    assert name == "prometheus-key" or str(settings.model_repository) in mounted


def test_every_address_in_a_variable_is_a_service():
    addresses = [value for service in OURS.values() for value in service["environment"].values()]
    hosts = {host for value in addresses for host in re.findall(r"(?:@|^)([a-z-]+):\d+", fill_in(value))}
    assert hosts == {"triton", "mysql", "redis"}


def test_secrets_are_asked_for_and_the_documented_command_makes_all_of_them():
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    asked = {match.group(1): match.group(2) for match in VARIABLE.finditer(text)}
    required = {name for name, how in asked.items() if how == ":?"}
    assert all(how in (":?", ":-") for how in asked.values())
    assert {name for name in asked if re.search("PASSWORD|SECRET|KEY", name)} == required
    section = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").partition("## Containers")[2]
    made = re.search(r"for name in ([A-Z_ ]+); do", section).group(1).split()
    assert set(made) == required
    assert ".env" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()


@pytest.mark.parametrize("name", SERVICES)
def test_mounted_paths_are_in_the_repository_and_read_only(name):
    for source, target, *mode in mounts(name):
        if source.startswith("."):
            assert (ROOT / source).exists(), source
            assert mode == ["ro"], target


def test_triton_reads_the_models_and_cannot_write_them():
    assert ["models", "/models", "ro"] in mounts("triton")
    assert ["models", "/models", "ro"] in mounts("control-plane")


def test_the_triton_for_gpus_runs_the_same_command_with_nvidias_vllm_backend_and_reserves_the_gpus():
    service = SERVICES["triton-gpu"]
    assert service["profiles"] == ["gpu"]
    assert service["command"] == SERVICES["triton"]["command"]
    assert mounts("triton-gpu") == [["models", "/models", "ro"]]
    assert re.search(rf"^FROM \S+-vllm-python-py3 AS {service['build']['target']}$", DOCKERFILE, flags=re.MULTILINE)
    [device] = service["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_the_triton_for_gpus_is_reached_with_the_variables_that_are_documented():
    section = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").partition("### GPU")[2]
    given = dict(re.findall(r'^echo "(\w+)=(\S+)" >> \.env$', section, flags=re.MULTILINE))
    assert given.keys() <= set(VARIABLES)
    settings = load_settings(given)
    assert set(settings.vllm_tritons) == {"triton-gpu:8001"}
    assert {url.partition(":")[0] for url in settings.triton_urls} <= set(SERVICES)


def test_triton_gets_the_options_that_conch_serve_gives_it():
    options = ServerOptions(model_repository=Path("/models"), backend_dir=Path("/opt/tritonserver/backends"),
                            host="0.0.0.0", http_port=8000, grpc_port=8001, metrics_port=8002, secret="given")  # noqa: S104
    distribution = Distribution(Path("tritonserver"), Path(), Path(), ())
    assert [fill_in(word) for word in SERVICES["triton"]["command"]] == server_command(distribution, options)
    for name in BACKENDS:
        source = f"./serving/backends/{name}/model.py"
        assert [source, f"/opt/tritonserver/backends/{name}/model.py", "ro"] in mounts("triton")


def test_triton_has_every_package_that_the_backends_import():
    trees = {module.name: module.tree for module in modules(*PACKAGES)}
    reached, waiting = set(), [f"serving.backends.{name}.model" for name in BACKENDS]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += imported_modules(trees[name], set(trees)) if name in trees else ()
    packages = {name.partition(".")[0] for name in reached}
    mounted = {Path(target).name for source, target, *_ in mounts("triton") if target.startswith("/opt/conch/")}
    assert packages & set(PACKAGES) == mounted
    line = re.search(r"pip install .* -c /opt/conch/constraints.txt (.*)$", DOCKERFILE, flags=re.MULTILINE).group(1)
    installed = set(re.findall(r"[a-z]\w+", line))
    foreign = packages - set(PACKAGES) - sys.stdlib_module_names - PART_OF_TRITON
    assert foreign <= installed
    assert {"onnxruntime", "openvino"} <= installed  # The backend imports the one that a version asks for.


@pytest.mark.parametrize("name", OURS)
def test_commands_name_modules_and_subcommands_that_exist(name):
    words = [fill_in(word) for word in OURS[name]["command"]]
    named = [words[index + 1] for index, word in enumerate(words) if word == "-m"]
    named += [part for word in words for part in re.findall(r"(?:python:|^)(conch\.\w+)(?::|$)", word)]
    assert named or re.search(rf"\bconch ({'|'.join(COMMANDS)})\b", " ".join(words))
    for module in named:
        assert importlib.util.find_spec(module), module


def test_the_docker_build_sees_what_it_copies_and_nothing_else():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert lines[0] == "**"
    seen = {line[1:] for line in lines if line.startswith("!")}
    copied = " ".join(re.findall(r"^COPY (.*) \S+$", DOCKERFILE, flags=re.MULTILINE))
    assert set(copied.split()) == seen
    assert all((ROOT / path).exists() for path in seen)


def test_prometheus_scrapes_the_services_with_the_key_that_is_made_for_it():
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "compose.yml").read_text(encoding="utf-8"))
    plain = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert set(jobs) == {job["job_name"] for job in plain["scrape_configs"]}
    targets = [target for job in jobs.values() for static in job["static_configs"] for target in static["targets"]]
    for service, port in (target.split(":") for target in targets):
        assert f"127.0.0.1:{port}:{port}" in SERVICES[service]["ports"]
    folder = "/etc/prometheus/" + jobs["conch"]["authorization"]["credentials_file"].rpartition("/")[0]
    assert ["keys", folder, "ro"] in mounts("prometheus")
    assert ["keys", "/keys"] in mounts("prometheus-key")
    assert {f"/etc/prometheus/{file}" for file in config["rule_files"]} <= {mount[1] for mount in mounts("prometheus")}


def test_grafana_asks_the_prometheus_beside_it():
    folder = ROOT / "deploy" / "grafana"
    here, plain = (yaml.safe_load((folder / path).read_text(encoding="utf-8"))["datasources"][0]
                   for path in ("compose/prometheus.yml", "provisioning/datasources/prometheus.yml"))
    assert here == {**plain, "url": "http://prometheus:9090"}
