"""What stands in deploy/, held against the app: settings, commands, probes, labels, metrics, what alerts refer to."""

import json
import re
from collections import Counter
from itertools import combinations

import pytest
import yaml

from app.jobs.celery_app import make_celery
from app.local.command import _parser
from app.services.health.checks import CheckName
from app.settings import read_launch_settings, read_settings
from tests.servers import ROOT

KUBERNETES = ROOT / "deploy/kubernetes"
PROMETHEUS = ROOT / "deploy/prometheus"
NGINX = "nginx.ingress.kubernetes.io"
COMPONENT = "app.kubernetes.io/component"
SECRETS = {"DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "JWT_SECRET_KEY", "METRICS_TOKEN", "ADMIN_PASSWORD"}
# What PostgreSQL leaves to others than its superusers where nobody says how many connections it may have.
FREE_CONNECTIONS = 97
# What the api may take after it has drained: its last requests, and then its processes.
STOP_SECONDS = 20
DECLARED = re.compile(
    r"\b(Counter|Gauge|Histogram|CounterMetricFamily|GaugeMetricFamily)\(\s*[\"'](tasktrackerpro_[a-z_]+)[\"']"
)
NAMED = re.compile(r"\btasktrackerpro_[a-z_]+")
# The labels of a metric stand in one list, behind its name and what it says of itself.
LABELLED = re.compile(
    r"\(\s*[\"'](tasktrackerpro_[a-z_]+)[\"'],\s*(?:\"[^\"]*\"|'[^']*'),\s*(?:labels(?:names)?=)?\[([^\]]*)\]"
)
CHOSEN = re.compile(r"\b(tasktrackerpro_[a-z_]+)\{([^}]*)\}")
GROUPED = re.compile(r"\b(?:by|without|on|ignoring) \(([a-z_, ]*)\)")
REPLICA = "instance"
SET_BY_PROMETHEUS = {"job", REPLICA}


class TestKustomization:
    def test_lists_exactly_the_files_that_stand_beside_it(self, kustomization):
        listed = {*kustomization["resources"], *settings_files(kustomization), "kustomization.yaml", "README.md"}

        assert listed == {path.name for path in KUBERNETES.iterdir()}

    def test_replaces_the_image_that_every_container_names(self, kustomization, workloads):
        images = {container["image"] for workload in workloads.values() for container in containers_of(workload)}

        assert images == {image["name"] for image in kustomization["images"]}


class TestSettings:
    def test_every_variable_is_a_setting(self, given_settings):
        documented = set(
            re.findall(r"^(?:# ?)?([A-Z][A-Z0-9_]*)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE)
        )

        assert given_settings.keys() | told_secrets() <= documented | {"PROMETHEUS_MULTIPROC_DIR"}

    def test_are_ones_that_production_starts_with(self, given_settings, set_environment):
        set_environment(given_settings)

        assert read_settings().environment == "production"
        assert read_launch_settings().port == int(given_settings["PORT"])

    def test_no_secret_stands_in_a_file(self, kustomization, manifests, given_settings):
        assert "secretGenerator" not in kustomization
        assert "Secret" not in {manifest["kind"] for manifest in manifests}
        assert {name for name in given_settings if re.search("PASSWORD|SECRET|TOKEN|_URL$", name)} == set()

    def test_the_readme_tells_of_every_secret(self):
        assert told_secrets() == SECRETS

    def test_containers_take_them_from_what_is_made_or_told(self, kustomization, workloads):
        readme = (KUBERNETES / "README.md").read_text("utf-8")
        made = {generator["name"] for generator in kustomization["configMapGenerator"]}

        for workload in workloads.values():
            for container in containers_of(workload):
                for source in container["envFrom"]:
                    if "configMapRef" in source:
                        assert source["configMapRef"]["name"] in made
                    else:
                        assert f"create secret generic {source['secretRef']['name']} " in readme


class TestWorkloads:
    def test_every_command_is_one_of_the_program(self, workloads):
        for name, workload in workloads.items():
            for container in containers_of(workload):
                python, program, *arguments = container["command"]

                assert (python, program) == ("python", "main.py")
                assert _parser().parse_args(arguments).command == name

    def test_every_container_runs_as_the_images_user_and_writes_to_tmp_alone(self, workloads):
        (uid,) = re.findall(r"--uid (\d+)", (ROOT / "Dockerfile").read_text("utf-8"))

        for workload in workloads.values():
            pod = workload["spec"]["template"]["spec"]
            assert pod["automountServiceAccountToken"] is False
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert pod["securityContext"]["runAsUser"] == int(uid)
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert [volume for volume in pod["volumes"] if "emptyDir" not in volume] == []
            for container in containers_of(workload):
                assert container["securityContext"] == {
                    "readOnlyRootFilesystem": True,
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                }
                assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]  # noqa: S108

    def test_every_container_says_what_it_needs(self, workloads):
        for workload in workloads.values():
            for container in containers_of(workload):
                assert container["resources"]["requests"].keys() == {"cpu", "memory"}
                assert "memory" in container["resources"]["limits"]

    def test_selectors_match_the_labels_of_exactly_one_part(self, manifests, workloads):
        labels = {name: workload["spec"]["template"]["metadata"]["labels"] for name, workload in workloads.items()}

        for manifest in manifests:
            selector = selector_of(manifest)
            if selector and manifest["metadata"]["name"] != "nobody":
                chosen = [name for name, label in labels.items() if selector.items() <= label.items()]
                assert len(chosen) == 1, (manifest["kind"], manifest["metadata"]["name"])
                if manifest["kind"] == "Deployment":
                    assert chosen == [manifest["metadata"]["name"]]

    def test_every_port_that_is_named_is_the_one_that_is_listened_on(self, manifests, workloads, given_settings):
        (api,) = containers_of(workloads["api"])
        exposed = re.findall(r"^EXPOSE (\d+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)

        assert api["ports"] == [{"name": "http", "containerPort": int(given_settings["PORT"])}]
        assert exposed == [given_settings["PORT"]]
        for service in of_kind(manifests, "Service"):
            assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http"]

    def test_probes_of_the_api_ask_routes_that_exist(self, app, workloads):
        (api,) = containers_of(workloads["api"])
        routes = {rule.rule for rule in app.url_map.iter_rules()}

        asked = {kind: api[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}

        assert {get["port"] for get in asked.values()} == {"http"}
        assert {get["path"].partition("?")[0] for get in asked.values()} <= routes
        assert asked["liveness"]["path"] == "/healthz"

    def test_the_api_stays_in_service_without_what_it_can_do_without(self, workloads):
        (api,) = containers_of(workloads["api"])

        path, _, query = api["readinessProbe"]["httpGet"]["path"].partition("?")

        assert path == "/readyz"
        assert set(query.split("&")) == {
            f"exclude={name.value}" for name in set(CheckName) - {CheckName.DATABASE, CheckName.MIGRATIONS}
        }

    def test_probes_of_worker_and_beat_look_at_the_file_that_they_touch(self, workloads, given_settings):
        assert given_settings["ALIVE_FILE"].startswith("/tmp/")  # noqa: S108

        for name in ("worker", "beat"):
            (container,) = containers_of(workloads[name])
            assert '"$ALIVE_FILE"' in container["livenessProbe"]["exec"]["command"][-1]

    def test_nothing_is_killed_before_it_may_be_done(self, workloads, given_settings, set_environment):
        set_environment(given_settings)
        job_seconds = make_celery(read_settings()).conf.task_time_limit

        assert grace_of(workloads["worker"]) > job_seconds
        assert grace_of(workloads["api"]) >= float(given_settings["DRAIN_SECONDS"]) + STOP_SECONDS

    def test_a_rollout_at_the_largest_scale_fits_into_the_connections_of_postgresql(
        self, manifests, workloads, given_settings
    ):
        (autoscaler,) = of_kind(manifests, "HorizontalPodAutoscaler")
        of_api = int(given_settings["API_PROCESSES"]) * int(given_settings["DATABASE_POOL_SIZE"])
        of_worker = int(given_settings["WORKER_PROCESSES"])
        prepare = 1

        most = (
            (autoscaler["spec"]["maxReplicas"] + 1) * of_api
            + (workloads["worker"]["spec"]["replicas"] + 1) * of_worker
            + (workloads["beat"]["spec"]["replicas"] + 1)
            + prepare
        )

        assert most <= FREE_CONNECTIONS
        told = (ROOT / "docs/scaling.md").read_text("utf-8").split()
        assert " ".join(told).count(f" = {most}, of the {FREE_CONNECTIONS} ") == 1

    def test_the_autoscaler_alone_says_how_many_replicas_the_api_has(self, manifests, workloads):
        (autoscaler,) = of_kind(manifests, "HorizontalPodAutoscaler")

        assert autoscaler["spec"]["scaleTargetRef"]["name"] == "api"
        assert autoscaler["spec"]["minReplicas"] >= 2
        assert "replicas" not in workloads["api"]["spec"]
        assert workloads["api"]["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


class TestIngress:
    def test_leads_metrics_to_nobody_and_the_rest_to_the_api(self, manifests, workloads):
        services = {service["metadata"]["name"]: service for service in of_kind(manifests, "Service")}

        led_to = {path["path"]: services[path["backend"]["service"]["name"]] for path in ingress_paths(manifests)}

        assert led_to.keys() == {"/metrics", "/", "/api/v1/imports", "/upload-csv"}
        assert {led_to[path]["spec"]["selector"][COMPONENT] for path in led_to.keys() - {"/metrics"}} == {"api"}
        assert led_to["/metrics"]["spec"]["selector"][COMPONENT] not in workloads

    def test_takes_every_spelling_of_a_path(self, manifests):
        """An Exact /metrics would let /metrics/ through to the api, for which it is the same."""
        assert {path["pathType"] for path in ingress_paths(manifests)} == {"Prefix"}

    def test_lets_the_largest_upload_through(self, manifests, given_settings):
        uploads = ingress_named(manifests, "uploads")

        assert megabytes_of(uploads) * 2**20 > int(given_settings["MAX_UPLOAD_BYTES"])
        assert uploads["metadata"]["annotations"][f"{NGINX}/proxy-request-buffering"] == "off"

    def test_receives_every_other_body_as_a_whole(self, manifests):
        others = ingress_named(manifests, "api")
        default = re.search(r"^MAX_BODY_BYTES=(\d+)$", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE)[1]

        assert megabytes_of(others) * 2**20 > int(default)
        assert others["metadata"]["annotations"][f"{NGINX}/proxy-request-buffering"] == "on"

    def test_streams_the_routes_that_take_a_file_and_no_other(self, manifests, app):
        streamed = {
            path["path"]
            for rule in ingress_named(manifests, "uploads")["spec"]["rules"]
            for path in rule["http"]["paths"]
        }

        assert streamed == {
            rule.rule
            for rule in app.url_map.iter_rules()
            if getattr(app.view_functions[rule.endpoint], "takes_file", False) and "POST" in rule.methods
        }


class TestPrometheus:
    def test_asks_a_service_that_leads_to_every_replica(self, manifests, given_settings):
        (scraped,) = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
        services = {service["metadata"]["name"]: service["spec"] for service in of_kind(manifests, "Service")}

        (discovery,) = scraped["dns_sd_configs"]
        service, namespace, _rest = discovery["names"][0].split(".", 2)

        assert discovery["port"] == int(given_settings["PORT"])
        assert namespace == of_kind(manifests, "Namespace")[0]["metadata"]["name"]
        assert services[service]["clusterIP"] == "None"
        assert services[service]["publishNotReadyAddresses"] is True

    def test_takes_every_label_as_the_app_gives_it(self, labels_of_the_app):
        """One that Prometheus sets itself would come as exported_…, where the rules do not look for it."""
        assert set().union(*labels_of_the_app.values()) & SET_BY_PROMETHEUS == set()


class TestAlerts:
    def test_ask_for_metrics_of_the_app_alone(self, alerts, metrics_of_the_app):
        named = {name for alert in alerts for name in NAMED.findall(alert["expr"])}

        assert named - metrics_of_the_app == set()

    def test_choose_and_group_by_labels_that_there_are(self, alerts, labels_of_the_app):
        assert unknown_labels([alert["expr"] for alert in alerts], labels_of_the_app) == []

    def test_have_names_of_their_own(self, alerts):
        assert [name for name, count in Counter(alert["alert"] for alert in alerts).items() if count > 1] == []

    def test_say_how_bad_it_is_and_where_help_stands(self, alerts):
        for alert in alerts:
            assert alert["labels"] in ({"severity": "critical"}, {"severity": "warning"}), alert["alert"]
            assert alert["annotations"].keys() == {"summary", "description", "runbook"}, alert["alert"]
            assert alert["annotations"]["runbook"] == f"docs/operating.md#{alert['alert'].lower()}"

    def test_each_has_its_heading_in_the_operators_book(self, alerts):
        headings = re.findall(r"^### (\w+)$", (ROOT / "docs/operating.md").read_text("utf-8"), re.MULTILINE)

        assert {alert["alert"] for alert in alerts} - set(headings) == set()

    def test_each_is_seen_to_fire_and_to_be_silent(self, alerts):
        tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text("utf-8"))["tests"]
        cases = [case for test in tests for case in test["alert_rule_test"]]
        names = {alert["alert"] for alert in alerts}

        assert {case["alertname"] for case in cases if case.get("exp_alerts")} == names
        assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == names


class TestDashboard:
    def test_asks_for_metrics_of_the_app_alone(self, panels, metrics_of_the_app):
        named = {name for expression in expressions_of(panels) for name in NAMED.findall(expression)}

        assert named - metrics_of_the_app == set()

    def test_shows_with_the_alerts_all_that_the_app_measures(self, panels, alerts, metrics_of_the_app):
        asked = [*expressions_of(panels), *(alert["expr"] for alert in alerts)]
        named = {base_of(name) for expression in asked for name in NAMED.findall(expression)}

        assert {base_of(name) for name in metrics_of_the_app} - named == set()

    def test_chooses_and_groups_by_labels_that_there_are(self, panels, labels_of_the_app):
        assert unknown_labels(expressions_of(panels), labels_of_the_app) == []

    def test_panels_say_what_they_show_and_in_which_unit(self, panels):
        for panel in panels:
            assert panel["description"], panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
            assert '"unit"' in json.dumps(panel["fieldConfig"]), panel["title"]

    def test_panels_lie_side_by_side(self, dashboard):
        for one, other in combinations(dashboard["panels"], 2):
            assert one["id"] != other["id"]
            assert not overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])
        assert {panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in dashboard["panels"]} == {True}


def of_kind(manifests, kind):
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def containers_of(workload):
    containers = workload["spec"]["template"]["spec"]["containers"]
    assert containers
    return containers


def grace_of(workload):
    return workload["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]


def selector_of(manifest):
    """None for what selects nothing; empty for what selects everything."""
    spec = manifest.get("spec", {})
    if manifest["kind"] == "Service":
        return spec["selector"]
    if manifest["kind"] == "NetworkPolicy":
        return spec["podSelector"].get("matchLabels")
    return spec["selector"]["matchLabels"] if "selector" in spec else None


def ingress_named(manifests, name):
    (ingress,) = [one for one in of_kind(manifests, "Ingress") if one["metadata"]["name"] == name]
    return ingress


def megabytes_of(ingress):
    return int(ingress["metadata"]["annotations"][f"{NGINX}/proxy-body-size"].removesuffix("m"))


def ingress_paths(manifests):
    return [
        path
        for ingress in of_kind(manifests, "Ingress")
        for rule in ingress["spec"]["rules"]
        for path in rule["http"]["paths"]
    ]


def settings_files(kustomization):
    return {file for generator in kustomization["configMapGenerator"] for file in generator["envs"]}


def told_secrets():
    """What the commands of the README put into secrets."""
    return set(re.findall(r"--from-literal=([A-Z_]+)=", (KUBERNETES / "README.md").read_text("utf-8")))


def expressions_of(panels):
    return [target["expr"] for panel in panels for target in panel["targets"]]


def base_of(name):
    return re.sub(r"_(?:total|bucket|sum|count)$", "", name)


def unknown_labels(expressions, labels_of_the_app):
    """What an expression asks of a metric that has no such label, or groups by though no metric in it has it."""
    found = []
    for expression in expressions:
        named = {base_of(name) for name in NAMED.findall(expression)}
        given = {REPLICA}.union(*(labels_of_the_app[name] for name in named))
        if "_bucket" in expression:
            given.add("le")
        grouped = {label for labels in GROUPED.findall(expression) for label in re.findall(r"[a-z_]+", labels)}
        found += [(expression, label) for label in grouped - given]
        for name, matchers in CHOSEN.findall(expression):
            chosen = set(re.findall(r"([a-z_]+)(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', "", matchers)))
            found += [(name, label) for label in chosen - {REPLICA} - labels_of_the_app[base_of(name)]]
    return found


def overlap(one, other):
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def exposed_names(kind, name):
    """As Prometheus knows them: the client adds to the names of counters and histograms."""
    if kind.startswith("Counter"):
        return {name.removesuffix("_total") + "_total"}
    if kind == "Histogram":
        return {f"{name}_{part}" for part in ("bucket", "sum", "count")}
    return {name}


@pytest.fixture
def kustomization():
    return yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text("utf-8"))


@pytest.fixture
def manifests(kustomization):
    return [
        manifest
        for name in kustomization["resources"]
        for manifest in yaml.safe_load_all((KUBERNETES / name).read_text("utf-8"))
    ]


@pytest.fixture
def workloads(manifests):
    found = {item["metadata"]["name"]: item for item in manifests if item["kind"] in {"Deployment", "Job"}}
    assert found.keys() == {"api", "worker", "beat", "prepare"}
    return found


@pytest.fixture
def given_settings(kustomization):
    lines = [
        line
        for name in settings_files(kustomization)
        for line in (KUBERNETES / name).read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def set_environment(monkeypatch):
    """What the manifests give, and secrets as they should be."""

    def set_all(given):
        secrets = {
            "DATABASE_URL": "postgresql://db/tasktracker",
            "REDIS_URL": "redis://cache/0",
            "CELERY_BROKER_URL": "redis://cache/1",
            "JWT_SECRET_KEY": "d41d8cd98f00b204e9800998ecf8427e",
            "METRICS_TOKEN": "e9800998ecf8427ed41d8cd98f00b204",
        }
        for name, value in {**secrets, **given}.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.fixture
def alerts():
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text("utf-8"))["groups"]
    found = [rule for group in groups for rule in group["rules"]]
    assert found
    return found


@pytest.fixture
def dashboard():
    return json.loads((ROOT / "deploy/grafana/tasktrackerpro.json").read_text("utf-8"))


@pytest.fixture
def panels(dashboard):
    found = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert found
    return found


@pytest.fixture
def metrics_of_the_app():
    sources = [path.read_text("utf-8") for path in (ROOT / "app").rglob("*.py")]
    found = {
        exposed for source in sources for declared in DECLARED.findall(source) for exposed in exposed_names(*declared)
    }
    assert found
    return found


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
