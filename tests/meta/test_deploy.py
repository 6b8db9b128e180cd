"""The dashboard, the alerts and the documentation name metrics and labels that exist, and every metric is shown."""

import json
import re
from types import SimpleNamespace
from typing import ClassVar

import pytest
import yaml

from control_plane.observability.metrics import STATE_METRICS, Metrics
from serving.backends.text_encoder.batch_metrics import BatchMetrics
from serving.backends.text_generator.generation_metrics import GenerationMetrics
from tests.meta.source_tree import ROOT
from tests.triton_metrics import TRITON_METRICS

DEPLOY = ROOT / "deploy"
HISTOGRAMS = ("conch_request_duration_seconds", "conch_generator_first_token_seconds",
              "conch_generator_inter_token_seconds")
GIVEN_BY_PROMETHEUS = {"up"}                       # Prometheus: "Jobs and instances"
LABELS_OF_PROMETHEUS = {"instance", "job", "le"}   # the first two of every series, the last of every bucket
# Neither metric nor function: set and vector matching operators, and modifiers of aggregations.
WORDS = {"and", "or", "unless", "on", "by", "without", "ignoring"}


class RecordedFamily:
    """One family of Triton's metrics API, noting its name and labels."""

    COUNTER, GAUGE = "counter", "gauge"
    made: ClassVar[list["RecordedFamily"]] = []

    def __init__(self, name: str, description: str, kind: str) -> None:
        self.name, self.labels = name, set()
        self.made.append(self)

    def Metric(self, labels: dict[str, str]) -> SimpleNamespace:
        self.labels = set(labels)
        return SimpleNamespace(set=lambda value: None)


def control_plane_metrics() -> dict[str, set[str]]:
    """Return the labels of each name that the control plane exports."""
    metrics = Metrics()
    metrics.of_model("fast")
    metrics.errors.labels("fast", "internal")
    metrics.responses.labels("/health", "200")
    families = list(metrics.registry.collect())
    assert all(family.samples for family in families), "give the new metric labels here"
    recorded = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    return recorded | {name: set(labels) for name, (_, labels) in STATE_METRICS.items()}


def backend_metrics() -> dict[str, set[str]]:
    """Return the labels of each name that the backends add to Triton's."""
    triton = SimpleNamespace(MetricFamily=RecordedFamily)
    BatchMetrics(triton, "fast", "1")
    GenerationMetrics(triton, "smollm2", "1", slots=8)
    return {family.name: family.labels for family in RecordedFamily.made}


def exported() -> set[str]:
    """Return every name that may be asked for."""
    return set(control_plane_metrics()) | set(backend_metrics()) | TRITON_METRICS | GIVEN_BY_PROMETHEUS


def dashboard() -> dict:
    return json.loads((DEPLOY / "grafana" / "dashboards" / "conch.json").read_text(encoding="utf-8"))


def alerts() -> list[dict]:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in rules["groups"] for rule in group["rules"]]


def expressions() -> list[str]:
    """Return every PromQL expression of the dashboard and the alerts."""
    shown = [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])]
    return [*shown, *(rule["expr"] for rule in alerts())]


def names_in(expression: str) -> set[str]:
    """Return the metrics in a PromQL expression: what is left without matchers, ranges, label lists and functions."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|on|without|ignoring)\s*\([^)]*\)", " ", expression)
    return set(re.findall(r"\b[a-zA-Z_][\w]*\b(?!\s*\()", bare)) - WORDS


def labels_in(expression: str) -> set[str]:
    """Return the labels that an expression matches or groups by."""
    matched = re.findall(r"(\w+)\s*(?:=|!)", " ".join(re.findall(r"\{[^}]*\}", expression)))
    grouped = re.findall(r"\w+", " ".join(re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression)))
    return {*matched, *grouped}


@pytest.mark.parametrize(("expression", "names", "labels"), [
    ("up", {"up"}, set()),
    ('sum by (a) (rate(x_total{b="1", c=~"d|e"}[5m])) / y > 0.5', {"x_total", "y"}, {"a", "b", "c"}),
    ("max by (m) (p) == 1 unless on (m) q", {"p", "q"}, {"m"}),
])
def test_the_reader_finds_metrics_and_labels(expression, names, labels):
    assert names_in(expression) == names
    assert labels_in(expression) == labels


@pytest.mark.parametrize("expression", expressions())
def test_every_expression_asks_for_metrics_that_exist(expression):
    assert names_in(expression)
    assert names_in(expression) <= exported()


@pytest.mark.parametrize("expression", [item for item in expressions() if not names_in(item) & TRITON_METRICS])
def test_every_expression_uses_labels_that_its_metrics_have(expression):
    known = control_plane_metrics() | backend_metrics()
    has = {label for name in names_in(expression) for label in known.get(name, ())}
    assert labels_in(expression) <= has | LABELS_OF_PROMETHEUS


def test_every_metric_of_the_control_plane_and_the_backend_is_shown():
    shown = {name for expression in expressions() for name in names_in(expression)}
    assert set(control_plane_metrics()) | set(backend_metrics()) <= shown


def test_every_metric_is_documented_and_no_other():
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(conch_\w+)` \|", page, flags=re.MULTILINE))
    names = set(control_plane_metrics()) | set(backend_metrics())
    histogram_of = {name: histogram for name in names for histogram in HISTOGRAMS if name.startswith(histogram)}
    assert documented == {histogram_of.get(name, name) for name in names}


def test_the_variable_of_the_dashboard_reads_a_metric_that_exists():
    query = dashboard()["templating"]["list"][0]["query"]["query"]
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", query).groups()
    assert label in control_plane_metrics()[metric]


def test_panels_have_names_and_places_of_their_own():
    panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
    assert len({panel["title"] for panel in panels}) == len(panels)
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)


def test_every_alert_says_what_is_wrong_and_what_to_do():
    assert len({rule["alert"] for rule in alerts()}) == len(alerts())
    for rule in alerts():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "action"}


def test_prometheus_scrapes_the_control_plane_with_a_key_and_triton_beside_it():
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert set(jobs) == {"conch", "triton"}
    assert jobs["conch"]["authorization"]["type"] == "Bearer"
    assert (DEPLOY / "prometheus" / config["rule_files"][0]).exists()
    asked = {name for rule in alerts() for name in re.findall(r'job=~?"([\w|]+)"', rule["expr"])}
    assert {job for names in asked for job in names.split("|")} <= set(jobs)


def test_the_dashboard_uses_the_data_source_that_is_provisioned():
    sources = yaml.safe_load((DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text())
    used = {panel["datasource"]["uid"] for panel in dashboard()["panels"] if "datasource" in panel}
    assert used == {source["uid"] for source in sources["datasources"]}
