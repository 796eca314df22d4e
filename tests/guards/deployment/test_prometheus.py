"""The alerts and the dashboard in deploy/prometheus, compared with the metrics of the app."""

import json
import re
from collections import Counter
from itertools import combinations

import pytest
import yaml

from tests.guards.deployment.manifests import of_kind
from tests.servers import ROOT

PROMETHEUS = ROOT / "deploy/prometheus"
DECLARED = re.compile(
    r"\b(Counter|Gauge|Histogram|CounterMetricFamily|GaugeMetricFamily)\(\s*[\"'](tasktrackerpro_[a-z_]+)[\"']"
)
NAMED = re.compile(r"\btasktrackerpro_[a-z_]+")
# The labels of a metric are one list after its name and its description.
LABELLED = re.compile(
    r"\(\s*[\"'](tasktrackerpro_[a-z_]+)[\"'],\s*(?:\"[^\"]*\"|'[^']*'),\s*(?:labels(?:names)?=)?\[([^\]]*)\]"
)
CHOSEN = re.compile(r"\b(tasktrackerpro_[a-z_]+)\{([^}]*)\}")
GROUPED = re.compile(r"\b(?:by|without|on|ignoring) \(([a-z_, ]*)\)")
REPLICA = "instance"
SET_BY_PROMETHEUS = {"job", REPLICA}


class TestPrometheus:
    def test_scrapes_a_service_that_leads_to_every_replica(self, manifests, manifest_settings):
        (scraped,) = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
        services = {service["metadata"]["name"]: service["spec"] for service in of_kind(manifests, "Service")}

        (discovery,) = scraped["dns_sd_configs"]
        service, namespace, _rest = discovery["names"][0].split(".", 2)

        assert discovery["port"] == int(manifest_settings["PORT"])
        assert namespace == of_kind(manifests, "Namespace")[0]["metadata"]["name"]
        assert services[service]["clusterIP"] == "None"
        assert services[service]["publishNotReadyAddresses"] is True

    def test_keeps_every_label_of_the_app(self, labels_of_the_app):
        """Prometheus renames a label that it sets itself to exported_…, which the rules do not look for."""
        assert set().union(*labels_of_the_app.values()) & SET_BY_PROMETHEUS == set()


class TestAlerts:
    def test_use_only_metrics_of_the_app(self, alerts, metrics_of_the_app):
        named = {name for alert in alerts for name in NAMED.findall(alert["expr"])}

        assert named - metrics_of_the_app == set()

    def test_select_and_group_by_existing_labels(self, alerts, labels_of_the_app):
        assert unknown_labels([alert["expr"] for alert in alerts], labels_of_the_app) == []

    def test_have_unique_names(self, alerts):
        assert [name for name, count in Counter(alert["alert"] for alert in alerts).items() if count > 1] == []

    def test_have_a_severity_and_a_link_to_help(self, alerts):
        for alert in alerts:
            assert alert["labels"] in ({"severity": "critical"}, {"severity": "warning"}), alert["alert"]
            assert alert["annotations"].keys() == {"summary", "description", "runbook"}, alert["alert"]
            assert alert["annotations"]["runbook"] == f"docs/operating.md#{alert['alert'].lower()}"

    def test_have_a_heading_each_in_the_manual_for_operators(self, alerts):
        headings = re.findall(r"^### (\w+)$", (ROOT / "docs/operating.md").read_text("utf-8"), re.MULTILINE)

        assert {alert["alert"] for alert in alerts} - set(headings) == set()

    def test_have_a_case_each_in_which_they_fire_and_one_in_which_they_are_silent(self, alerts):
        tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text("utf-8"))["tests"]
        cases = [case for test in tests for case in test["alert_rule_test"]]
        names = {alert["alert"] for alert in alerts}

        assert {case["alertname"] for case in cases if case.get("exp_alerts")} == names
        assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == names


class TestDashboard:
    def test_uses_only_metrics_of_the_app(self, panels, metrics_of_the_app):
        named = {name for expression in expressions_of(panels) for name in NAMED.findall(expression)}

        assert named - metrics_of_the_app == set()

    def test_the_dashboard_and_the_alerts_use_every_metric(self, panels, alerts, metrics_of_the_app):
        expressions = [*expressions_of(panels), *(alert["expr"] for alert in alerts)]
        named = {base_of(name) for expression in expressions for name in NAMED.findall(expression)}

        assert {base_of(name) for name in metrics_of_the_app} - named == set()

    def test_selects_and_groups_by_existing_labels(self, panels, labels_of_the_app):
        assert unknown_labels(expressions_of(panels), labels_of_the_app) == []

    def test_panels_have_a_description_and_a_unit(self, panels):
        for panel in panels:
            assert panel["description"], panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
            assert '"unit"' in json.dumps(panel["fieldConfig"]), panel["title"]

    def test_panels_do_not_overlap(self, dashboard):
        for one, other in combinations(dashboard["panels"], 2):
            assert one["id"] != other["id"]
            assert not overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])
        assert {panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in dashboard["panels"]} == {True}


def expressions_of(panels):
    return [target["expr"] for panel in panels for target in panel["targets"]]


def base_of(name):
    return re.sub(r"_(?:total|bucket|sum|count)$", "", name)


def unknown_labels(expressions, labels_of_the_app):
    """List the labels that an expression selects or groups by and that its metrics do not have."""
    unknown = []
    for expression in expressions:
        named = {base_of(name) for name in NAMED.findall(expression)}
        known_labels = {REPLICA}.union(*(labels_of_the_app[name] for name in named))
        if "_bucket" in expression:
            known_labels.add("le")
        grouped = {label for labels in GROUPED.findall(expression) for label in re.findall(r"[a-z_]+", labels)}
        unknown += [(expression, label) for label in grouped - known_labels]
        for name, matchers in CHOSEN.findall(expression):
            chosen = set(re.findall(r"([a-z_]+)(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', "", matchers)))
            unknown += [(name, label) for label in chosen - {REPLICA} - labels_of_the_app[base_of(name)]]
    return unknown


def overlap(one, other):
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def exposed_names(kind, name):
    """List the names under which Prometheus stores a metric; the client adds suffixes to counters and histograms."""
    if kind.startswith("Counter"):
        return {name.removesuffix("_total") + "_total"}
    if kind == "Histogram":
        return {f"{name}_{part}" for part in ("bucket", "sum", "count")}
    return {name}


@pytest.fixture
def alerts():
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text("utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules
    return rules


@pytest.fixture
def dashboard():
    return json.loads((ROOT / "deploy/grafana/tasktrackerpro.json").read_text("utf-8"))


@pytest.fixture
def panels(dashboard):
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert panels
    return panels


@pytest.fixture
def metrics_of_the_app():
    sources = [path.read_text("utf-8") for path in (ROOT / "app").rglob("*.py")]
    metrics = {
        exposed for source in sources for declared in DECLARED.findall(source) for exposed in exposed_names(*declared)
    }
    assert metrics
    return metrics


@pytest.fixture
def labels_of_the_app(metrics_of_the_app):
    sources = [path.read_text("utf-8") for path in (ROOT / "app").rglob("*.py")]
    listed = {
        base_of(name): set(re.findall(r"[\"']([a-z_]+)[\"']", labels))
        for source in sources
        for name, labels in LABELLED.findall(source)
    }
    assert {"tasktrackerpro_http_requests", "tasktrackerpro_jobs", "tasktrackerpro_up"} <= listed.keys()
    return {base_of(name): set() for name in metrics_of_the_app} | listed
