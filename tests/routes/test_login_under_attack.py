"""Attackers who do not know a password try to lock out its owner, or to try more passwords than allowed."""

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from app.factory import create_app
from app.models.login.attempt import LoginAttempt
from app.settings import RateLimit
from tests.client import Client
from tests.factories import PASSWORD

LIMIT = RateLimit(5, 60)
ATTACKERS = [f"203.0.113.{number}" for number in range(4)]
HOME, ELSEWHERE = "192.0.2.1", "198.51.100.1"
LONGEST_WAIT_SECONDS = 15 * 60


class TestFourAddressesThatFailAllDay:
    def test_do_not_keep_the_owner_out_at_home(self, client, ann, clock):
        assert log_in(client, address=HOME).status_code == 200

        refused = 0
        for _minute in attack(client, clock, minutes=12):
            refused += log_in(client, address=HOME).status_code != 200

        assert refused == 0

    def test_do_not_keep_the_owner_out_elsewhere(self, client, ann, clock):
        for _minute in attack(client, clock, minutes=3):
            pass

        assert log_in(client, address=ELSEWHERE).status_code == 200

    def test_can_try_only_a_few_passwords(self, client, ann, clock):
        tried = 0
        for _minute in range(30):
            for address in ATTACKERS:
                tried += log_in(client, "a wrong password", address=address).status_code == 401
            clock.advance(seconds=60)

        assert tried <= 50

    def test_also_have_to_wait_for_unknown_names(self, client, ann):
        def answers(name):
            return [
                log_in(client, "a wrong password", login=name, address=f"203.0.113.{number}") for number in range(8)
            ]

        nobodys, anns = answers("nobody"), answers("ann")

        assert [answer.status_code for answer in nobodys] == [answer.status_code for answer in anns]
        assert [answer.headers.get("Retry-After") for answer in nobodys] == [
            answer.headers.get("Retry-After") for answer in anns
        ]


class TestTwentyAddressesThatFailAllDay:
    def test_keep_the_owner_out_elsewhere_for_at_most_a_quarter_of_an_hour(self, client, ann, clock):
        fail_from_twenty(client, clock)
        first = log_in(client, address=ELSEWHERE)
        assert first.status_code == 429
        wait_seconds = int(first.headers["Retry-After"])
        assert 0 < wait_seconds <= LONGEST_WAIT_SECONDS

        clock.advance(seconds=wait_seconds)
        fail_from_twenty(client, clock)

        assert log_in(client, address=ELSEWHERE).status_code == 200

    def test_do_not_keep_the_owner_out_at_home(self, client, ann, clock):
        assert log_in(client, address=HOME).status_code == 200
        fail_from_twenty(client, clock)

        assert log_in(client, address=HOME).status_code == 200


class TestOneClientWithManyAddresses:
    def test_an_ipv6_network_of_64_bits_counts_as_one_client(self, client, ann):
        statuses = [
            log_in(client, "a wrong password", login=f"guess{number}", address=f"2001:db8::{number:x}").status_code
            for number in range(1, 21)
        ]

        assert statuses == [401] * 5 + [429] * 15

    def test_an_ipv6_network_of_48_bits_gets_four_times_as_many(self, client, ann):
        statuses = [
            log_in(client, "a wrong password", login=f"guess{number}", address=f"2001:db8:0:{number:x}::1").status_code
            for number in range(30)
        ]

        assert statuses == [401] * 20 + [429] * 10

    def test_a_mapped_address_is_the_ipv4_address(self, client, ann):
        for _ in range(5):
            log_in(client, "a wrong password", address="::ffff:192.0.2.7")

        assert log_in(client, address="192.0.2.7").status_code == 429

    @pytest.mark.parametrize("form", ["198.51.100.9:{port}", "[2001:db8::9]:{port}", '"[2001:db8::9]:{port}"'])
    def test_a_port_added_by_a_proxy_does_not_make_another_client(self, client_behind_proxy, ann, form):
        statuses = [
            client_behind_proxy.post(
                "/api/v1/auth/login",
                {"username": f"guess{number}", "password": "a wrong password"},
                headers={"X-Forwarded-For": form.format(port=40_000 + number)},
            ).status_code
            for number in range(8)
        ]

        assert statuses == [401] * 5 + [429] * 3

    def test_all_invalid_addresses_count_as_one_client(self, client_behind_proxy, ann):
        statuses = [
            client_behind_proxy.post(
                "/api/v1/auth/login",
                {"username": f"guess{number}", "password": "a wrong password"},
                headers={"X-Forwarded-For": f"_hidden{number}"},
            ).status_code
            for number in range(6)
        ]

        assert statuses == [401] * 5 + [429]


class TestAnOfficeBehindOneAddress:
    def test_everybody_who_logged_in_before_gets_in_at_nine(self, client, factories, clock):
        colleagues = [factories.User(username=f"colleague-{number}") for number in range(8)]
        for colleague in colleagues:
            clock.advance(seconds=61)
            assert log_in(client, login=colleague.username, address=HOME).status_code == 200
        clock.advance(hours=12)

        statuses = [log_in(client, login=colleague.username, address=HOME).status_code for colleague in colleagues]

        assert statuses == [200] * 8

    def test_a_colleague_who_guesses_is_limited(self, client, ann, clock):
        assert log_in(client, address=HOME).status_code == 200

        statuses = [log_in(client, "a wrong password", address=HOME).status_code for _ in range(12)]

        assert statuses.count(401) <= 5
        clock.advance(seconds=LIMIT.seconds)
        assert log_in(client, address=HOME).status_code == 200

    def test_the_classic_log_in_accepts_five_a_minute_from_one_address(self, client, ann):
        statuses = [
            client.post(
                "/login", {"username": "ann", "password": PASSWORD}, environ_overrides={"REMOTE_ADDR": HOME}
            ).status_code
            for _ in range(7)
        ]

        assert statuses == [200] * 5 + [429] * 2


class TestStoredAttempts:
    def test_a_password_typed_as_a_name_is_not_stored(self, client, session):
        log_in(client, "x", login="hunter2-hunter2", address=HOME)

        subjects = session.scalars(select(LoginAttempt.subject)).all()
        assert subjects
        assert not any("hunter2" in subject for subject in subjects)

    def test_a_refused_address_stores_no_counts_for_invented_names(self, client, session):
        for number in range(20):
            log_in(client, "x", login=f"made-up-{number}", address=HOME)

        assert session.scalar(select(func.count()).select_from(LoginAttempt)) <= LIMIT.amount + 1


def attack(client, clock, *, minutes):
    """Each address tries a wrong password as often as allowed while the minutes pass."""
    for minute in range(minutes):
        for address in ATTACKERS:
            for _ in range(3):
                log_in(client, "a wrong password", address=address)
        yield minute
        clock.advance(seconds=60)


def fail_from_twenty(client, clock):
    """Each address waits as long as it has to, and then fails."""
    for number in range(20):
        address = f"203.0.113.{100 + number}"
        answer = log_in(client, "a wrong password", address=address)
        if answer.status_code == 429:
            clock.advance(seconds=min(int(answer.headers["Retry-After"]), 120))
            log_in(client, "a wrong password", address=address)


def log_in(client, password=PASSWORD, *, login="ann", address):
    body = {"username": login, "password": password}
    return client.post("/api/v1/auth/login", body, environ_overrides={"REMOTE_ADDR": address})


@pytest.fixture
def settings(base_settings):
    return replace(base_settings, rate_limits=replace(base_settings.rate_limits, login=LIMIT))


@pytest.fixture
def client_behind_proxy(settings, resources):
    return Client(create_app(replace(settings, trusted_proxy_hops=1), resources=resources))


@pytest.fixture
def ann(factories):
    return factories.User(username="ann", email="ann@example.org")
