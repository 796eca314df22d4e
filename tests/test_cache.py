import socket
import time
from contextlib import contextmanager

import pytest

from app.cache import REST_SECONDS, Cache, CacheView, Space, Window
from app.local_entries import MAX_LOCAL_BYTES, MAX_LOCAL_VALUE_BYTES
from app.redis_connections import RedisConnections, make_redis
from tests.fakes import Ticker
from tests.servers import wait_for


class TestRemember:
    def test_the_second_call_is_a_hit_and_does_not_load(self, cache):
        first = CacheView(cache).remember((Space.TASKS,), "page", Source(b"old"), ttl_seconds=30)
        second = CacheView(cache).remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30)

        assert (first.value, first.was_cached) == (b"old", False)
        assert (second.value, second.was_cached) == (b"old", True)

    def test_another_key_has_another_answer(self, cache):
        CacheView(cache).remember((Space.TASKS,), "page 1", Source(b"1"), ttl_seconds=30)

        assert CacheView(cache).remember((Space.TASKS,), "page 2", Source(b"2"), ttl_seconds=30).value == b"2"

    def test_an_empty_answer_is_remembered(self, cache):
        CacheView(cache).remember((Space.TASKS,), "page", Source(b""), ttl_seconds=30)

        assert CacheView(cache).remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30).was_cached

    def test_every_entry_and_every_generation_expires(self, cache, redis):
        for _ in range(2):
            redis.flushdb()
            CacheView(cache).remember((Space.TASKS, Space.TASK_LOGS), "page", Source(b"old"), ttl_seconds=30)

        assert redis.dbsize() == len(Space) + 1
        assert all(redis.ttl(name) > 0 for name in redis.scan_iter())

    def test_a_failed_load_raises_and_is_not_remembered(self, cache):
        def fail():
            raise LookupError

        with pytest.raises(LookupError):
            CacheView(cache).remember((Space.TASKS,), "page", fail, ttl_seconds=30)

        assert CacheView(cache).remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30).value == b"new"

    def test_another_process_shares_what_both_were_asked_for_before(self, cache, redis_url):
        other = Cache(make_redis(redis_url))
        ask_before(cache, other)
        CacheView(cache).remember((Space.TASKS,), "page", Source(b"old"), ttl_seconds=30)

        assert CacheView(other).remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30).value == b"old"

    def test_what_is_asked_for_once_costs_redis_no_round_trip(self, counting_cache):
        CacheView(counting_cache).remember((Space.TASKS,), "page", Source(b"old"), ttl_seconds=30)

        # The generations.
        assert counting_cache.asked == 1


class TestForget:
    def test_a_forgotten_answer_is_loaded_again(self, cache):
        CacheView(cache).remember((Space.TASKS,), "page", Source(b"old"), ttl_seconds=30)

        cache.forget(Space.TASKS)

        answer = CacheView(cache).remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30)
        assert (answer.value, answer.was_cached) == (b"new", False)

    def test_forgetting_one_of_several_spaces_is_enough(self, cache):
        CacheView(cache).remember((Space.TASK_LOGS, Space.TASKS), "page", Source(b"old"), ttl_seconds=30)

        cache.forget(Space.TASKS)

        assert (
            CacheView(cache).remember((Space.TASK_LOGS, Space.TASKS), "page", Source(b"new"), ttl_seconds=30).value
            == b"new"
        )

    def test_another_space_is_left_alone(self, cache):
        CacheView(cache).remember((Space.TASKS,), "page", Source(b"old"), ttl_seconds=30)

        cache.forget(Space.ACTORS)

        assert CacheView(cache).remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30).was_cached

    def test_another_process_forgets_as_well(self, cache, redis_url):
        CacheView(cache).remember((Space.TASKS,), "page", Source(b"old"), ttl_seconds=30)

        Cache(make_redis(redis_url)).forget(Space.TASKS)

        assert CacheView(cache).remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30).value == b"new"

    def test_an_answer_loaded_before_and_stored_after_is_not_served(self, cache):
        def load_while_somebody_writes():
            cache.forget(Space.TASKS)
            return b"old"

        CacheView(cache).remember((Space.TASKS,), "page", load_while_somebody_writes, ttl_seconds=30)

        answer = CacheView(cache).remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30)
        assert (answer.value, answer.was_cached) == (b"new", False)

    def test_an_answer_loaded_before_another_process_forgets_is_not_served(self, cache, redis_url):
        other = Cache(make_redis(redis_url))

        def load_while_somebody_writes():
            other.forget(Space.TASKS)
            return b"old"

        CacheView(cache).remember((Space.TASKS,), "page", load_while_somebody_writes, ttl_seconds=30)

        assert CacheView(cache).remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30).value == b"new"


class TestView:
    def test_a_later_change_by_another_process_may_stay_unseen(self, cache, redis_url):
        view = CacheView(cache)
        view.remember((Space.TASKS,), "page", Source(b"old"), ttl_seconds=30)

        Cache(make_redis(redis_url)).forget(Space.TASKS)

        assert view.remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30).value == b"old"

    def test_a_change_of_its_own_is_seen_at_once(self, cache):
        view = CacheView(cache)
        view.remember((Space.TASKS,), "page", Source(b"old"), ttl_seconds=30)

        view.forget(Space.TASKS)

        assert view.remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30).value == b"new"

    def test_a_glance_that_was_taken_before_a_change_does_not_find_what_came_after(self, cache):
        glance = cache.glance()
        cache.forget(Space.TASKS)
        CacheView(cache).remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30)

        assert CacheView(cache, glance).remember((Space.TASKS,), "page", Source(b"old"), ttl_seconds=30).value == b"old"


class TestLocalEntries:
    def test_a_second_request_asks_redis_once(self, counting_cache):
        for space in Space:
            CacheView(counting_cache).remember((space,), "page", Source(b"old"), ttl_seconds=30)
        asked_before = counting_cache.asked

        view = CacheView(counting_cache, counting_cache.glance([Window("requests", 60, 10)]))
        answers = [view.remember((space,), "page", Source(b"new"), ttl_seconds=30) for space in Space]

        assert all(answer.was_cached for answer in answers)
        assert counting_cache.asked - asked_before == 1

    def test_what_redis_had_is_kept_for_the_time_that_was_left(self, cache, redis, redis_url, ticker):
        other = Cache(make_redis(redis_url), now=ticker)
        ask_before(cache, other)
        CacheView(cache).remember((Space.TASKS,), "page", Source(b"old"), ttl_seconds=30)
        assert CacheView(other).remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30).was_cached
        (key,) = redis.scan_iter("page:*")
        redis.delete(key)

        ticker.seconds += 29
        assert CacheView(other).remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30).value == b"old"
        ticker.seconds += 1
        assert CacheView(other).remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30).value == b"new"

    def test_the_least_recently_used_go_when_there_are_too_many(self, counting_cache):
        for number in range(MAX_LOCAL_BYTES // MAX_LOCAL_VALUE_BYTES):
            self.keep(counting_cache, number, MAX_LOCAL_VALUE_BYTES)
            self.keep(counting_cache, 0, MAX_LOCAL_VALUE_BYTES)

        assert self.is_kept(counting_cache, 0)
        assert not self.is_kept(counting_cache, 1)

    def test_a_large_value_is_left_to_redis(self, counting_cache):
        self.keep(counting_cache, 0, MAX_LOCAL_VALUE_BYTES + 1)

        assert not self.is_kept(counting_cache, 0)

    @staticmethod
    def keep(cache, number, size):
        CacheView(cache).remember((Space.TASKS,), f"page {number}", Source(b" " * size), ttl_seconds=30)

    def is_kept(self, cache, number):
        """True if the cache knows the entry without asking Redis for more than the generations."""
        asked_before = cache.asked
        self.keep(cache, number, 0)
        return cache.asked - asked_before == 1


class TestGlance:
    def test_counts_each_window_up_to_the_first_that_is_exceeded(self, cache):
        windows = [Window("all", 60, 2), Window("some", 10, 5)]

        glances = [cache.glance(windows) for _ in range(3)]

        assert [[count.count for count in glance.counts] for glance in glances] == [[1, 1], [2, 2], [3]]

    def test_a_window_ends_its_length_after_its_first_request(self, cache):
        before = time.time()

        first, second = (cache.glance([Window("all", 60, 2)]).counts[0].ends_at for _ in range(2))

        assert before + 59 < first < time.time() + 61
        assert abs(first - second) < 0.5


class TestFlushedRedis:
    def test_an_empty_redis_is_a_miss_and_then_remembers_again(self, cache, redis):
        CacheView(cache).remember((Space.TASKS,), "page", Source(b"old"), ttl_seconds=30)

        redis.flushdb()

        assert CacheView(cache).remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30).value == b"new"
        assert CacheView(cache).remember((Space.TASKS,), "page", Source(b"newer"), ttl_seconds=30).value == b"new"

    def test_a_flush_during_a_load_serves_nothing_old_afterwards(self, cache, redis):
        def load_while_redis_loses_its_memory():
            redis.flushdb()
            cache.forget(Space.TASKS)
            return b"old"

        CacheView(cache).remember((Space.TASKS,), "page", load_while_redis_loses_its_memory, ttl_seconds=30)

        assert CacheView(cache).remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30).value == b"new"


class TestDeadRedis:
    def test_every_call_is_a_miss(self, dead_client, ticker):
        cache = Cache(dead_client, now=ticker)
        source = Source(b"loaded")

        answer = [CacheView(cache).remember((Space.TASKS,), "page", source, ttl_seconds=30) for _ in range(3)]

        assert [each.value for each in answer] == [b"loaded"] * 3
        assert not any(each.was_cached for each in answer)
        assert source.loads == 3

    def test_forgetting_does_not_raise(self, dead_client):
        Cache(dead_client).forget(Space.TASKS, Space.ACTORS)

    def test_is_reported_as_unreachable(self, dead_client, cache):
        assert not Cache(dead_client).is_reachable()
        assert cache.is_reachable()


class TestFrozenRedis:
    """It accepts connections and never answers."""

    def test_costs_one_timeout_and_is_then_left_alone(self, frozen, ticker):
        cache = Cache(make_redis(url_of(frozen)), now=ticker)
        source = Source(b"loaded")

        for _ in range(5):
            assert CacheView(cache).remember((Space.TASKS,), "page", source, ttl_seconds=30).value == b"loaded"

        assert source.loads == 5
        assert count_connections(frozen) == 1

    def test_is_tried_again_after_the_rest(self, frozen, ticker):
        cache = Cache(make_redis(url_of(frozen)), now=ticker)
        CacheView(cache).remember((Space.TASKS,), "page", Source(b"loaded"), ttl_seconds=30)

        ticker.seconds += REST_SECONDS - 0.01
        CacheView(cache).remember((Space.TASKS,), "page", Source(b"loaded"), ttl_seconds=30)
        assert count_connections(frozen) == 1

        ticker.seconds += 0.02
        CacheView(cache).remember((Space.TASKS,), "page", Source(b"loaded"), ttl_seconds=30)
        assert count_connections(frozen) == 1

    def test_forgetting_costs_one_timeout(self, frozen, ticker):
        cache = Cache(make_redis(url_of(frozen)), now=ticker)

        for _ in range(5):
            cache.forget(Space.TASKS)

        assert count_connections(frozen) == 1


class TestForgettingThatDidNotReachRedis:
    def test_is_repeated_before_anything_is_served_again(self, client, ticker):
        cache = Cache(client, now=ticker)
        CacheView(cache).remember((Space.TASKS,), "page", Source(b"old"), ttl_seconds=30)

        with stopped_server(cache):
            cache.forget(Space.TASKS)
        ticker.seconds += REST_SECONDS

        answer = CacheView(cache).remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30)
        assert (answer.value, answer.was_cached) == (b"new", False)
        assert CacheView(cache).remember((Space.TASKS,), "page", Source(b"newer"), ttl_seconds=30).value == b"new"

    def test_nothing_is_served_while_redis_rests(self, client, ticker):
        cache = Cache(client, now=ticker)
        CacheView(cache).remember((Space.TASKS,), "page", Source(b"old"), ttl_seconds=30)

        with stopped_server(cache):
            cache.forget(Space.TASKS)

        assert CacheView(cache).remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30).value == b"new"

    def test_other_processes_see_it_as_soon_as_it_is_repeated(self, client, ticker, redis_url):
        cache = Cache(client, now=ticker)
        other = Cache(make_redis(redis_url))
        CacheView(other).remember((Space.TASKS,), "page", Source(b"old"), ttl_seconds=30)

        with stopped_server(cache):
            cache.forget(Space.TASKS)
        ticker.seconds += REST_SECONDS
        cache.forget(Space.ACTORS)

        assert CacheView(other).remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30).value == b"new"

    def test_is_repeated_even_if_this_process_gets_no_request(self, client, redis_url):
        cache = Cache(client)
        other = Cache(make_redis(redis_url))
        CacheView(other).remember((Space.TASKS,), "page", Source(b"old"), ttl_seconds=30)

        with stopped_server(cache):
            cache.forget(Space.TASKS)

        assert wait_for(
            lambda: CacheView(other).remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30).value == b"new",
            seconds=10,
        )

    def test_nothing_is_served_while_it_is_being_repeated(self, client, ticker):
        cache = Cache(client, now=ticker)
        CacheView(cache).remember((Space.TASKS,), "page", Source(b"old"), ttl_seconds=30)
        # No thread repeats it in the background.
        cache._is_forgetting_again = True
        with stopped_server(cache):
            cache.forget(Space.TASKS)
        ticker.seconds += REST_SECONDS
        ask, seen = cache._redis.ask, []

        def read_before_it_is_told(*command):
            if command[0] == "MSET":
                seen.append(CacheView(cache).remember((Space.TASKS,), "page", Source(b"new"), ttl_seconds=30).value)
            return ask(*command)

        cache._redis.ask = read_before_it_is_told
        assert cache.glance() is not None

        assert seen == [b"new"]

    def test_other_spaces_are_still_known_afterwards(self, client, ticker):
        cache = Cache(client, now=ticker)
        CacheView(cache).remember((Space.ACTORS,), "actor", Source(b"old"), ttl_seconds=30)

        with stopped_server(cache):
            cache.forget(Space.TASKS)
        ticker.seconds += REST_SECONDS

        assert CacheView(cache).remember((Space.ACTORS,), "actor", Source(b"new"), ttl_seconds=30).was_cached


def ask_before(*caches):
    """Ask each of these caches for the page, and let them forget it."""
    for cache in caches:
        CacheView(cache).remember((Space.TASKS,), "page", Source(b"before"), ttl_seconds=30)
        cache.forget(Space.TASKS)


class Source:
    def __init__(self, answer):
        self.answer = answer
        self.loads = 0

    def __call__(self):
        self.loads += 1
        return self.answer


@contextmanager
def stopped_server(cache):
    """Shut down the cache's server during the block, without a loss of its memory."""
    connections = cache._redis
    with closed_port() as port:
        cache._redis = RedisConnections(make_redis(f"redis://127.0.0.1:{port}/0"))
        yield
    cache._redis = connections


@contextmanager
def closed_port():
    """A port where nobody listens; it is taken, so that nobody else gets it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def url_of(server):
    return f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def count_connections(server):
    """Count the connections since the last call."""
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
def client(redis_url, redis):
    """A client that nobody closes: a cache may still be repeating in its thread what it has to forget."""
    return make_redis(redis_url)


@pytest.fixture
def cache(client):
    return Cache(client)


@pytest.fixture
def counting_cache(cache):
    """A cache that counts what it asks Redis."""
    ask, cache.asked = cache._redis.ask, 0

    def count_and_ask(*command):
        cache.asked += 1
        return ask(*command)

    cache._redis.ask = count_and_ask
    # Redis knows the scripts from now on.
    cache.glance()
    cache.asked = 0
    return cache


@pytest.fixture
def dead_client():
    with closed_port() as port:
        yield make_redis(f"redis://127.0.0.1:{port}/0")


@pytest.fixture
def frozen():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server
