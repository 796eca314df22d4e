"""The manifests in deploy/kubernetes, compared with the settings, commands and probes of the app."""

import re

import pytest

from app.jobs.celery_app import make_celery
from app.local.arguments import make_parser
from app.services.health.checks import CheckName
from app.settings import read_launch_settings, read_settings
from tests.guards.deployment.manifests import KUBERNETES, of_kind, settings_files
from tests.servers import ROOT

NGINX = "nginx.ingress.kubernetes.io"
COMPONENT = "app.kubernetes.io/component"
SECRETS = {"DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "JWT_SECRET_KEY", "METRICS_TOKEN", "ADMIN_PASSWORD"}
# PostgreSQL leaves this many connections to ordinary users by default.
FREE_CONNECTIONS = 97
# The api may take this long after its drain to end its last requests and its processes.
STOP_SECONDS = 20


class TestKustomization:
    def test_lists_exactly_the_files_beside_it(self, kustomization):
        listed = {*kustomization["resources"], *settings_files(kustomization), "kustomization.yaml", "README.md"}

        assert listed == {path.name for path in KUBERNETES.iterdir()}

    def test_replaces_the_image_that_every_container_names(self, kustomization, workloads):
        images = {container["image"] for workload in workloads.values() for container in containers_of(workload)}

        assert images == {image["name"] for image in kustomization["images"]}


class TestSettings:
    def test_every_variable_is_a_setting(self, manifest_settings):
        documented = set(
            re.findall(r"^(?:# ?)?([A-Z][A-Z0-9_]*)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE)
        )

        assert manifest_settings.keys() | documented_secrets() <= documented | {"PROMETHEUS_MULTIPROC_DIR"}

    def test_production_starts_with_them(self, manifest_settings, set_environment):
        set_environment(manifest_settings)

        assert read_settings().environment == "production"
        assert read_launch_settings().port == int(manifest_settings["PORT"])

    def test_no_file_contains_a_secret(self, kustomization, manifests, manifest_settings):
        assert "secretGenerator" not in kustomization
        assert "Secret" not in {manifest["kind"] for manifest in manifests}
        assert {name for name in manifest_settings if re.search("PASSWORD|SECRET|TOKEN|_URL$", name)} == set()

    def test_the_readme_names_every_secret(self):
        assert documented_secrets() == SECRETS

    def test_containers_take_them_from_generated_settings_and_documented_secrets(self, kustomization, workloads):
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
    def test_every_command_exists_in_the_program(self, workloads):
        for name, workload in workloads.items():
            for container in containers_of(workload):
                python, program, *arguments = container["command"]

                assert (python, program) == ("python", "main.py")
                assert make_parser().parse_args(arguments).command == name

    def test_every_container_runs_as_the_images_user_and_writes_only_to_tmp(self, workloads):
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

    def test_every_container_states_its_resources(self, workloads):
        for workload in workloads.values():
            for container in containers_of(workload):
                assert container["resources"]["requests"].keys() == {"cpu", "memory"}
                assert "memory" in container["resources"]["limits"]

    def test_selectors_match_the_labels_of_exactly_one_workload(self, manifests, workloads):
        labels = {name: workload["spec"]["template"]["metadata"]["labels"] for name, workload in workloads.items()}

        for manifest in manifests:
            selector = selector_of(manifest)
            if selector and manifest["metadata"]["name"] != "nobody":
                chosen = [name for name, label in labels.items() if selector.items() <= label.items()]
                assert len(chosen) == 1, (manifest["kind"], manifest["metadata"]["name"])
                if manifest["kind"] == "Deployment":
                    assert chosen == [manifest["metadata"]["name"]]

    def test_every_named_port_is_listened_on(self, manifests, workloads, manifest_settings):
        (api,) = containers_of(workloads["api"])
        exposed = re.findall(r"^EXPOSE (\d+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)

        assert api["ports"] == [{"name": "http", "containerPort": int(manifest_settings["PORT"])}]
        assert exposed == [manifest_settings["PORT"]]
        for service in of_kind(manifests, "Service"):
            assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http"]

    def test_probes_of_the_api_ask_routes_that_exist(self, app, workloads):
        (api,) = containers_of(workloads["api"])
        routes = {rule.rule for rule in app.url_map.iter_rules()}

        probes = {kind: api[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}

        assert {get["port"] for get in probes.values()} == {"http"}
        assert {get["path"].partition("?")[0] for get in probes.values()} <= routes
        assert probes["liveness"]["path"] == "/healthz"

    def test_the_api_stays_ready_without_the_processes_that_it_does_not_need(self, workloads):
        (api,) = containers_of(workloads["api"])

        path, _, query = api["readinessProbe"]["httpGet"]["path"].partition("?")

        assert path == "/readyz"
        assert set(query.split("&")) == {
            f"exclude={name.value}" for name in set(CheckName) - {CheckName.DATABASE, CheckName.MIGRATIONS}
        }

    def test_probes_of_worker_and_beat_check_the_file_that_they_touch(self, workloads, manifest_settings):
        assert manifest_settings["ALIVE_FILE"].startswith("/tmp/")  # noqa: S108

        for name in ("worker", "beat"):
            (container,) = containers_of(workloads[name])
            assert '"$ALIVE_FILE"' in container["livenessProbe"]["exec"]["command"][-1]

    def test_no_process_is_killed_before_its_time_to_stop_is_over(self, workloads, manifest_settings, set_environment):
        set_environment(manifest_settings)
        job_seconds = make_celery(read_settings()).conf.task_time_limit

        assert grace_of(workloads["worker"]) > job_seconds
        assert grace_of(workloads["api"]) >= float(manifest_settings["DRAIN_SECONDS"]) + STOP_SECONDS

    def test_a_rollout_at_the_largest_scale_fits_into_the_connections_of_postgresql(
        self, manifests, workloads, manifest_settings
    ):
        (autoscaler,) = of_kind(manifests, "HorizontalPodAutoscaler")
        of_api = int(manifest_settings["API_PROCESSES"]) * int(manifest_settings["DATABASE_POOL_SIZE"])
        of_worker = int(manifest_settings["WORKER_PROCESSES"])
        prepare = 1

        most = (
            (autoscaler["spec"]["maxReplicas"] + 1) * of_api
            + (workloads["worker"]["spec"]["replicas"] + 1) * of_worker
            + (workloads["beat"]["spec"]["replicas"] + 1)
            + prepare
        )

        assert most <= FREE_CONNECTIONS
        words = (ROOT / "docs/scaling.md").read_text("utf-8").split()
        assert " ".join(words).count(f" = {most}, of the {FREE_CONNECTIONS} ") == 1

    def test_only_the_autoscaler_decides_how_many_replicas_the_api_has(self, manifests, workloads):
        (autoscaler,) = of_kind(manifests, "HorizontalPodAutoscaler")

        assert autoscaler["spec"]["scaleTargetRef"]["name"] == "api"
        assert autoscaler["spec"]["minReplicas"] >= 2
        assert "replicas" not in workloads["api"]["spec"]
        assert workloads["api"]["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


class TestIngress:
    def test_blocks_metrics_and_sends_the_rest_to_the_api(self, manifests, workloads):
        services = {service["metadata"]["name"]: service for service in of_kind(manifests, "Service")}

        backends = {path["path"]: services[path["backend"]["service"]["name"]] for path in ingress_paths(manifests)}

        assert backends.keys() == {"/metrics", "/", "/api/v1/imports", "/api/v1/imports/comments", "/upload-csv"}
        assert {backends[path]["spec"]["selector"][COMPONENT] for path in backends.keys() - {"/metrics"}} == {"api"}
        assert backends["/metrics"]["spec"]["selector"][COMPONENT] not in workloads

    def test_matches_every_spelling_of_a_path(self, manifests):
        """An Exact /metrics would let /metrics/ through to the api, which treats both as the same."""
        assert {path["pathType"] for path in ingress_paths(manifests)} == {"Prefix"}

    def test_lets_the_largest_upload_through(self, manifests, manifest_settings):
        uploads = ingress_named(manifests, "uploads")

        assert megabytes_of(uploads) * 2**20 > int(manifest_settings["MAX_UPLOAD_BYTES"])
        assert uploads["metadata"]["annotations"][f"{NGINX}/proxy-request-buffering"] == "off"

    def test_buffers_every_other_body(self, manifests):
        others = ingress_named(manifests, "api")
        default = re.search(r"^MAX_BODY_BYTES=(\d+)$", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE)[1]

        assert megabytes_of(others) * 2**20 > int(default)
        assert others["metadata"]["annotations"][f"{NGINX}/proxy-request-buffering"] == "on"

    def test_streams_only_the_routes_that_accept_a_file(self, manifests, app):
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


def containers_of(workload):
    containers = workload["spec"]["template"]["spec"]["containers"]
    assert containers
    return containers


def grace_of(workload):
    return workload["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]


def selector_of(manifest):
    """Return None if it selects nothing; an empty selector selects everything."""
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


def documented_secrets():
    """List the settings that the commands of the README put into secrets."""
    return set(re.findall(r"--from-literal=([A-Z_]+)=", (KUBERNETES / "README.md").read_text("utf-8")))


@pytest.fixture
def workloads(manifests):
    workloads = {item["metadata"]["name"]: item for item in manifests if item["kind"] in {"Deployment", "Job"}}
    assert workloads.keys() == {"api", "worker", "beat", "prepare"}
    return workloads


@pytest.fixture
def set_environment(monkeypatch):
    """Set the environment that the manifests describe, with valid secrets."""

    def set_all(settings):
        secrets = {
            "DATABASE_URL": "postgresql://db/tasktracker",
            "REDIS_URL": "redis://cache/0",
            "CELERY_BROKER_URL": "redis://cache/1",
            "JWT_SECRET_KEY": "d41d8cd98f00b204e9800998ecf8427e",
            "METRICS_TOKEN": "e9800998ecf8427ed41d8cd98f00b204",
        }
        for name, value in {**secrets, **settings}.items():
            monkeypatch.setenv(name, value)

    return set_all
