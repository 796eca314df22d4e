import json
import socket
import time
from dataclasses import replace

import pytest

from app.job_queue import COUNT_TTL_SECONDS, REST_SECONDS, CeleryJobQueue, JobName
from app.jobs.celery_app import make_celery
from tests.fakes import Ticker


class TestEnqueue:
    @pytest.mark.parametrize("name", list(JobName))
    def test_sends_a_message_with_the_name_of_the_job(self, settings, redis, name):
        CeleryJobQueue(make_celery(settings)).enqueue(name)

        (message,) = redis.lrange("tasktrackerpro", 0, -1)
        assert json.loads(message)["headers"]["task"] == name.value

    def test_the_message_is_json_without_arguments_or_a_delay(self, settings, redis):
        CeleryJobQueue(make_celery(settings)).enqueue(JobName.LOG_DUE_DAYS)

        message = json.loads(redis.lindex("tasktrackerpro", 0))
        assert message["content-type"] == "application/json"
        assert message["headers"]["argsrepr"] == "()"
        assert message["headers"]["kwargsrepr"] == "{}"
        assert message["headers"]["eta"] is None

    def test_the_message_has_the_id_of_its_request(self, settings, redis):
        CeleryJobQueue(make_celery(settings)).enqueue(JobName.LOG_DUE_DAYS, request_id="trace-me.1")

        message = json.loads(redis.lindex("tasktrackerpro", 0))
        assert message["headers"]["request_id"] == "trace-me.1"
        # This is not the job's own id, by which the broker knows it.
        assert message["headers"]["id"] != "trace-me.1"

    def test_a_tick_has_no_request(self, settings, redis):
        CeleryJobQueue(make_celery(settings)).enqueue(JobName.LOG_DUE_DAYS)

        assert "request_id" not in json.loads(redis.lindex("tasktrackerpro", 0))["headers"]


class TestCountWaiting:
    def test_counts_each_waiting_message(self, settings, redis):
        queue = CeleryJobQueue(make_celery(settings))
        for name in JobName:
            queue.enqueue(name)

        assert queue.count_waiting() == len(JobName)

    def test_is_zero_before_the_first_message(self, settings, redis):
        assert CeleryJobQueue(make_celery(settings)).count_waiting() == 0

    def test_is_zero_after_the_last_message_was_taken(self, settings, redis, ticker):
        queue = CeleryJobQueue(make_celery(settings), now=ticker)
        queue.enqueue(JobName.LOG_DUE_DAYS)
        assert queue.count_waiting() == 1

        redis.lpop("tasktrackerpro")
        ticker.seconds += COUNT_TTL_SECONDS

        assert queue.count_waiting() == 0

    def test_counting_takes_and_leaves_no_message(self, settings, redis):
        assert CeleryJobQueue(make_celery(settings)).count_waiting() == 0
        assert redis.keys() == []

        CeleryJobQueue(make_celery(settings)).enqueue(JobName.LOG_DUE_DAYS)
        before = {key: redis.dump(key) for key in redis.scan_iter()}
        assert CeleryJobQueue(make_celery(settings)).count_waiting() == 1
        assert {key: redis.dump(key) for key in redis.scan_iter()} == before

    def test_a_count_is_reused_for_a_second(self, settings, redis, ticker):
        queue = CeleryJobQueue(make_celery(settings), now=ticker)
        queue.enqueue(JobName.LOG_DUE_DAYS)
        assert queue.count_waiting() == 1
        queue.enqueue(JobName.LOG_DUE_DAYS)

        ticker.seconds += COUNT_TTL_SECONDS - 0.01
        assert queue.count_waiting() == 1

        ticker.seconds += 0.02
        assert queue.count_waiting() == 2

    def test_leaves_no_connection_behind(self, settings, redis, ticker):
        queue = CeleryJobQueue(make_celery(settings), now=ticker)
        queue.count_waiting()
        before = len(redis.client_list())

        for _ in range(5):
            ticker.seconds += COUNT_TTL_SECONDS
            queue.count_waiting()

        assert len(redis.client_list()) == before


class TestBrokerThatIsAway:
    def test_enqueueing_raises_nothing(self, settings, taken):
        queue_at(settings, taken).enqueue(JobName.LOG_DUE_DAYS)

    def test_the_count_is_unknown_and_the_broker_is_left_alone_for_a_while(self, settings, taken, ticker):
        queue = queue_at(settings, taken, now=ticker)
        assert queue.count_waiting() is None
        taken.listen()
        taken.setblocking(False)

        ticker.seconds += REST_SECONDS - 0.01
        assert queue.count_waiting() is None
        queue.enqueue(JobName.LOG_DUE_DAYS)
        assert drain(taken) == 0

        ticker.seconds += COUNT_TTL_SECONDS
        assert queue.count_waiting() is None
        assert drain(taken) > 0

    def test_a_failed_message_keeps_the_next_count_from_trying(self, settings, taken, ticker):
        queue = queue_at(settings, taken, now=ticker)
        queue.enqueue(JobName.LOG_DUE_DAYS)
        taken.listen()
        taken.setblocking(False)

        assert queue.count_waiting() is None
        assert drain(taken) == 0

    def test_messages_are_counted_again_once_it_is_back(self, settings, taken, redis, ticker):
        celery_app = make_celery(replace(settings, celery_broker_url=url_of(taken)))
        queue = CeleryJobQueue(celery_app, now=ticker)
        assert queue.count_waiting() is None

        celery_app.conf.broker_read_url = settings.celery_broker_url
        ticker.seconds += REST_SECONDS

        assert queue.count_waiting() == 0

    def test_is_left_alone_for_a_while_and_then_tried_again(self, settings, taken, ticker):
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
    def test_delays_one_publisher_and_is_then_left_alone(self, settings, taken, ticker):
        taken.listen()
        taken.setblocking(False)
        queue = queue_at(settings, taken, now=ticker)
        queue.enqueue(JobName.LOG_DUE_DAYS)
        drain(taken)

        queue.enqueue(JobName.LOG_DUE_DAYS)

        assert drain(taken) == 0

    def test_delays_one_count_and_is_then_left_alone(self, settings, taken, ticker):
        taken.listen()
        taken.setblocking(False)
        queue = queue_at(settings, taken, now=ticker)
        started = time.monotonic()
        assert queue.count_waiting() is None
        assert time.monotonic() - started < 4
        assert drain(taken) > 0

        ticker.seconds += COUNT_TTL_SECONDS
        assert queue.count_waiting() is None

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


@pytest.fixture
def ticker():
    return Ticker()


@pytest.fixture
def taken():
    """A port that nobody else gets; connections are refused until the test listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken
