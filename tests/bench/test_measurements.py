"""The logic of the measurements that needs no clock: percentiles, goals, names of groups, and answers over HTTP."""

import socket
import threading

import pytest

from bench.groups import ALL, choose_groups
from bench.load import Plan, Sent, generate
from bench.machine import Machine
from bench.report import Report
from bench.rows import Row, at_least, at_most, figure_row, percentile


class TestPercentile:
    def test_it_is_a_value_that_so_many_do_not_exceed(self):
        values = list(range(1, 101))

        assert [percentile(values, percent) for percent in (50, 99, 100)] == [50, 99, 100]

    def test_of_few_values_a_high_one_is_the_largest(self):
        assert percentile([3.0, 1.0, 2.0], 99) == 3.0

    def test_of_no_values_it_is_zero(self):
        assert percentile([], 99) == 0.0


class TestGoal:
    @pytest.mark.parametrize(("goal", "ratio", "is_met"), [
        (at_least(0.5), 0.5, True),
        (at_least(0.5), 0.49, False),
        (at_most(1.2), 1.2, True),
        (at_most(1.2), 1.21, False),
    ])  # fmt: skip
    def test_the_limit_itself_is_met(self, goal, ratio, is_met):
        assert Row("what", "against", 1, 1, "ms", ratio, goal).is_met is is_met


class TestChooseGroups:
    def test_no_name_means_all_groups(self):
        assert choose_groups("") == list(ALL)

    def test_several_names_are_separated_by_commas(self):
        assert choose_groups("http, create") == ["http", "create"]

    def test_an_unknown_name_is_refused_with_the_names_that_exist(self):
        with pytest.raises(ValueError, match=r"no group is named lists; the groups are requests, http, .*list, board"):
            choose_groups("lists,http")


class TestReport:
    def test_a_failed_measurement_is_printed_and_the_others_go_on(self, report, capsys):
        def fail() -> Row:
            raise RuntimeError("the server is gone")

        report.measure("first", fail)
        report.measure("second", lambda: figure_row("memory", 12.5, "MB"))

        printed = capsys.readouterr().out
        assert "FAILED first: RuntimeError: the server is gone" in printed
        assert "12.50 MB" in printed
        assert report.has_failures

    def test_rows_before_a_failure_remain(self, report, capsys):
        def fail_late():
            yield figure_row("memory", 12.5, "MB")
            raise RuntimeError("the server is gone")

        report.measure("both", fail_late)

        assert "12.50 MB" in capsys.readouterr().out

    def test_a_missed_goal_is_marked(self, report, capsys):
        report.measure("list", lambda: Row("list", "a bare view", 2, 1, "ms", 0.5, at_least(0.6)))

        assert "missed" in capsys.readouterr().out
        assert [row.what for row in report.missed] == ["list"]


class TestLoad:
    @pytest.mark.parametrize("answer", [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nok",
    ], ids=["with a length", "closed after one answer", "chunked", "until the end"])  # fmt: skip
    def test_an_answer_of_any_form_is_counted_once(self, answer):
        with AnsweringServer(answer) as server:
            load = generate(Plan(server.port, [Sent("GET", "/")], connections=2, seconds=0.1))

        assert load.statuses == {"200": server.answers}
        assert load.refused == 0

    def test_an_error_status_is_a_refusal(self):
        with AnsweringServer(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n") as server:
            load = generate(Plan(server.port, [Sent("GET", "/")], connections=1, seconds=0.1))

        assert load.refused == server.answers
        assert load.rate == 0


class AnsweringServer:
    """Answers each request with the same bytes, and closes the connection where they say so."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._closes = b"close" in answer or b"HTTP/1.0" in answer
        self._lock = threading.Lock()
        self.answers = 0

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(self, *_exc_info):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=(client,)))
            self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            while client.recv(65536):
                with self._lock:
                    self.answers += 1
                client.sendall(self._answer)
                if self._closes:
                    return


@pytest.fixture
def report():
    machine = Machine(
        commit="abc1234", cores=2, memory_gib=4, cpu="a processor", load_before=(0, 0, 0), python="3", postgresql="18",
        valkey="9", is_quick=True,
    )  # fmt: skip
    return Report(machine)
