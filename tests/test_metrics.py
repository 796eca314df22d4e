"""Real processes that share a directory, and die. A whole process uses one class of values, hence the processes."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from app.metrics import FILE_BYTES, Metrics
from tests.memory_disks import fill, mounted_memory
from tests.servers import ROOT, wait_for

# It does what it reads, one command a line, and answers each with the counts of all processes.
COUNTING = """
import json, os, signal, sys
from pathlib import Path
from app.metrics import Metrics

metrics = Metrics(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
metrics.connections_limit.inc(5)


def do(word, amount):
    if word == "count":
        metrics.requests.labels("GET", "/here", "200").inc(amount)
    elif word == "time":
        metrics.request_seconds.labels("GET", "/here").observe(amount)
    elif word == "look":
        metrics.count_lookup("tasks", True)
    elif word == "answer":
        method, route, _ = amount.split()
        for status in ("200", "400", "401", "403", "404", "409", "422", "429", "500", "503"):
            metrics.requests.labels(method, route, status).inc()
        metrics.request_seconds.labels(method, route).observe(1)
        return {}
    elif word == "use":
        metrics.connections_in_use.inc(amount)
    elif word == "fork":
        return fork(amount)
    samples = [sample for family in metrics.registry().collect() for sample in family.samples]
    values = {sample.name: sample.value for sample in samples if "le" not in sample.labels}
    return {name.removeprefix("tasktrackerpro_"): value for name, value in values.items()}


def fork(amount):
    "Answers with the number of a child that has counted so much and lives on."
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        metrics.requests.labels("GET", "/here", "200").inc(amount)
        metrics.connections_in_use.inc(amount)
        os.write(writing, b".")
        signal.pause()
    os.read(reading, 1)
    return child


for line in sys.stdin:
    word, _, amount = line.partition(" ")
    amount = amount.strip() if word == "answer" else float(amount or 0)
    print(json.dumps(do(word.strip(), amount)), flush=True)
"""
REQUESTS = "http_requests_total"
IN_USE = "database_connections_in_use"
LIMIT = "database_connections_limit"


class TestOneDirectory:
    def test_the_counts_of_all_processes_add_up_in_each_of_them(self, start):
        first, second = start(), start()

        first.do("count", 3)
        second.do("count", 4)
        first.do("look")
        second.do("look")
        first.do("time", 0.5)
        second.do("time", 0.25)
        figures = first.do("tell")

        assert figures == second.do("tell")
        assert (figures[REQUESTS], figures["cache_lookups_total"]) == (7, 2)
        assert figures["http_request_duration_seconds_count"] == 2
        assert figures["http_request_duration_seconds_sum"] == 0.75

    def test_connections_in_use_add_up_and_go_down_again(self, start):
        first, second = start(), start()

        first.do("use", 2)
        assert second.do("use", 3)[IN_USE] == 5
        first.do("use", -2)

        assert second.do("tell")[IN_USE] == 3
        assert second.do("tell")[LIMIT] == 10

    def test_no_file_belongs_to_two_processes(self, start, directory):
        for process in (start(), start()):
            process.do("count", 1)

        assert len([*directory.glob("place-*.lock")]) == 2
        assert len([*directory.glob("counter_*.db")]) == 2


class TestKilledProcess:
    def test_its_counts_are_kept_by_the_next(self, start):
        first, second = start(), start()
        first.do("count", 3)
        second.do("count", 4)

        first.kill()
        assert second.do("tell")[REQUESTS] == 7
        third = start()
        third.do("count", 10)

        assert second.do("tell")[REQUESTS] == 17

    def test_its_connections_in_use_are_gone_with_the_next(self, start):
        first, second = start(), start()
        first.do("use", 3)
        second.do("use", 1)

        first.kill()
        third = start()

        figures = third.do("tell")
        assert (figures[IN_USE], figures[LIMIT]) == (1, 10)

    def test_leaves_its_slot_to_the_next_and_no_file(self, start, directory):
        start().die_after_counting()
        files_after_one = names_in(directory)

        for _ in range(19):
            start().die_after_counting()

        assert names_in(directory) == files_after_one
        last = start().do("tell")
        assert (last[REQUESTS], last.get(IN_USE, 0), last[LIMIT]) == (20, 0, 5)

    def test_does_not_leave_a_slot_that_is_still_in_use(self, start, directory):
        alive = start()
        alive.do("count", 1)
        start().die_after_counting()

        start().do("count", 5)

        assert alive.do("count", 2)[REQUESTS] == 9
        assert len([*directory.glob("place-*.lock")]) == 2


class TestRoom:
    def test_is_reserved_before_anything_is_counted(self, start, directory):
        start()

        files = [*directory.glob("*.db")]
        assert {file.name for file in files} == {"counter_0.db", "histogram_0.db", "gauge_livesum_0.db"}
        assert all(file.stat().st_blocks * 512 >= FILE_BYTES == file.stat().st_size for file in files)

    def test_is_enough_for_every_route_and_every_answer(self, start, directory, app):
        process = start()
        for rule in app.url_map.iter_rules():
            for method in rule.methods:
                process.do(f"answer {method} {rule.rule}")

        assert all(file.stat().st_size == FILE_BYTES for file in directory.glob("*.db"))

    def test_without_room_a_process_counts_by_itself(self, start, directory):
        directory.rmdir()

        process = start()

        assert process.do("count", 3)[REQUESTS] == 3

    @pytest.mark.deep
    def test_room_taken_by_others_kills_no_process(self, start, directory):
        with mounted_memory(directory, mebibytes=8):
            process = start()
            fill(directory)

            assert process.do("count", 3)[REQUESTS] == 3
            for number in range(200):
                process.do(f"answer GET /route/{number}")
            assert start().do("count", 4)[REQUESTS] == 4
            assert process.do("tell")
            process.kill()


class TestForkedChild:
    def test_takes_a_slot_of_its_own(self, start, directory):
        parent = start()
        parent.do("count", 1)

        parent.do("fork", 10)

        figures = parent.do("count", 2)
        assert (figures[REQUESTS], figures[IN_USE]) == (13, 10)
        assert len([*directory.glob("place-*.lock")]) == 2

    def test_leaves_its_slot_to_the_next_when_it_is_killed(self, start, directory):
        parent = start()
        child = parent.do("fork", 10)
        os.kill(child, signal.SIGKILL)
        assert wait_for(lambda: has_ended(child))
        parent.do("fork", 100)

        figures = parent.do("tell")

        assert (figures[REQUESTS], figures[IN_USE]) == (110, 100)
        assert len([*directory.glob("place-*.lock")]) == 2

    def test_keeps_its_slot_when_its_parent_is_killed(self, start, directory):
        parent = start()
        parent.do("count", 1)
        child = parent.do("fork", 10)
        parent.kill()

        figures = start().do("count", 5)

        os.kill(child, signal.SIGKILL)
        assert (figures[REQUESTS], figures[IN_USE], figures[LIMIT]) == (16, 10, 5)
        assert len([*directory.glob("place-*.lock")]) == 2


class TestWithoutDirectory:
    def test_each_process_counts_by_itself_and_says_so(self):
        first, second = Metrics(), Metrics()

        first.requests.labels("GET", "/here", "200").inc(3)
        second.requests.labels("GET", "/here", "200").inc(4)

        labels = {"method": "GET", "route": "/here", "status": "200"}
        assert first.registry().get_sample_value("tasktrackerpro_http_requests_total", labels) == 3
        assert second.registry().get_sample_value("tasktrackerpro_http_requests_total", labels) == 4

    def test_no_file_is_written(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

        Metrics().count_lookup("tasks", was_cached=True)

        assert names_in(tmp_path) == []


class Process:
    def __init__(self, directory):
        self._process = subprocess.Popen(
            [sys.executable, "-c", COUNTING],
            cwd=ROOT,
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)},
            process_group=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.do("tell")

    def do(self, word, amount=0):
        self._process.stdin.write(f"{word} {amount}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def die_after_counting(self):
        self.do("count", 1)
        self.do("use", 1)
        self.kill()

    def kill(self):
        """Kill this process and not its children."""
        self._process.kill()
        self._process.wait()

    def end(self):
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


def has_ended(pid):
    """Return True if only its parent, which has not waited for it yet, still knows of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def names_in(directory):
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def directory(tmp_path):
    directory = tmp_path / "numbers"
    directory.mkdir()
    return directory


@pytest.fixture
def start(directory):
    with ExitStack() as stack:

        def start_one():
            process = Process(directory)
            stack.callback(process.end)
            return process

        yield start_one
