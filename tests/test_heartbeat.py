"""Children that freeze in several ways, and a watcher that freezes with them."""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from app.heartbeat import Heartbeats
from tests.servers import ROOT, wait_for

# A busy machine keeps a thread waiting for less than this.
SILENT_SECONDS = 4.0


class TestHeartbeats:
    def test_a_stopped_child_is_killed_and_the_others_go_on(self, start):
        frozen, sound = start(time.sleep, 60), start(time.sleep, 60)
        assert wait_for(lambda: {frozen.pid, sound.pid} <= start.heartbeats._heard_at.keys())

        os.kill(frozen.pid, signal.SIGSTOP)

        assert wait_for(lambda: frozen.exitcode == -signal.SIGKILL, seconds=20)
        assert sound.is_alive()

    @pytest.mark.deep
    def test_a_child_that_never_releases_the_interpreter_is_killed(self, start):
        stuck = start(hold_interpreter)

        assert wait_for(lambda: stuck.exitcode == -signal.SIGKILL, seconds=20)

    @pytest.mark.deep
    def test_an_ended_child_is_forgotten(self, start):
        ended = start(time.sleep, 0.5)
        assert wait_for(lambda: ended.pid in start.heartbeats._heard_at)

        assert wait_for(lambda: ended.pid not in start.heartbeats._heard_at, seconds=20)
        assert ended.exitcode == 0

    @pytest.mark.deep
    def test_no_child_is_killed_after_all_were_suspended(self):
        family = subprocess.Popen(
            [sys.executable, "-c", FAMILY.format(SILENT_SECONDS)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        child = int(family.stdout.readline())

        os.killpg(family.pid, signal.SIGSTOP)
        # This is longer than an allowed silence, and longer than a watcher may be late.
        time.sleep(SILENT_SECONDS + 2)
        # The watcher resumes first.
        os.kill(family.pid, signal.SIGCONT)
        os.kill(child, signal.SIGCONT)

        assert family.stdout.readline() == "beating on\n"
        os.killpg(family.pid, signal.SIGKILL)
        family.communicate()


# It prints the number of its child, and later that the child was heard again a few times.
FAMILY = """
import os, time
from app.heartbeat import Heartbeats

heartbeats = Heartbeats(silent_seconds={})
heartbeats.watch()
child = os.fork()
if child == 0:
    heartbeats.beat()
    time.sleep(60)
while child not in heartbeats._heard_at:
    time.sleep(0.1)
print(child, flush=True)
began = time.monotonic()
while time.monotonic() - began < 10:
    time.sleep(0.1)
assert os.waitpid(child, os.WNOHANG) == (0, 0), "the child was killed"
assert time.monotonic() - heartbeats._heard_at[child] < 3
print("beating on", flush=True)
time.sleep(60)
"""


def hold_interpreter():
    time.sleep(1.5)
    # This call keeps the lock.
    ctypes.PyDLL(None).sleep(60)


def beat_and(heartbeats, work, arguments):
    heartbeats.beat()
    work(*arguments)


@pytest.fixture
def start():
    children = []
    heartbeats = Heartbeats(silent_seconds=SILENT_SECONDS)
    heartbeats.watch()

    def start_child(work, *arguments):
        fork = multiprocessing.get_context("fork")
        children.append(fork.Process(target=beat_and, args=(heartbeats, work, arguments)))
        children[-1].start()
        return children[-1]

    start_child.heartbeats = heartbeats
    yield start_child
    for child in children:
        child.kill()
        child.join()
