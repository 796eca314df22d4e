"""The answers that writers got to each of their writes, compared with the history.

Every write gives a task a title that no other write uses, so each leaves exactly one version or none: an
acknowledged write leaves one, a refused one leaves none, and a write whose answer was lost leaves one or none.
"""

import json
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from threading import Event, Thread
from uuid import uuid4

from tests.promises.stage import Served

# A client gives up after this time; a longer request counts as hanging.
HANG_SECONDS = 60.0
PAUSE_SECONDS = 0.01
# The pause while no process listens.
AWAY_PAUSE_SECONDS = 0.2


class Writer(Thread):
    """Creates a task, changes it twice, creates the next; replaces a lost connection and repeats no write."""

    def __init__(self, stage: Served, *, pause_seconds: float) -> None:
        super().__init__(daemon=True)
        self._stage = stage
        self._pause_seconds = pause_seconds
        self._connection: HTTPConnection | None = None
        self.is_over = Event()
        self.acknowledged: set[str] = set()
        self.refused: set[str] = set()
        self.unknown: set[str] = set()
        # The number of each other answer, and the answers that should never come.
        self.statuses: Counter[str] = Counter()
        self.problems: list[str] = []
        self.slowest_seconds = 0.0
        self.slowest_refusal_seconds = 0.0
        self.longest_silence_seconds = 0.0

    def run(self) -> None:
        try:
            self._write()
        except Exception as error:  # noqa: BLE001 - the test reads it
            self.problems.append(repr(error))
        finally:
            self._close()

    def _write(self) -> None:
        task_id, changes = None, 0
        acknowledged_at = time.monotonic()
        while not self.is_over.wait(self._pause_seconds):
            title = uuid4().hex
            if task_id is None:
                answer = self._send("POST", "/api/v1/tasks", title)
                task_id, changes = (answer["id"], 0) if answer else (None, 0)
            else:
                answer = self._send("PATCH", f"/api/v1/tasks/{task_id}", title)
                changes += 1
                if changes == 2:
                    task_id = None
            if answer:
                self.longest_silence_seconds = max(self.longest_silence_seconds, time.monotonic() - acknowledged_at)
                acknowledged_at = time.monotonic()

    def _send(self, method: str, path: str, title: str) -> dict | None:
        """Return the answer of an acknowledged write, or None."""
        try:
            connection = self._connect()
        except OSError:
            self._close()
            self.refused.add(title)
            self.statuses["not connected"] += 1
            self.is_over.wait(AWAY_PAUSE_SECONDS)
            return None
        began_at = time.monotonic()
        try:
            headers = {**self._stage.headers, "Content-Type": "application/json"}
            connection.request(method, path, json.dumps({"title": title}), headers)
            answer = connection.getresponse()
            body = json.loads(answer.read())
        except (OSError, HTTPException, ValueError) as error:
            self._note_time(began_at)
            self._close()
            self.unknown.add(title)
            self.statuses[type(error).__name__] += 1
            return None
        self._note_time(began_at)
        if answer.getheader("Connection") == "close":
            self._close()
        if answer.status in {200, 201}:
            self.acknowledged.add(title)
            return body
        self.statuses[f"{answer.status} {body.get('code')}"] += 1
        self.slowest_refusal_seconds = max(self.slowest_refusal_seconds, time.monotonic() - began_at)
        (self.unknown if body.get("code") == "outcome_unknown" else self.refused).add(title)
        if answer.status != 503:
            self.problems.append(f"{method} {path}: {answer.status} {body}")
        elif answer.getheader("Retry-After") is None:
            self.problems.append(f"{method} {path}: 503 without Retry-After")
        return None

    def _connect(self) -> HTTPConnection:
        if self._connection is None:
            self._connection = self._stage.connect(timeout=HANG_SECONDS)
            self._connection.connect()
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _note_time(self, began_at: float) -> None:
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began_at)


class Journal:
    """The writes of all writers together."""

    def __init__(self, writers: list[Writer]) -> None:
        self._writers = writers

    @property
    def problems(self) -> list[str]:
        return [problem for writer in self._writers for problem in writer.problems]

    @property
    def acknowledged(self) -> set[str]:
        return set().union(*(writer.acknowledged for writer in self._writers))

    @property
    def slowest_seconds(self) -> float:
        return max(writer.slowest_seconds for writer in self._writers)

    def statuses(self) -> Counter[str]:
        """Count the answers of all writes that were not acknowledged."""
        return sum((writer.statuses for writer in self._writers), Counter())

    def count_acknowledged(self) -> int:
        return sum(len(writer.acknowledged) for writer in self._writers)

    def goes_on(self) -> bool:
        """Return True once every writer gets another write acknowledged; False after half a minute."""
        before = [len(writer.acknowledged) for writer in self._writers]
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            now = [len(writer.acknowledged) for writer in self._writers]
            if all(after > count for after, count in zip(now, before, strict=True)):
                return True
            time.sleep(0.05)
        return False

    def ensure_kept(self, stage: Served, *, besides: str = "") -> None:
        """Compare with the history after the writers have ended. `besides` is a pattern of titles that others wrote."""
        rows = stage.query("SELECT title, count(*) FROM task_history WHERE title NOT LIKE %s GROUP BY 1", besides)
        versions = Counter(dict(rows))
        refused = set().union(*(writer.refused for writer in self._writers))
        unknown = set().union(*(writer.unknown for writer in self._writers))
        print(self.figures(sum(versions[title] for title in unknown)))
        assert [title for title in self.acknowledged if versions[title] != 1] == []
        assert [title for title in refused if versions[title]] == []
        assert [title for title in unknown if versions[title] > 1] == []
        assert versions.keys() <= self.acknowledged | unknown
        # The current tasks equal the last versions of their histories, which have no gaps.
        assert stage.query(
            "SELECT count(*) FROM tasks AS t"
            " LEFT JOIN task_history AS h ON h.task_id = t.id AND h.valid_to = 'infinity'"
            " WHERE h.title IS DISTINCT FROM t.title"
        ) == [(0,)]
        assert stage.query(
            "SELECT count(*) FROM (SELECT max(revision) - count(*) AS gap FROM task_history GROUP BY task_id) AS g"
            " WHERE gap <> 0"
        ) == [(0,)]

    def figures(self, unknown_done: int) -> str:
        return (
            f"\n{self.count_acknowledged()} acknowledged, {sum(len(w.refused) for w in self._writers)} refused, "
            f"{sum(len(w.unknown) for w in self._writers)} unknown ({unknown_done} of them done); "
            f"slowest answer {self.slowest_seconds:.2f} s, slowest refusal "
            f"{max(w.slowest_refusal_seconds for w in self._writers):.2f} s, "
            f"longest time between two acknowledged writes "
            f"{max(w.longest_silence_seconds for w in self._writers):.2f} s; {dict(self.statuses())}"
        )


@contextmanager
def writing(stage: Served, *, writers: int = 6, pause_seconds: float = PAUSE_SECONDS):
    """Run writers until the block ends; it begins when each of them has had a write acknowledged."""
    threads = [Writer(stage, pause_seconds=pause_seconds) for _ in range(writers)]
    journal = Journal(threads)
    with ExitStack() as stack:
        for writer in threads:
            writer.start()
            stack.callback(writer.join, HANG_SECONDS + 10)
            stack.callback(writer.is_over.set)
        assert journal.goes_on(), journal.problems
        yield journal
