"""What the tracker answers while it starts."""

import http.client
import json
import socket
import time
import urllib.error
import urllib.request
from socketserver import TCPServer

import pytest

from app.local.starting import StartingServer
from app.local.system_user import ServerUser
from tests.local.tracker import Tracker
from tests.servers import free_port, wait_for


class TestStartingServer:
    def test_is_alive(self, ask):
        assert ask("GET", "/healthz")[::2] == (200, {"status": "ok"})

    def test_is_not_ready_and_names_the_reason_of_the_moment(self, starting, ask):
        starting.reason = "the database is being migrated"

        status, headers, report = ask("GET", "/readyz?exclude=disk")

        assert (status, headers["Retry-After"], headers["Cache-Control"]) == (503, "1", "no-store")
        assert report == {
            "status": "not ready",
            "checks": {"start": {"ok": False, "reason": "the database is being migrated"}},
        }

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
    def test_every_other_request_is_told_to_come_back(self, ask, method):
        status, headers, problem = ask(method, "/api/v1/tasks", body=b"x" * 50_000 if method != "GET" else None)

        assert (status, headers["Retry-After"], headers["Content-Type"]) == (503, "1", "application/problem+json")
        assert (problem["status"], problem["code"]) == (503, "starting")
        assert problem["detail"] == "the tracker is starting: the servers are starting"
        assert problem["request_id"]

    def test_names_no_program(self, ask):
        assert ask("GET", "/healthz")[1]["Server"] == "TaskTrackerPro"

    def test_leaves_the_port_at_the_end_whatever_clients_do(self, port):
        with (
            StartingServer("127.0.0.1", port, ServerUser()),
            socket.create_connection(("127.0.0.1", port)) as slow_client,
        ):
            slow_client.sendall(b"GET /hea")
            began_at = time.monotonic()

        assert time.monotonic() - began_at < 1
        with StartingServer("127.0.0.1", port, ServerUser()):
            pass

    def test_an_address_in_use_is_an_error(self, port):
        with socket.create_server(("127.0.0.1", port)), pytest.raises(OSError, match="in use"):
            StartingServer("127.0.0.1", port, ServerUser())

    def test_an_address_that_others_would_share_is_an_error(self, starting, port):
        with pytest.raises(OSError, match="in use"):
            StartingServer("127.0.0.1", port, ServerUser())

    def test_of_two_that_start_at_once_only_one_gets_the_address(self, port, monkeypatch):
        """Linux lets the second one bind before the first one listens."""
        listen, started = TCPServer.server_activate, []

        def listen_after_another(server):
            monkeypatch.undo()
            started.append(StartingServer("127.0.0.1", port, ServerUser()))
            listen(server)

        monkeypatch.setattr(TCPServer, "server_activate", listen_after_another)

        with pytest.raises(OSError, match="in use"):
            StartingServer("127.0.0.1", port, ServerUser())

        with started[0]:
            assert answers_at(port)

    def test_the_api_may_join_and_nobody_who_does_not_share(self, starting, port):
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", port))
        with socket.create_server(("127.0.0.1", port), reuse_port=True):
            pass


class TestMain:
    def test_answers_from_the_first_second_until_it_is_ready(self, tracker):
        run, reasons = tracker.start(), []
        assert wait_for(lambda: "start" in checks_of(tracker), seconds=30), run.output()
        assert "TaskTrackerPro is ready" not in run.output()

        while "TaskTrackerPro is ready" not in run.output():
            assert run.process.poll() is None, run.output()
            checks = checks_of(tracker)
            # There is no moment in which nobody answers.
            assert checks, run.output()
            if "start" in checks:
                reasons.append(checks["start"]["reason"])

        assert list(dict.fromkeys(reasons))[-2:] == [
            "the database is being migrated",
            "api, worker and beat are starting",
        ]
        assert "start" not in checks_of(tracker)


def answers_at(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
        return json.load(answer) == {"status": "ok"}


def checks_of(tracker):
    """The checks of /readyz; empty while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{tracker.port}/readyz", timeout=5) as answer:
            return json.load(answer)["checks"]
    except urllib.error.HTTPError as error:
        with error:
            return json.load(error)["checks"]
    except OSError:
        return {}


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def starting(port):
    with StartingServer("127.0.0.1", port, ServerUser()) as starting:
        yield starting


@pytest.fixture
def ask(starting, port):
    def ask(method, path, *, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request(method, path, body=body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.headers, json.loads(content)

    return ask


@pytest.fixture
def tracker(tmp_path):
    tracker = Tracker(tmp_path)
    yield tracker
    tracker.stop()
