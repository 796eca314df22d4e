"""A whole tracker under writers and imports, while its disk fills, its database freezes and its processes are killed.

The faults come at random moments, and several at once. The test prints its seed; CHAOS_SEED=… uses that one again.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPException
from itertools import count
from threading import Event, Thread
from uuid import uuid4

import psycopg2
import pytest

from app.csv_files.blocks import BLOCK_ROWS
from app.local.servers import PostgresServer
from app.local.system_user import ServerUser
from tests.local.tracker import Tracker
from tests.memory_disks import fill, mounted_memory, use_up_log
from tests.promises.journal import HANG_SECONDS, writing
from tests.promises.stage import Served, children_of, signal_all
from tests.servers import wait_for

CHAOS_SECONDS = 80.0
# The supervisor waits longer after each early death, up to half a minute.
BACK_SECONDS = 90.0
DONE_SECONDS = 60.0
DISK_MEBIBYTES = 1500
WRITERS = 4
# This many rows, so that the api leaves them to a worker.
ROWS = BLOCK_ROWS + 1
PROCESSES = ("main.py api", "celery_worker worker", "celery_worker beat")

pytestmark = pytest.mark.deep


class TestEverythingAtOnce:
    def test_loses_and_doubles_nothing(self, tracker):
        seed = int(os.environ.get("CHAOS_SEED") or time.time_ns() % 1_000_000)
        print(f"\nCHAOS_SEED={seed}")
        faults = [
            Fault(tracker.fill_disk, 6.0),
            Fault(tracker.freeze_postgres, 6.0),
            Fault(tracker.stop_supervisor, 6.0),
            Fault(tracker.kill_a_process, 8.0),
            Fault(tracker.pass_midnight, 10.0),
        ]

        with writing(tracker, writers=WRITERS) as journal, importing(tracker) as imports:
            until = time.monotonic() + CHAOS_SECONDS
            with ThreadPoolExecutor(len(faults)) as threads:
                striking = [
                    threads.submit(fault.strike, random.Random(f"{seed} {number}"), until)  # noqa: S311 - no secret
                    for number, fault in enumerate(faults)
                ]
            for end in striking:
                end.result()
            began_at = time.monotonic()
            assert wait_for(journal.goes_on, seconds=BACK_SECONDS), (journal.problems, tracker.output())
            back_after = time.monotonic() - began_at
            imports.end()
            assert wait_for(tracker.has_done_all_imports, seconds=DONE_SECONDS), tracker.unfinished_imports()
            tracker.pass_midnight(random.Random(seed))  # noqa: S311 - no secret
            status, body = tracker.ask("POST", "/log-tasks")
            assert status in {200, 201, 202}, body
            assert wait_for(tracker.has_logged_all_days, seconds=DONE_SECONDS), tracker.closed_days()
            assert wait_for(tracker.is_ready, seconds=DONE_SECONDS), tracker.ask("GET", "/readyz")

        print(", ".join(f"{fault.name}: {fault.strikes}" for fault in faults))
        print(f"PostgreSQL ended for want of room {tracker.panics()} times")
        print(f"all writers back {back_after:.1f} s after the last fault")
        assert journal.slowest_seconds < HANG_SECONDS
        journal.ensure_kept(tracker, besides="% row %")
        imports.ensure_done_once()
        tracker.ensure_days_are_as_history_says()
        assert journal.problems == []
        assert imports.problems == []
        tracker.stop_in_order()


class Fault:
    """Strikes repeatedly, after pauses of random length."""

    def __init__(self, cause: Callable[[random.Random], None], longest_pause_seconds: float) -> None:
        self.name = cause.__name__.replace("_", " ")
        self._cause = cause
        self._longest_pause_seconds = longest_pause_seconds
        self.strikes = 0

    def strike(self, moments: random.Random, until: float) -> None:
        while time.monotonic() < until:
            time.sleep(moments.uniform(0.5, self._longest_pause_seconds))
            self._cause(moments)
            self.strikes += 1


class WholeTracker(Served):
    """`python main.py` with its bundled servers, on a small disk."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._run = tracker.start(
            API_PROCESSES="2",
            WORKER_PROCESSES="2",
            RATE_LIMIT_ENABLED="false",
            CLASSIC_TOKEN_MINUTES="1440",
            LOG_LEVEL="WARNING",
            TIME_ZONE="UTC",
        )
        self._run.wait_until_ready()
        self._postgres = PostgresServer(tracker.data_dir, ServerUser())
        super().__init__(tracker.port, self._postgres.url)
        self.log_in()
        self._move_clock_by_a_table()

    def output(self) -> str:
        return self._run.output()

    def fill_disk(self, moments: random.Random) -> None:
        ends_at = time.monotonic() + moments.uniform(1.0, 6.0)
        uses_up_log = moments.random() < 0.5
        with ExitStack() as stack:
            connection = self._connect_as_superuser(stack) if uses_up_log else None
            stack.callback(fill(self._tracker.data_dir, leave_mebibytes=1).unlink)
            fill(self._tracker.data_dir)
            if connection is not None:
                use_up_log(connection)
            while time.monotonic() < ends_at:
                time.sleep(0.1)
                fill(self._tracker.data_dir)

    def freeze_postgres(self, moments: random.Random) -> None:
        pid = self._postgres.running_pid()
        seconds = moments.uniform(1.0, 6.0)
        if pid is None:
            return
        signal_all([pid], signal.SIGSTOP)
        pids = [pid, *children_of(pid)]
        signal_all(pids, signal.SIGSTOP)
        time.sleep(seconds)
        signal_all(pids, signal.SIGCONT)

    def stop_supervisor(self, moments: random.Random) -> None:
        self._run.process.send_signal(signal.SIGSTOP)
        time.sleep(moments.uniform(1.0, 6.0))
        self._run.process.send_signal(signal.SIGCONT)

    def kill_a_process(self, moments: random.Random) -> None:
        """Kill a process of the api, the worker or beat: the first one, or one of its children."""
        pids = self._tracker.pids_of(self._run, moments.choice(PROCESSES))
        # This kind of death makes the supervisor wait longer each time before it restarts the process.
        if len(pids) > 1 and moments.random() < 0.75:
            pids = pids[1:]
        if pids:
            signal_all([moments.choice(pids)], signal.SIGKILL)

    def pass_midnight(self, _moments: random.Random) -> None:
        """Move the clock past midnight, if the database lets us."""
        with suppress(psycopg2.Error):
            self.query("UPDATE test_clock SET shift = shift + interval '1 day'")

    def panics(self) -> int:
        return self.output().count("PANIC:")

    def has_done_all_imports(self) -> bool:
        return self.unfinished_imports() == []

    def unfinished_imports(self):
        return self.query(
            "SELECT id, state, next_block, block_count, failed_attempts, claimed_until FROM imports"
            " WHERE finished_at IS NULL AND state <> 'staging'"
        )

    def has_logged_all_days(self) -> bool:
        return self.closed_days() == self.query(
            "SELECT day::date FROM generate_series((SELECT min(valid_from) FROM task_history)::date,"
            " record_now()::date - 1, interval '1 day') AS day ORDER BY 1"
        )

    def closed_days(self):
        return self.query("SELECT log_date FROM log_runs WHERE is_final ORDER BY 1")

    def is_ready(self) -> bool:
        return self.ask("GET", "/readyz")[0] == 200

    def ensure_days_are_as_history_says(self) -> None:
        days = self.closed_days()
        rows = []
        for (day,) in days:
            ((of_run, logged, folded, alike),) = self.query(
                """
                WITH logged AS (SELECT log_date, task_id, title, status FROM task_logs WHERE log_date = %s),
                     day AS (SELECT task_count, log_date, log_date + interval '1 day' AS ends_at FROM log_runs
                              WHERE log_date = %s),
                     folded AS (
                        SELECT task_id, title, status FROM task_history, day
                         WHERE valid_from < ends_at AND ends_at <= valid_to
                           AND deleted_at IS NULL AND status NOT IN ('done', 'cancelled')
                     )
                SELECT (SELECT task_count FROM day), (SELECT count(*) FROM logged), (SELECT count(*) FROM folded),
                       (SELECT count(*) FROM logged JOIN folded USING (task_id, title, status))
                """,
                *(day, day),
            )
            assert of_run == logged == folded == alike, day
            rows.append(logged)
        print(f"{len(days)} days, each logged once and as its history ends, with {sum(rows)} rows")

    def stop_in_order(self) -> None:
        self._run.process.send_signal(signal.SIGTERM)
        assert self._run.process.wait(timeout=40) == 0, self.output()
        assert self._tracker.processes() == []

    def _move_clock_by_a_table(self) -> None:
        self.query(
            "CREATE TABLE test_clock (shift interval NOT NULL); INSERT INTO test_clock VALUES (interval '0');"
            "CREATE OR REPLACE FUNCTION record_now() RETURNS timestamptz LANGUAGE sql STABLE AS"
            " 'SELECT now() + (SELECT shift FROM test_clock)'"
        )

    def _connect_as_superuser(self, stack):
        """Return None if the database does not let us."""
        url = self._postgres.url.replace("//tasktracker@/tasktracker", "//postgres@/postgres")
        try:
            connection = psycopg2.connect(url, connect_timeout=2)
        except psycopg2.Error:
            return None
        stack.callback(connection.close)
        connection.autocommit = True
        return connection


class Importer(Thread):
    """Sends one file after the other, each again under its key until it is accepted."""

    def __init__(self, tracker: WholeTracker) -> None:
        super().__init__(daemon=True)
        self._tracker = tracker
        self.is_over = Event()
        self.accepted: dict[str, int] = {}
        self.unknown: set[str] = set()
        self.statuses: Counter[str] = Counter()
        self.problems: list[str] = []

    def run(self) -> None:
        for number in count():
            name = f"Import {number} {uuid4().hex}"
            while name not in self.accepted and not self.is_over.wait(1.0):
                self.unknown.add(name)
                self._send(name)
            if self.is_over.is_set():
                return

    def _send(self, name: str) -> None:
        try:
            status, body = self._tracker.send_file(
                name, [f"{name} row {row}" for row in range(ROWS)], {"Idempotency-Key": name, "Prefer": "respond-async"}
            )
        except (OSError, HTTPException, ValueError) as error:
            self.statuses[type(error).__name__] += 1
            return
        if status in {200, 201, 202}:
            self.accepted[name] = body["id"]
            self.unknown.discard(name)
            return
        self.statuses[f"{status} {body.get('code')}"] += 1
        if status not in {409, 503}:
            self.problems.append(f"{status} {body}")

    def end(self) -> None:
        self.is_over.set()
        self.join(HANG_SECONDS + 10)

    def ensure_done_once(self) -> None:
        """Check also the files whose answer was lost, if they were accepted."""
        imports = self._tracker.query(
            "SELECT filename, id, state, created_count, failure FROM imports WHERE state <> 'staging'"
        )
        done = Counter(name for name, *_ in imports)
        in_full = {name: import_id for name, import_id, *rest in imports if rest == ["finished", ROWS, None]}
        rows = {
            name: counts
            for name, *counts in self._tracker.query(
                "SELECT split_part(title, ' row ', 1), count(*), count(DISTINCT title) FROM tasks"
                " WHERE title LIKE '%% row %%' GROUP BY 1"
            )
        }
        print(
            f"{len(self.accepted)} imports accepted, {len(self.accepted.keys() - in_full.keys())} of them lost, "
            f"{sum(counts != [ROWS, ROWS] for counts in rows.values())} with rows missing or doubled; "
            f"{len(self.unknown)} unknown ({len(self.unknown & in_full.keys())} of them done); {dict(self.statuses)}"
        )
        assert self.accepted.items() <= in_full.items(), imports
        assert [name for name, number in done.items() if number > 1] == []
        assert rows == {name: [ROWS, ROWS] for name in in_full}
        assert in_full.keys() <= self.accepted.keys() | self.unknown


@contextmanager
def importing(tracker):
    importer = Importer(tracker)
    importer.start()
    try:
        yield importer
    finally:
        importer.end()


@pytest.fixture
def tracker(tmp_path):
    (tmp_path / "data").mkdir()
    with mounted_memory(tmp_path / "data", mebibytes=DISK_MEBIBYTES):
        tracker = Tracker(tmp_path)
        yield WholeTracker(tracker)
        for run in tracker.runs:
            run.process.send_signal(signal.SIGCONT)
        tracker.stop()
