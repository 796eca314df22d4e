"""The age of a list while its cache is killed, restarted and frozen, and clients read and write."""

import json
import random
import threading
import time
from contextlib import ExitStack

import pytest

WRITERS = 4
READERS = 3
CHAOS_SECONDS = 60.0
# The cache may be this old for clients that did not write; its entries themselves last 30 s.
FEW_SECONDS = 5.0
# After Redis answers again, pending clearing takes a fifth of a second, and longer on a busy machine.
BACK_SECONDS = 2.0
LIST = "/api/v1/tasks?sort=id&limit=50"

pytestmark = pytest.mark.deep


class TestListCache:
    def test_shows_clients_their_own_writes_while_it_works_and_never_an_old_list(self, stage):
        stage.start_api()
        moments = random.Random(3)  # noqa: S311 - when to kill is no secret
        writers = [Writer(stage) for _ in range(WRITERS)]
        readers = [Reader(stage) for _ in range(READERS)]
        faults = []

        with ExitStack() as stack:
            for client in (*writers, *readers):
                client.start()
                stack.callback(client.join, 60)
                stack.callback(client.is_over.set)
            until = time.monotonic() + CHAOS_SECONDS
            while time.monotonic() < until:
                time.sleep(moments.uniform(1.0, 3.0))
                began_at = time.monotonic()
                if moments.random() < 0.5:
                    stage.valkey.kill()
                    time.sleep(moments.choice([0.1, 0.5, 3.0]))
                    stage.valkey.start()
                else:
                    with stage.valkey.frozen():
                        time.sleep(moments.choice([0.1, 0.5, 3.0]))
                faults.append((began_at, time.monotonic() + BACK_SECONDS))

        acknowledged = {writer.task_id: writer.acknowledged_at for writer in writers}
        ages = sorted(age for reader in readers for age in reader.ages(acknowledged))
        behind = [miss for writer in writers for miss in writer.behind]
        print(
            f"\n{len(faults)} faults, {sum(len(writer.acknowledged_at) for writer in writers)} writes, "
            f"{len(ages) // WRITERS} lists read by others, {sum(reader.hits for reader in readers)} of them from the "
            f"cache; the oldest was {ages[-1]:.2f} s old; {len(behind)} lists lacked their reader's own write, "
            f"by up to {max([0.0, *(age for _, age in behind)]):.2f} s"
        )
        assert [problem for client in (*writers, *readers) for problem in client.problems] == []
        assert sum(reader.hits for reader in readers) > 0
        assert ages[-1] < FEW_SECONDS
        assert [age for _, age in behind if age > BACK_SECONDS] == []
        assert [at for at, _ in behind if not any(began_at <= at <= ended_at for began_at, ended_at in faults)] == []


class Client(threading.Thread):
    """Sends each request on a connection of its own, so that any process of the api may answer it."""

    def __init__(self, stage):
        super().__init__(daemon=True)
        self._stage = stage
        self.is_over = threading.Event()
        self.problems = []
        self.hits = 0

    def run(self):
        try:
            while not self.is_over.wait(0.01):
                self.take_turn()
        except Exception as error:  # noqa: BLE001 - the test reads it
            self.problems.append(repr(error))

    def list_numbers(self):
        """Return the number that the list shows for each task."""
        connection = self._stage.connect()
        try:
            connection.request("GET", LIST, headers=self._stage.headers)
            answer = connection.getresponse()
            body = json.loads(answer.read())
        finally:
            connection.close()
        assert answer.status == 200, body
        self.hits += answer.getheader("X-Cache") == "hit"
        return {item["id"]: int(item["title"]) for item in body["items"]}


class Writer(Client):
    """Counts in the title of a task, and looks for the number in the list."""

    def __init__(self, stage):
        super().__init__(stage)
        status, task = stage.ask("POST", "/api/v1/tasks", {"title": "0"})
        assert status == 201, task
        self.task_id = task["id"]
        self.acknowledged_at = [time.monotonic()]
        # When a list lacked the number, and for how long it had been acknowledged by then.
        self.behind = []

    def take_turn(self):
        number = len(self.acknowledged_at)
        status, body = self._stage.ask("PATCH", f"/api/v1/tasks/{self.task_id}", {"title": str(number)})
        assert status == 200, body
        self.acknowledged_at.append(time.monotonic())
        shown = self.list_numbers()[self.task_id]
        if shown < number:
            now = time.monotonic()
            self.behind.append((now, now - self.acknowledged_at[shown + 1]))


class Reader(Client):
    def __init__(self, stage):
        super().__init__(stage)
        self._reads = []

    def take_turn(self):
        began_at = time.monotonic()
        self._reads.append((began_at, self.list_numbers()))

    def ages(self, acknowledged):
        """List how long each number had been out of date when its list was requested."""
        for began_at, numbers in self._reads:
            for task_id, shown in numbers.items():
                later = acknowledged[task_id][shown + 1 : shown + 2]
                yield max(0.0, began_at - later[0]) if later else 0.0
