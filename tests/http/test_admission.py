import threading
import time

import pytest

from app.errors import UnavailableError
from app.http.admission import (
    LONGEST_WAIT_SECONDS,
    MAX_BODIES,
    MAX_DOWNLOADS,
    MAX_UPLOADS,
    MAX_WAITING,
    MAX_WAITING_UPLOADS,
    BusyError,
    Gate,
    Slots,
    threads_for,
)
from tests.servers import wait_for


class TestGate:
    def test_lets_through_as_many_as_it_has_permits(self, stopwatch):
        gate = Gate(2, now=stopwatch)

        gate.enter()
        gate.enter()

        assert not may_enter(gate)

    def test_a_returned_permit_goes_to_the_next_in_line(self):
        gate = Gate(1, longest_wait_seconds=30)
        gate.enter()
        order = []
        waiting = [waiter(gate, order, number) for number in range(3)]

        for thread in waiting:
            gate.leave(held_seconds=0.01)
            thread.join(10)

        assert order == [0, 1, 2]
        gate.leave(held_seconds=0.01)
        gate.enter()

    def test_refuses_at_once_when_nobody_has_left_for_the_longest_wait(self, stopwatch):
        gate = Gate(1, longest_wait_seconds=30, now=stopwatch)
        gate.enter()
        stopwatch.now += 31

        with pytest.raises(BusyError):
            gate.enter()

    def test_lets_callers_through_after_a_long_idle_time(self, stopwatch):
        gate = Gate(1, longest_wait_seconds=30, now=stopwatch)
        stopwatch.now += 3600
        gate.enter()
        second = waiter(gate, [], 2)

        gate.leave(held_seconds=0.01)

        second.join(10)
        assert not second.is_alive()

    def test_refuses_at_once_when_the_line_moves_too_slowly(self, stopwatch):
        gate = Gate(1, longest_wait_seconds=0.3, now=stopwatch)
        for _ in range(50):
            gate.enter()
            gate.leave(held_seconds=1.0)
        gate.enter()

        with pytest.raises(BusyError):
            gate.enter()

    def test_refuses_at_once_when_the_line_is_long(self, stopwatch):
        gate = Gate(1, max_waiting=1, longest_wait_seconds=30, now=stopwatch)
        gate.enter()
        waiting = waiter(gate, [], 1)

        with pytest.raises(BusyError):
            gate.enter()

        gate.leave(held_seconds=0.01)
        waiting.join(10)

    def test_a_caller_who_gave_up_takes_no_permit(self):
        gate = Gate(1, longest_wait_seconds=0.01)
        gate.enter()
        assert not may_enter(gate)

        gate.leave(held_seconds=0.001)

        assert may_enter(gate)

    def test_says_when_to_retry(self, stopwatch):
        gate = Gate(1, now=stopwatch)
        gate.enter()
        stopwatch.now += LONGEST_WAIT_SECONDS * 2

        with pytest.raises(UnavailableError) as caught:
            gate.enter()

        assert caught.value.retry_after_seconds > 0
        assert caught.value.code == "too_busy"


class TestSlots:
    def test_refuse_one_caller_too_many(self):
        slots = Slots(1)

        with slots.taken(), pytest.raises(BusyError):
            slots.take()

        with slots.taken():
            pass

    def test_refuse_a_caller_who_needs_more_than_is_left(self):
        slots = Slots(10, amount=100)

        with slots.taken(60):
            with pytest.raises(BusyError):
                slots.take(50)
            with slots.taken(40):
                pass

    def test_are_returned_after_success_and_failure(self):
        slots = Slots(1, amount=10)

        with pytest.raises(ZeroDivisionError), slots.taken(10):
            raise ZeroDivisionError

        with slots.taken(10):
            pass

    def test_are_passed_on_to_a_caller_who_waits(self):
        slots = Slots(1, max_waiting=1, longest_wait_seconds=30)
        slots.take()
        received = threading.Event()
        thread = threading.Thread(target=lambda: (slots.take(), received.set()))
        thread.start()
        assert wait_for(lambda: slots._waiting == 0)

        with pytest.raises(BusyError):
            slots.take()
        slots.give_back()

        thread.join(10)
        assert received.is_set()


class TestThreads:
    def test_all_bounds_together_leave_threads_for_health_checks(self):
        bounds = MAX_WAITING + MAX_BODIES + MAX_UPLOADS + MAX_WAITING_UPLOADS + MAX_DOWNLOADS

        assert threads_for(10) > 10 + bounds


class TestRequests:
    def test_a_request_without_a_permit_is_refused_with_a_time_to_retry(self, busy_app, client, admin):
        answer = client.acting_as(admin).get("/api/v1/tasks")

        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "1"
        assert answer.json["code"] == "too_busy"
        assert answer.json["request_id"]

    def test_a_classic_route_refuses_in_its_own_format(self, busy_app, client, admin):
        answer = client.acting_as(admin).get("/tasks")

        assert answer.status_code == 503
        assert answer.json == {"error": "the server is busy; try again shortly"}

    @pytest.mark.parametrize("path", ["/healthz", "/readyz?exclude=worker&exclude=beat"])
    def test_health_checks_need_no_permit(self, busy_app, client, path):
        assert client.get(path).status_code == 200

    def test_an_unknown_path_needs_no_permit(self, busy_app, client):
        assert client.get("/api/v1/nothing").status_code == 404

    def test_a_permit_comes_back_after_success_and_failure(self, app, client, admin):
        admission = app.extensions["admission"]
        client = client.acting_as(admin)

        for _ in range(3 * admission.permits):
            assert client.get("/api/v1/tasks/999999").status_code == 404
            assert client.post("/api/v1/tasks", {"title": ""}).status_code == 422
            assert client.get("/api/v1/tasks/export").get_data()

        for _ in range(admission.permits):
            admission.gate.enter()
        assert admission.oldest_seconds() == 0.0

    def test_a_body_is_received_before_its_request_takes_a_permit(self, app, client, admin):
        admission = app.extensions["admission"]
        seen = []

        class Body:
            def read(self, size):
                seen.append(admission.gate._free == admission.permits)
                return b'{"title": "Slow"}'[:size]

        environ = {"wsgi.input": Body(), "CONTENT_LENGTH": "17", "CONTENT_TYPE": "application/json"}
        answer = client.acting_as(admin).post("/api/v1/tasks", environ_overrides=environ)

        assert answer.status_code == 201
        assert seen == [True]

    def test_the_number_of_bodies_being_received_is_limited(self, app, client, admin):
        admission = app.extensions["admission"]
        for _ in range(MAX_BODIES):
            admission.bodies.take(1)

        client = client.acting_as(admin)

        assert client.post("/api/v1/tasks", {"title": "One too many"}).status_code == 503
        assert client.get("/api/v1/tasks").status_code == 200


class Stopwatch:
    def __init__(self):
        self.now = time.monotonic()

    def __call__(self):
        return self.now


def may_enter(gate):
    try:
        gate.enter()
    except BusyError:
        return False
    return True


def waiter(gate, order, number):
    """Start a thread, and return it once it waits in line."""
    length = len(gate._line)
    thread = threading.Thread(target=lambda: (gate.enter(), order.append(number)))
    thread.start()
    assert wait_for(lambda: len(gate._line) == length + 1)
    return thread


@pytest.fixture
def stopwatch():
    return Stopwatch()


@pytest.fixture
def busy_app(app):
    admission = app.extensions["admission"]
    for _ in range(admission.permits):
        admission.gate.enter()
    return app
