"""Output whose reader stops, leaves or has no room: its writer neither waits nor fails."""

import os
import subprocess
import sys
import threading

import pytest

from app.output import MAX_WAITING_LINES, Output
from tests.servers import ROOT

MANY = MAX_WAITING_LINES * 3


class TestOutput:
    def test_lines_arrive_in_order(self, pipe):
        output = pipe.output()

        for number in range(100):
            output.write_line(f"line {number}")
        output.flush()
        pipe.close_writer()

        assert pipe.read_lines() == [f"line {number}" for number in range(100)]

    def test_a_stopped_reader_blocks_nobody_and_learns_how_many_lines_it_missed(self, pipe):
        output = pipe.output()
        line = "x" * 200

        for _ in range(MANY):
            output.write_line(line)
        output.flush(seconds=0.1)
        reading = threading.Thread(target=pipe.read_lines)
        reading.start()
        output.flush()
        output.flush()
        pipe.close_writer()
        reading.join()

        missed_counts = [int(line.removeprefix("dropped ")) for line in pipe.lines if line != "x" * 200]
        assert sum(missed_counts) > 0
        assert pipe.lines.count(line) + sum(missed_counts) == MANY

    def test_a_reader_that_left_is_not_an_error(self, pipe):
        output = pipe.output()
        pipe.close_reader()

        for _ in range(10):
            output.write_line("hello")
            output.flush()

    def test_a_full_disk_costs_only_the_lines_of_that_time(self, pipe, monkeypatch):
        with open("/dev/full", "wb") as full:  # noqa: PTH123
            output = Output(full.fileno(), describe_dropped=lambda count: f"dropped {count}")
            output.write_line("lost")
            output.flush()
            os.dup2(pipe.write_end, full.fileno())
            output.write_line("kept")
            output.flush()
        pipe.close_writer()

        assert pipe.read_lines() == ["kept", "dropped 1"]

    def test_a_lone_surrogate_is_written(self, pipe):
        output = pipe.output()
        output.write_line("\udc80")
        output.flush()
        pipe.close_writer()

        assert pipe.read_lines() == ["\\udc80"]

    @pytest.mark.parametrize("how", ["fork", "exit"])
    def test_a_process_that_ends_writes_its_last_lines(self, how):
        ended = subprocess.run(
            [sys.executable, "-c", LAST_LINES[how]], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
        )

        assert ended.stdout == "first\nlast\n"
        assert ended.stderr == ""

    def test_a_process_with_unread_output_ends_with_its_own_status(self):
        process = subprocess.Popen([sys.executable, "-c", ENDLESS_OUTPUT], cwd=ROOT, stdout=subprocess.PIPE)

        assert process.wait(timeout=30) == 3
        process.stdout.close()


LAST_LINES = {
    "exit": """
from app.output import Output
output = Output(1, describe_dropped=str)
output.write_line("first")
output.write_line("last")
""",
    # The server of the api starts its workers like this, while the parent's own writer is at work.
    "fork": """
import multiprocessing
from app.output import Output
output = Output(1, describe_dropped=str)
output.write_line("first")
output.flush()
child = multiprocessing.get_context("fork").Process(target=output.write_line, args=["last"])
child.start()
child.join()
""",
}
ENDLESS_OUTPUT = """
from app.output import Output
output = Output(1, describe_dropped=str)
for _ in range(100_000):
    output.write_line("x" * 200)
raise SystemExit(3)
"""


class Pipe:
    def __init__(self):
        self.read_end, self.write_end = os.pipe()
        self.lines = []

    def output(self):
        return Output(self.write_end, describe_dropped=lambda count: f"dropped {count}")

    def read_lines(self):
        with os.fdopen(os.dup(self.read_end)) as reader:
            for line in reader:
                self.lines.append(line.rstrip("\n"))
        return self.lines

    def close_writer(self):
        os.close(self.write_end)

    def close_reader(self):
        os.close(self.read_end)


@pytest.fixture
def pipe():
    return Pipe()
