import json
import socket
from dataclasses import replace

import pytest

from app.job_queue import REST_SECONDS, CeleryJobQueue, JobName
from app.jobs.celery_app import make_celery


class TestEnqueue:
    @pytest.mark.parametrize("name", list(JobName))
    def test_the_message_is_in_the_broker_under_the_jobs_name(self, settings, redis, name):
        CeleryJobQueue(make_celery(settings)).enqueue(name)

        (message,) = redis.lrange("tasktrackerpro", 0, -1)
        assert json.loads(message)["headers"]["task"] == name.value

    def test_it_is_json_without_arguments_or_a_time_to_wait_for(self, settings, redis):
        CeleryJobQueue(make_celery(settings)).enqueue(JobName.LOG_DUE_DAYS)

        message = json.loads(redis.lindex("tasktrackerpro", 0))
        assert message["content-type"] == "application/json"
        assert message["headers"]["argsrepr"] == "()"
        assert message["headers"]["kwargsrepr"] == "{}"
        assert message["headers"]["eta"] is None


class TestBrokerThatIsAway:
    def test_nothing_is_raised(self, settings, taken):
        queue_at(settings, taken).enqueue(JobName.LOG_DUE_DAYS)

    def test_it_is_left_alone_for_a_while_and_then_tried_again(self, settings, taken, ticker):
        queue = queue_at(settings, taken, now=ticker)
        queue.enqueue(JobName.LOG_DUE_DAYS)
        taken.listen()
        taken.setblocking(False)

        ticker.seconds += REST_SECONDS - 0.01
        queue.enqueue(JobName.LOG_DUE_DAYS)
        with pytest.raises(BlockingIOError):
            taken.accept()

        ticker.seconds += 0.02
        queue.enqueue(JobName.LOG_DUE_DAYS)
        taken.accept()[0].close()


class TestFrozenBroker:
    def test_holds_up_one_publisher_and_is_then_left_alone(self, settings, taken, ticker):
        taken.listen()
        taken.setblocking(False)
        queue = queue_at(settings, taken, now=ticker)
        queue.enqueue(JobName.LOG_DUE_DAYS)
        drain(taken)

        queue.enqueue(JobName.LOG_DUE_DAYS)

        assert drain(taken) == 0


def queue_at(settings, server, **kwargs):
    return CeleryJobQueue(make_celery(replace(settings, celery_broker_url=url_of(server))), **kwargs)


def url_of(server):
    return f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def drain(server):
    count = 0
    while True:
        try:
            server.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


class Ticker:
    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def ticker():
    return Ticker()


@pytest.fixture
def taken():
    """A port that nobody else gets; who connects is refused until the test listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken
