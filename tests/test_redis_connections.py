import threading

import pytest
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.redis_connections import SOCKET_TIMEOUT_SECONDS, RedisConnections, Script, make_redis
from tests.servers import wait_for


class TestConnections:
    def test_one_serves_all_commands_that_follow_each_other(self, connections, redis):
        before = redis.info("clients")["connected_clients"]

        for number in range(20):
            connections.ask("SET", "number", number)

        assert connections.ask("GET", "number") == b"19"
        assert redis.info("clients")["connected_clients"] == before + 1

    def test_one_that_the_server_has_closed_is_opened_again(self, connections, redis):
        connections.ask("SET", "word", "kept")

        redis.client_kill_filter(_type="normal", skipme=True)

        assert connections.ask("GET", "word") == b"kept"

    def test_an_answer_that_came_too_late_is_not_that_of_the_next_command(self, connections, redis):
        connections.ask("MSET", "first", "1", "second", "2")
        redis.client_pause(int(SOCKET_TIMEOUT_SECONDS * 2000))

        with pytest.raises(RedisTimeoutError):
            connections.ask("GET", "first")

        assert wait_for(lambda: answers(connections, "second") == b"2", seconds=5)

    def test_an_error_of_the_server_leaves_the_connection_usable(self, connections):
        connections.ask("SET", "word", "no number")

        with pytest.raises(ResponseError):
            connections.ask("INCR", "word")

        assert connections.ask("GET", "word") == b"no number"

    def test_threads_at_the_same_time_get_their_own_answers(self, connections):
        wrong = []

        def ask(name):
            for number in range(200):
                connections.ask("SET", name, number)
                if connections.ask("GET", name) != str(number).encode():
                    wrong.append(name)

        threads = [threading.Thread(target=ask, args=(f"thread {each}",)) for each in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert wrong == []


class TestScript:
    def test_runs_though_the_server_has_forgotten_it(self, connections, redis):
        script = Script("return {KEYS[1], ARGV[1]}")
        assert connections.run(script, ["key"], [1]) == [b"key", b"1"]

        redis.script_flush()

        assert connections.run(script, ["key"], [2]) == [b"key", b"2"]


def answers(connections, key):
    try:
        return connections.ask("GET", key)
    except RedisTimeoutError:
        return None


@pytest.fixture
def connections(redis_url, redis):
    return RedisConnections(make_redis(redis_url))
