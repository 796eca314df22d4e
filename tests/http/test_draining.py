import pytest

from app.factory import create_app
from app.http.draining import HOLD_SECONDS, Draining

LONG = 60.0


class TestDraining:
    def test_is_off_until_it_begins(self):
        draining = Draining()

        assert (draining.is_on, draining.is_about_to_end) == (False, False)

    def test_is_on_once_it_has_begun(self):
        draining = Draining()

        draining.begin(LONG)

        assert (draining.is_on, draining.is_about_to_end) == (True, False)

    def test_is_about_to_end_from_its_last_moment_on(self):
        now = 0.0
        draining = Draining(now=lambda: now)
        draining.begin(LONG)

        now = LONG - HOLD_SECONDS / 2
        assert (draining.is_on, draining.is_about_to_end) == (True, False)

        now += 0.001
        assert (draining.is_on, draining.is_about_to_end) == (True, True)

        now += LONG
        assert (draining.is_on, draining.is_about_to_end) == (True, True)

    def test_a_second_begin_does_not_move_its_end(self):
        now = 0.0
        draining = Draining(now=lambda: now)
        draining.begin(LONG)

        now = LONG
        draining.begin(LONG)

        assert draining.is_about_to_end


class TestAnswers:
    def test_keep_the_connection_before_a_drain(self, client):
        assert "Connection" not in client.get("/healthz").headers

    @pytest.mark.parametrize(
        ("path", "status"),
        [("/healthz", 200), ("/readyz", 503), ("/nowhere", 404), ("/api/v1/tasks", 401), ("/broken", 500)],
    )
    def test_close_every_connection_during_a_drain(self, app, client, draining, path, status):
        app.add_url_rule("/broken", "broken", broken)
        draining.begin(LONG)

        answer = client.get(path)

        assert (answer.status_code, answer.headers["Connection"]) == (status, "close")

    def test_are_complete_during_a_drain(self, client, admin, draining):
        draining.begin(LONG)

        answer = client.acting_as(admin).post("/api/v1/tasks", {"title": "Taken while stopping"})

        assert (answer.status_code, answer.json["title"]) == (201, "Taken while stopping")

    def test_are_not_held_back_before_the_last_moment(self, client, draining, held_seconds):
        draining.begin(LONG)

        assert client.get("/healthz").headers["Connection"] == "close"
        assert held_seconds == []

    def test_are_held_back_in_the_last_moment(self, client, draining, held_seconds):
        draining.begin(0.0)

        assert client.get("/healthz").headers["Connection"] == "close"
        assert held_seconds == [HOLD_SECONDS]


def broken():
    raise LookupError("broken on purpose")


@pytest.fixture
def app(settings, resources):
    """An app to which tests add routes."""
    return create_app(settings, resources=resources)


@pytest.fixture
def draining(app):
    return app.extensions["draining"]


@pytest.fixture
def held_seconds(draining, monkeypatch):
    """Record how long each answer was held back, without waiting."""
    seconds = []
    monkeypatch.setattr(draining, "_sleep", seconds.append)
    return seconds
