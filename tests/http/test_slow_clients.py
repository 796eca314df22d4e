"""Real sockets and the counts that the kernel keeps of them; only the time between two looks is simulated."""

import socket
import time

import pytest

from app.http.slow_clients import (
    IDLE_SECONDS,
    MARGIN_SECONDS,
    SILENCE_SECONDS,
    WINDOW_SECONDS,
    Counts,
    SlowClients,
    State,
)
from tests.servers import wait_for

MINUTE = 60
# More than the buffers of both ends hold.
LARGE = bytes(16 * 1024 * 1024)


class TestSilentClient:
    def test_a_client_that_stops_in_a_request_is_cut_off(self, pair, watch):
        client, _server = pair()
        client.sendall(b"POST /api/v1/tasks HTTP/1.1\r\nContent-Length: 100\r\n\r\n")

        watch(SILENCE_SECONDS - 2)
        assert not is_ended(client)
        watch(4)

        assert is_ended(client)

    def test_a_client_that_waits_for_its_answer_is_left_alone(self, pair, watch, work):
        client, server = pair()
        client.sendall(b"GET /api/v1/reports/flow HTTP/1.1\r\n\r\n")
        work.oldest_seconds = SILENCE_SECONDS + 1

        watch(SILENCE_SECONDS + 2)

        server.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")

    def test_a_client_that_is_silent_for_longer_than_any_work_takes_is_cut_off(self, pair, watch, work):
        client, _server = pair()
        client.sendall(b"POST /api/v1/tasks HTTP/1.1\r\nContent-Length: 100\r\n\r\n")
        work.oldest_seconds = 20

        watch(20 + MARGIN_SECONDS + 2)

        assert is_ended(client)

    def test_a_client_that_sends_drop_by_drop_is_cut_off(self, pair, watch):
        client, _server = pair()
        for _ in range(int(WINDOW_SECONDS)):
            client.sendall(b"x")
            watch(1)
        assert not is_ended(client)
        watch(2)

        assert is_ended(client)

    def test_a_client_that_sends_steadily_is_left_alone(self, pair, watch):
        client, server = pair()
        for _ in range(2 * int(WINDOW_SECONDS)):
            client.sendall(bytes(1000))
            server.recv(1000)
            watch(1)

        assert not is_ended(client)


class TestClientThatDoesNotRead:
    def test_is_cut_off(self, pair, watch):
        client, server = pair()
        fill(server)
        assert wait_for(lambda: stands_still(server))

        watch(WINDOW_SECONDS - 2)
        assert not is_shut(server)
        watch(4)

        assert is_shut(server)
        client.close()

    def test_a_client_that_reads_steadily_is_left_alone(self, pair, watch):
        client, server = pair()
        fill(server)
        for _ in range(2 * int(WINDOW_SECONDS)):
            client.recv(256 * 1024)
            fill(server)
            watch(1)

        assert not is_shut(server)


class TestIdleConnection:
    def test_is_left_to_the_server_for_a_while(self, pair, watch):
        client, server = pair()
        exchange(client, server)

        watch(IDLE_SECONDS - 2)
        assert not is_ended(client)
        watch(4)

        assert is_ended(client)

    def test_a_client_that_keeps_asking_is_left_alone(self, pair, watch):
        client, server = pair()
        for _ in range(5):
            exchange(client, server)
            watch(IDLE_SECONDS / 2)

        assert not is_ended(client)


class TestStandstill:
    def test_a_standstill_of_the_process_does_not_count_against_its_clients(self, pair, clients, stopwatch):
        client, _server = pair()
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        clients.look()
        stopwatch.now += 10 * MINUTE

        clients.look()

        assert not is_ended(client)

    def test_other_connections_of_the_process_are_not_touched(self, watch, listener):
        with socket.create_server(("127.0.0.1", 0)) as elsewhere:
            ours = socket.create_connection(elsewhere.getsockname())
            theirs, _address = elsewhere.accept()
            # The process may talk to other servers for as long as it likes.
            elsewhere.close()
            ours.sendall(b"SELECT 1")
            watch(10 * MINUTE)
            theirs.sendall(b"1")
            assert ours.recv(1) == b"1"
            ours.close()
            theirs.close()


class Stopwatch:
    def __init__(self):
        self.now = time.monotonic()

    def __call__(self):
        return self.now


class Work:
    oldest_seconds = 0.0


def fill(server):
    server.setblocking(False)
    try:
        while True:
            server.send(LARGE)
    except BlockingIOError:
        pass


def exchange(client, server):
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    server.recv(100)
    server.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    client.recv(100)
    # The kernel sends its acknowledgements in real time, which the simulated seconds do not advance.
    assert wait_for(lambda: Counts.of(server).state is State.IDLE)


def stands_still(server):
    before = Counts.of(server)
    time.sleep(0.05)
    return Counts.of(server) == before


def is_ended(client):
    """Return True if the other end was shut."""
    client.setblocking(False)
    try:
        return client.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        client.setblocking(True)


def is_shut(server):
    try:
        server.send(b"x")
    except BlockingIOError:
        return False
    except OSError:
        return True
    return False


@pytest.fixture
def stopwatch():
    return Stopwatch()


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def clients(work, stopwatch):
    return SlowClients(lambda: work.oldest_seconds, now=stopwatch)


@pytest.fixture
def watch(clients, stopwatch):
    """Let this number of seconds pass, with a look at each."""

    def look(seconds):
        for _ in range(int(seconds)):
            stopwatch.now += 1
            clients.look()

    return look


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def pair(listener):
    ends = []

    def connect():
        client = socket.create_connection(listener.getsockname())
        server, _address = listener.accept()
        ends.extend((client, server))
        return client, server

    yield connect
    for end in ends:
        end.close()
