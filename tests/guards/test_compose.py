"""docker-compose.yml and the Dockerfile, compared with the app: settings, commands, ports and privileges."""

import json
import re
from fnmatch import fnmatch
from pathlib import PurePosixPath

import pytest
import yaml

from app.jobs.celery_app import make_celery
from app.local.arguments import make_parser
from app.settings import read_settings
from tests.servers import ROOT

OURS = {"migrate": "prepare", "api": "api", "worker": "worker", "beat": "beat"}
# The variables that each foreign image reads; docker-compose.yml may set any of them.
READ_BY_IMAGES = {
    "postgres": {"POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB", "POSTGRES_INITDB_ARGS", "PGDATA"},
    "valkey/valkey": {"VALKEY_EXTRA_FLAGS"},
    "rabbitmq": {"RABBITMQ_DEFAULT_USER", "RABBITMQ_DEFAULT_PASS", "RABBITMQ_DEFAULT_VHOST"},
    "caddy": {"XDG_DATA_HOME", "XDG_CONFIG_HOME"},
}
READ_BY_OUR_IMAGE = {"PATH", "PYTHONUNBUFFERED"}
# Look up another word in compose_spec.json of docker-compose 1.29 before you add it here.
KEYS_OF_FILE = {"services", "networks", "volumes"}
KEYS_OF_SERVICE = {
    "build",
    "cap_drop",
    "command",
    "depends_on",
    "entrypoint",
    "env_file",
    "environment",
    "healthcheck",
    "hostname",
    "image",
    "init",
    "logging",
    "networks",
    "ports",
    "profiles",
    "pull_policy",
    "read_only",
    "restart",
    "security_opt",
    "shm_size",
    "stop_grace_period",
    "tmpfs",
    "volumes",
}
KEYS_OF_HEALTHCHECK = {"test", "interval", "timeout", "retries", "start_period", "disable"}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
# ${NAME}, ${NAME:-instead} and ${NAME:?problem}; $$ is a dollar.
INTERPOLATED = re.compile(r"\$\$|\$\{[A-Z][A-Z0-9_]*(?::[-?][^{}$]*)?\}")
PINNED = re.compile(r"[a-z0-9/]+:\d+(\.\d+)*(-[a-z]+)?")
INSTALLERS = re.compile(r"\b(pip3?|uv|apt|apt-get|apk|npm|curl|wget)\b")
# The api may take this long after its drain to end its last requests and its processes.
STOP_SECONDS = 20


class TestEnvironment:
    def test_of_our_services_contains_only_settings(self, services, documented):
        for name in OURS:
            assert services[name]["environment"].keys() <= documented, name

    def test_of_other_services_contains_only_variables_that_their_images_read(self, services, documented):
        asked_by_caddy = re.findall(r"\{\$([A-Z_]+)[:}]", (ROOT / "deploy/caddy/Caddyfile").read_text("utf-8"))
        read = READ_BY_IMAGES | {"caddy": READ_BY_IMAGES["caddy"] | (set(asked_by_caddy) & documented)}

        for name, service in services.items():
            if name not in OURS:
                image = service["image"].partition(":")[0]
                assert service.get("environment", {}).keys() <= read[image], name
                assert "env_file" not in service, name

    def test_of_the_image_contains_only_settings(self, final_stage, documented):
        names = {name for rest in final_stage["ENV"] for name in re.findall(r"(\w+)=\S+", rest)}

        assert names >= {"PATH", "HOST"}
        assert names <= documented | READ_BY_OUR_IMAGE

    def test_the_admins_password_reaches_only_migrate(self, services):
        """All of our services read .env, so the variable has to be emptied for the others."""
        assert services["migrate"]["environment"]["ADMIN_PASSWORD"].startswith("${ADMIN_PASSWORD:?")
        for name in OURS.keys() - {"migrate"}:
            assert services[name]["env_file"] == ".env"
            assert services[name]["environment"]["ADMIN_PASSWORD"] == "", name
        others = [service for name, service in services.items() if name != "migrate"]
        assert "${ADMIN_PASSWORD" not in json.dumps(others)

    def test_production_starts_with_it(self, services, settings_in):
        for name in OURS:
            assert settings_in(services[name]).environment == "production"

    def test_the_file_contains_no_secret(self, services):
        for name, service in services.items():
            for variable, value in service.get("environment", {}).items():
                if re.search("PASS|SECRET|TOKEN", variable):
                    assert re.fullmatch(r"(\$\{[^}]*\})?", value), (name, variable)
                if variable.endswith("_URL"):
                    assert re.search(r"//[^$@/]*:[^$@/]*@", value) is None, (name, variable)


class TestNetworks:
    def test_only_the_api_and_the_proxy_of_a_profile_publish_ports(self, services):
        published = {name for name, service in services.items() if "ports" in service}

        assert published == {"api", "proxy"}
        assert services["proxy"]["profiles"] == ["tls"]

    def test_the_published_port_is_the_one_that_the_api_listens_on(self, services, final_stage):
        (port,) = services["api"]["ports"]

        assert final_stage["EXPOSE"] == [port.rpartition(":")[2]]
        assert final_stage["EXPOSE"] == [str(services["api"]["environment"]["PORT"])]
        assert services["api"]["environment"]["HOST"] == "0.0.0.0"  # noqa: S104

    def test_database_and_redis_are_only_on_the_internal_network(self, services, compose):
        internal = {name for name, network in compose["networks"].items() if (network or {}).get("internal") is True}

        assert internal == {"inside"}
        assert {name for name, service in services.items() if service["networks"] != ["inside"]} == {"api", "proxy"}
        assert services["proxy"]["networks"] == ["outside"]
        assert set().union(*(service["networks"] for service in services.values())) == compose["networks"].keys()


class TestServices:
    def test_ours_may_write_only_to_tmp_and_have_no_privileges(self, services):
        for name in OURS:
            service = services[name]
            assert service["read_only"] is True, name
            assert service["tmpfs"] == ["/tmp"], name  # noqa: S108
            assert service["cap_drop"] == ["ALL"], name
            assert "volumes" not in service, name
            for variable in ("PROMETHEUS_MULTIPROC_DIR", "ALIVE_FILE"):
                assert PurePosixPath(service["environment"][variable]).is_relative_to("/tmp"), name  # noqa: S108

    def test_none_gains_privileges_or_fills_the_disk_with_its_log(self, services):
        for name, service in services.items():
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert service["logging"]["driver"] == "json-file", name
            assert re.fullmatch(r"\d+m", service["logging"]["options"]["max-size"]), name
            assert int(service["logging"]["options"]["max-file"]) <= 10, name

    def test_all_restart_except_the_ones_that_run_once(self, services):
        assert services["migrate"]["restart"] == "no"
        assert {service["restart"] for name, service in services.items() if name != "migrate"} == {"unless-stopped"}

    def test_worker_and_beat_wait_for_the_schema_and_for_redis(self, services):
        assert services["migrate"]["depends_on"] == {"db": {"condition": "service_healthy"}}
        for name in ("worker", "beat"):
            assert services[name]["depends_on"] == {
                "migrate": {"condition": "service_completed_successfully"},
                "redis": {"condition": "service_healthy"},
            }, name

    def test_the_api_waits_for_no_server_but_stops_before_them(self, services):
        """It can say what is missing. But if the servers stopped first, the requests of its drain would be lost."""
        started = {"condition": "service_started"}

        assert services["api"]["depends_on"] == {"db": started, "redis": started}

    def test_a_service_that_others_wait_for_exists_and_has_a_health_check(self, services):
        for name, service in services.items():
            waits_for = service.get("depends_on", {})
            for other in waits_for:
                assert set(services[other].get("profiles", [])) <= set(service.get("profiles", [])), (name, other)
                if isinstance(waits_for, dict) and waits_for[other]["condition"] == "service_healthy":
                    assert "test" in services[other]["healthcheck"], (name, other)

    def test_every_command_exists_in_the_program(self, services, final_stage):
        (of_image,), (entrypoint,) = final_stage["CMD"], final_stage["ENTRYPOINT"]

        assert json.loads(entrypoint) == ["python", "main.py"]
        assert make_parser().parse_args(json.loads(of_image)).command == "api"
        for name, subcommand in OURS.items():
            assert make_parser().parse_args(services[name]["command"]).command == subcommand, name

    def test_ours_name_all_of_their_command_because_earlier_images_have_no_entrypoint(self, services):
        assert [services[name]["entrypoint"] for name in OURS] == [["python", "main.py"]] * len(OURS)

    def test_ours_are_built_here_and_all_others_are_pinned(self, services):
        """Only one service builds the image, because two builds of one name at the same time would clash."""
        assert [name for name, service in services.items() if "build" in service] == ["migrate"]
        ours = {(services[name]["image"], services[name]["pull_policy"]) for name in OURS}
        assert ours == {("tasktrackerpro:latest", "never")}
        others = {service["image"] for name, service in services.items() if name not in OURS}
        assert {image for image in others if not PINNED.fullmatch(image)} == set()

    def test_worker_and_beat_are_healthy_while_they_touch_their_file(self, services):
        for name in ("worker", "beat"):
            (_shell, command) = services[name]["healthcheck"]["test"]
            assert f"find {services[name]['environment']['ALIVE_FILE']} " in command

    def test_no_process_is_killed_before_its_time_to_stop_is_over(self, services, settings_in):
        settings = settings_in(services["worker"])

        assert seconds_of(services["worker"]["stop_grace_period"]) > make_celery(settings).conf.task_time_limit
        assert seconds_of(services["api"]["stop_grace_period"]) >= settings.drain_seconds + STOP_SECONDS

    def test_every_volume_is_declared_and_used(self, services, compose):
        sources = {volume.partition(":")[0] for service in services.values() for volume in service.get("volumes", [])}

        files = {source for source in sources if source.startswith(("./", "/"))}
        assert sources - files == compose["volumes"].keys()
        assert {file for file in files if not (ROOT / file).is_file()} == set()


class TestDockerCompose129:
    def test_can_read_every_key(self, compose, services):
        """It refuses a file with an unknown key, such as `name`, `include`, `develop` and `pull_policy: daily`."""
        assert {key for key in compose if not key.startswith("x-")} <= KEYS_OF_FILE
        for name, service in services.items():
            assert service.keys() <= KEYS_OF_SERVICE, name
            assert service.get("healthcheck", {}).keys() <= KEYS_OF_HEALTHCHECK, name
            assert service["logging"].keys() <= {"driver", "options"}, name
        for network in compose["networks"].values():
            assert (network or {}).keys() <= {"internal"}
        assert set(compose["volumes"].values()) == {None}

    def test_can_read_every_value(self, services):
        for name, service in services.items():
            waits_for = service.get("depends_on", {})
            if isinstance(waits_for, dict):
                assert [how for how in waits_for.values() if how.keys() != {"condition"}] == [], name
                assert {how["condition"] for how in waits_for.values()} <= CONDITIONS, name
            listed = [service.get(key, []) for key in ("networks", "ports", "tmpfs", "volumes", "profiles")]
            assert all(isinstance(value, str) for values in listed for value in values), name
            assert isinstance(service.get("env_file", ""), str), name
            assert isinstance(service.get("build", ""), str), name
            assert isinstance(service["restart"], str), name

    def test_can_read_every_variable(self, services):
        for text in strings_in(services):
            assert "$" not in INTERPOLATED.sub("", text), text


class TestDockerfile:
    def test_ends_as_a_new_user_that_is_not_root(self, final_stage, final_steps):
        (user,) = final_stage["USER"]
        (made,) = [rest for rest in final_stage["RUN"] if "useradd" in rest]

        assert re.search(rf"\buseradd .*--uid [1-9]\d{{3,}} .*{user}\b", made)
        assert [
            step for step, _rest in final_steps[final_steps.index(("USER", user)) :] if step in {"RUN", "COPY"}
        ] == []

    def test_installs_only_locked_packages_by_their_hashes(self, stages):
        installs = [rest for stage in stages for step, rest in stage if step == "RUN" and "install" in rest]

        assert len(installs) == 1
        assert {"--require-hashes", "--no-deps"} <= set(installs[0].split())
        (mark,) = re.findall(r"sed '/\^(.*?)/,\$d' /requirements\.lock", installs[0])
        assert (ROOT / "requirements.lock").read_text("utf-8").splitlines().count(mark) == 1

    def test_ends_with_a_stage_that_installs_nothing(self, final_stage):
        assert [rest for rest in final_stage["RUN"] if INSTALLERS.search(rest)] == []
        assert "ADD" not in final_stage

    def test_builds_every_stage_on_the_same_pinned_python(self, stages):
        images = {rest.split()[0] for stage in stages for step, rest in stage if step == "FROM"}

        assert len(images) == 1
        assert PINNED.fullmatch(images.pop())

    def test_starts_and_checks_its_health_with_python_only(self, final_stage, app, services):
        (command,) = final_stage["ENTRYPOINT"]
        (health,) = final_stage["HEALTHCHECK"]

        python, _flag, program = json.loads(health.partition("CMD ")[2])
        assert json.loads(command)[0] == python == "python"
        compile(program, "HEALTHCHECK", "exec")
        port, path = re.search(r"http://127\.0\.0\.1:(\d+)(/\w*)'", program).groups()
        assert [port] == final_stage["EXPOSE"]
        assert path in {rule.rule for rule in app.url_map.iter_rules()}
        assert "healthcheck" not in services["api"]

    def test_stops_with_a_signal_that_the_program_handles(self, final_stage):
        assert final_stage["STOPSIGNAL"] == ["SIGTERM"]


class TestDockerignore:
    def test_admits_exactly_the_copied_files(self, stages):
        copied = {
            source
            for stage in stages
            for step, rest in stage
            if step == "COPY" and "--from=" not in rest
            for source in rest.split()[:-1]
        }
        first, *rules = (ROOT / ".dockerignore").read_text("utf-8").split()

        assert first == "*"
        assert {rule.removeprefix("!") for rule in rules if rule.startswith("!")} == copied
        assert {source for source in copied if not (ROOT / source).exists()} == set()
        refused = [rule for rule in rules if not rule.startswith("!")]
        assert [(source, rule) for source in copied for rule in refused if fnmatch(source, rule)] == []


def seconds_of(duration):
    return int(re.fullmatch(r"(\d+)s", duration)[1])


def strings_in(value):
    if isinstance(value, dict):
        value = value.values()
    if isinstance(value, str):
        yield value
    elif hasattr(value, "__iter__"):
        for item in value:
            yield from strings_in(item)


def steps_of(dockerfile):
    """List each instruction and its arguments, joined into one line."""
    without_comments = re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", without_comments).splitlines()
    return [(line.split()[0].upper(), line.split(maxsplit=1)[1].strip()) for line in lines if line.strip()]


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))


@pytest.fixture(scope="module")
def services(compose):
    assert compose["services"].keys() >= {*OURS, "db", "redis", "proxy"}
    return compose["services"]


@pytest.fixture(scope="module")
def stages():
    """The stages of the Dockerfile, each as a list of its steps."""
    stages = []
    for step, rest in steps_of((ROOT / "Dockerfile").read_text("utf-8")):
        if step == "FROM":
            stages.append([])
        stages[-1].append((step, rest))
    assert len(stages) == 2
    return stages


@pytest.fixture(scope="module")
def final_steps(stages):
    return stages[-1]


@pytest.fixture(scope="module")
def final_stage(final_steps):
    """The arguments of each instruction, in order."""
    arguments = {"RUN": []}
    for step, rest in final_steps:
        arguments.setdefault(step, []).append(rest)
    return arguments


@pytest.fixture(scope="module")
def documented():
    return set(re.findall(r"^(?:# ?)?([A-Z][A-Z0-9_]*)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))


@pytest.fixture
def settings_in(monkeypatch):
    """Read the settings of a service from its environment, with valid secrets."""

    def read(service):
        secret = "d41d8cd98f00b204e9800998ecf8427e"
        monkeypatch.setenv("JWT_SECRET_KEY", secret)
        for name, value in service["environment"].items():
            with_defaults = re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", str(value))
            monkeypatch.setenv(name, re.sub(r"\$\{[A-Z_]+:\?[^}]*\}", secret, with_defaults))
        return read_settings()

    return read
