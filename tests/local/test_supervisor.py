import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from app.local.supervisor import SupervisedProcess, _is_stopped, stop_all
from app.output import Output
from tests.servers import wait_for


class TestPart:
    def test_its_output_is_prefixed_with_its_name(self, start, capfd):
        start("print('hello from inside', flush=True)")

        assert wait_for(lambda: "speaker  | hello from inside" in collected(capfd))

    def test_it_is_ready_when_it_says_so(self, start):
        part = start("import time; print('at your service', flush=True); time.sleep(60)", ready_text="at your service")

        assert part.is_ready.wait(10)

    def test_it_is_restarted_when_it_dies(self, start, tmp_path):
        part = start(f"open({str(tmp_path / 'starts')!r}, 'a').write('x'); raise SystemExit(3)")

        def has_started_twice():
            part.keep_running()
            return len((tmp_path / "starts").read_text()) >= 2 if (tmp_path / "starts").exists() else False

        assert wait_for(has_started_twice)

    def test_the_pause_grows_with_each_early_death(self, start, capfd):
        part = start("raise SystemExit(3)")

        def has_died_twice():
            part.keep_running()
            return "restarting in 1 s" in collected(capfd)

        assert wait_for(has_died_twice)

    def test_a_stopped_process_is_replaced(self, start, tmp_path, monkeypatch):
        monkeypatch.setattr("app.local.supervisor.STOPPED_SECONDS", 0.5)
        part = start(f"import time; open({str(tmp_path / 'starts')!r}, 'a').write('x'); time.sleep(60)")
        assert wait_for((tmp_path / "starts").exists)
        os.kill(part._process.pid, signal.SIGSTOP)

        def has_started_twice():
            part.keep_running()
            return (tmp_path / "starts").read_text() == "xx"

        assert wait_for(has_started_twice)

    def test_a_process_that_was_stopped_with_its_supervisor_is_left_alone(self, start, monkeypatch):
        monkeypatch.setattr("app.local.supervisor.STOPPED_SECONDS", 0.5)
        monkeypatch.setattr("app.local.supervisor.LATE_SECONDS", 0.2)
        part = start("import time; time.sleep(60)")
        part.keep_running()
        os.kill(part._process.pid, signal.SIGSTOP)
        assert wait_for(lambda: _is_stopped(part._process.pid))
        part.keep_running()

        # Nobody looks for a while, because the supervisor is stopped too.
        threading.Event().wait(1)
        part.keep_running()

        assert part.is_running()
        os.kill(part._process.pid, signal.SIGCONT)

    def test_its_children_die_with_it(self, start, tmp_path):
        child = "import time; time.sleep(60)"
        part = start(
            "import subprocess, sys, time\n"
            f"child = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
            f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
            "time.sleep(60)"
        )
        assert wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())

        stop_all([part], seconds=5)

        assert wait_for(lambda: not is_alive(int((tmp_path / "pid").read_text())))

    @pytest.mark.parametrize("reader", ["stopped", "gone", "on a full disk"])
    def test_it_goes_on_without_a_reader_of_the_output(self, start, tmp_path, monkeypatch, reader):
        """The output is longer than any pipe or queue can hold."""
        read_end, write_end = os.pipe()
        if reader == "gone":
            os.close(read_end)
        where = os.open("/dev/full", os.O_WRONLY) if reader == "on a full disk" else write_end
        monkeypatch.setattr("app.local.supervisor.output", Output(where, describe_dropped=str))
        done = tmp_path / "done"

        part = start(f"for n in range(20_000): print('x' * 200)\nopen({str(done)!r}, 'w')\nraise SystemExit(3)")

        assert wait_for(done.exists)
        assert wait_for(lambda: not part.is_running())
        part.keep_running()

    def test_a_server_goes_on_while_nobody_reads_its_output(self, start, tmp_path, monkeypatch):
        """The supervisor may be suspended."""
        is_over, done = threading.Event(), tmp_path / "done"
        monkeypatch.setattr(SupervisedProcess, "_relay", lambda _part, lines: (is_over.wait(), lines.close()))

        start(CHATTY_SERVER.format(str(done)), dies_with_us=False)

        assert wait_for(done.exists)
        is_over.set()


class TestStopAll:
    def test_a_process_that_does_not_stop_is_killed(self, start, capfd):
        part = start(
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('stubborn', flush=True); "
            "time.sleep(60)",
            ready_text="stubborn",
        )
        assert part.is_ready.wait(10)

        stop_all([part], seconds=0.3)

        assert not part.is_running()
        assert wait_for(lambda: "did not stop within 0.3 s and is killed" in collected(capfd))

    def test_a_process_that_stops_by_itself_may_finish(self, start, tmp_path):
        part = start(
            "import signal, sys, time\n"
            f"path = {str(tmp_path / 'end')!r}\n"
            "signal.signal(signal.SIGINT, lambda *_: (open(path, 'w').write('in order'), sys.exit()))\n"
            "print('waiting', flush=True)\n"
            "time.sleep(60)",
            ready_text="waiting",
            stop_signal=signal.SIGINT,
        )
        assert part.is_ready.wait(10)

        stop_all([part], seconds=10)

        assert (tmp_path / "end").read_text() == "in order"


CHATTY_SERVER = """
import os
from contextlib import suppress
for _ in range(2_000):
    with suppress(BlockingIOError):
        os.write(2, b"x" * 200)
open({!r}, "w")
"""
_captured: list[str] = []


def collected(capfd):
    _captured.append(capfd.readouterr().out)
    return "".join(_captured)


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.fixture
def start():
    parts = []
    _captured.clear()

    def start_part(code, **kwargs):
        part = SupervisedProcess("speaker", lambda: [sys.executable, "-c", code], **kwargs)
        parts.append(part)
        part.start()
        return part

    yield start_part
    for part in parts:
        part.kill()
