"""The record against a plain model of it: whatever happens in whatever order, each day is logged once."""

import io
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from app.composition.services import serving
from app.errors import ConflictError
from app.models.imports.task_import import DuplicatePolicy
from app.models.tasks.fields import TaskPriority, TaskStatus
from app.services.imports.imports import ImportOptions
from app.settings import Settings
from tests import servers
from tests.record.days import BEGINNING_OF_TIME, TICK, USERS, end_of, first_instant
from tests.record.model import Held, Model, Rows, State
from tests.record.stage import Stage

UNHURRIED = hypothesis_settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    max_examples=int(os.environ.get("RECORD_EXAMPLES", "100")),
    stateful_step_count=25,
    report_multiple_bugs=False,
)

# Zones with unusual days: days of 23, 25, 23.5 and 24.5 hours, a day without a midnight, a day with the hour
# before midnight twice, and a day that was skipped.
STARTS = [
    ("UTC", date(2024, 2, 28)),
    ("UTC", date(2026, 12, 31)),
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("America/Sao_Paulo", date(2018, 11, 4)),
    ("America/Sao_Paulo", date(2018, 2, 18)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Pacific/Apia", date(2011, 12, 29)),
    ("Pacific/Apia", date(2011, 12, 31)),
]
PROJECTS = ("GEN", "OPS")

picks = st.integers(0, 7)
titles = st.sampled_from(["Paint", "Sweep", "Mend"])
statuses = st.sampled_from(TaskStatus)
priorities = st.sampled_from(TaskPriority)
assignees = st.sampled_from([None, *USERS])
label_lists = st.lists(st.sampled_from(["red", "blue"]), unique=True, max_size=2)
due_dates = st.sampled_from([None, datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 4, 2, 12, 30, tzinfo=UTC)])
all_but_title = {
    "status": statuses,
    "priority": priorities,
    "assignee": assignees,
    "labels": label_lists,
    "due_at": due_dates,
    "project": st.sampled_from(PROJECTS),
}
all_fields = {"title": titles, **all_but_title}
imported_rows = st.lists(
    st.tuples(titles, statuses, priorities, assignees, st.sampled_from(["X-1", "X-2", "X-3"])),
    min_size=1,
    max_size=3,
    unique_by=lambda row: row[-1],
)
steps_of_a_transaction = st.lists(
    st.one_of(
        st.tuples(st.just("title"), titles),
        st.tuples(st.just("status"), statuses),
        st.tuples(st.sampled_from(["touch", "insert", "remove"]), st.none()),
    ),
    min_size=2,
    max_size=3,
)


@pytest.mark.slow
class TestRecord:
    def test_every_day_is_logged_once_and_as_it_was(self, stage):
        run_state_machine_as_test(lambda: RecordMachine(stage), settings=UNHURRIED)


class RecordMachine(RuleBasedStateMachine):
    def __init__(self, stage: "Stage") -> None:
        super().__init__()
        self.stage = stage

    @initialize(start=st.sampled_from(STARTS), minutes=st.integers(-1500, 1500), task_count=st.integers(0, 2))
    def begin(self, start: tuple[str, date], minutes: int, task_count: int) -> None:
        name, day = start
        zone = ZoneInfo(name)
        self.model = Model(zone, first_instant(day, zone) + timedelta(minutes=minutes))
        self.stage.begin(zone)
        self.tell_clock(self.model.now)
        for number in range(task_count):
            self.insert(f"Task {number}")

    # --- changing tasks

    @rule(values=st.fixed_dictionaries({"title": titles}, optional=all_but_title))
    def create(self, values: dict[str, Any]) -> None:
        with serving(self.stage.resources) as services:
            view = services.tasks.create(self.stage.actor, {**values})
        project_id = self.stage.project_ids[values.get("project", "GEN")]
        state = State(
            values["title"],
            values.get("status", "todo"),
            values.get("priority", "medium"),
            self.stage.user_ids[values.get("assignee")],
            tuple(values.get("labels", ())),
            values.get("due_at"),
            project_id,
            self.model.take_number(project_id),
        )
        self.model.create(view.id, state)

    @precondition(lambda self: self.model.list_ids(is_deleted=False))
    @rule(pick=picks, changes=st.fixed_dictionaries({}, optional=all_fields))
    def change(self, pick: int, changes: dict[str, Any]) -> None:
        task_id = self.pick(pick, is_deleted=False)
        with serving(self.stage.resources) as services:
            services.tasks.change(self.stage.actor, task_id, {**changes})
        state = self.model.tasks[task_id].state
        changed = {name: value for name, value in changes.items() if name not in {"assignee", "labels", "project"}}
        if "assignee" in changes:
            changed["assignee_id"] = self.stage.user_ids[changes["assignee"]]
        if "labels" in changes:
            changed["labels"] = tuple(changes["labels"])
        if "project" in changes:
            project_id = self.stage.project_ids[changes["project"]]
            if project_id != state.project_id:
                changed |= {"project_id": project_id, "number": self.model.take_number(project_id)}
        self.model.change(task_id, state._replace(**changed))

    @precondition(lambda self: self.model.list_ids(is_deleted=False))
    @rule(pick=picks, how=st.sampled_from(["service", "title = title", "position = position + 1", "version = version"]))
    def change_nothing(self, pick: int, how: str) -> None:
        task_id = self.pick(pick, is_deleted=False)
        if how == "service":
            with serving(self.stage.resources) as services:
                title, status = self.model.tasks[task_id].state[:2]
                services.tasks.change(self.stage.actor, task_id, {"title": title, "status": TaskStatus(status)})
        else:
            self.stage.execute(f"UPDATE tasks SET {how} WHERE id = %s", task_id)

    @rule(old=statuses, new=st.one_of(statuses, priorities))
    def change_in_bulk(self, old: TaskStatus, new: TaskStatus | TaskPriority) -> None:
        """Past the services, deleted ones too."""
        column = "status" if isinstance(new, TaskStatus) else "priority"
        held = [*self.model.held.tasks] if self.model.held else []
        self.stage.execute(f"UPDATE tasks SET {column} = %s WHERE status = %s AND id <> ALL(%s)", new, old, held)
        for task_id in self.model.list_ids():
            state = self.model.tasks[task_id].state
            if state.status == old:
                self.model.change(task_id, state._replace(**{column: new}))

    @precondition(lambda self: not self.is_a_ref_held())
    @rule(rows=imported_rows, policy=st.sampled_from(DuplicatePolicy))
    def import_csv(self, rows: list[tuple[Any, ...]], policy: DuplicatePolicy) -> None:
        # The import ignores the last column, which keeps a file from being taken for the one before it.
        lines = [",".join((*(cell or "" for cell in row), str(self.stage.next_serial()))) for row in rows]
        file = "title,status,priority,assignee,external_ref,updated_at\n" + "\n".join(lines) + "\n"
        with serving(self.stage.resources) as services:
            outcome = services.imports.import_csv(
                self.stage.actor,
                io.BytesIO(file.encode()),
                filename="rows.csv",
                options=ImportOptions(on_duplicate=policy),
            )
        assert outcome.is_finished
        assert outcome.refused_count == 0

        project_id = self.stage.project_ids["GEN"]
        created = []
        for title, status, priority, assignee, ref in rows:
            assignee_id = self.stage.user_ids[assignee]
            known = [] if policy is DuplicatePolicy.CREATE else self.find_by_ref(project_id, ref)
            if not known:
                number = self.model.take_number(project_id)
                created.append(State(title, status, priority, assignee_id, (), None, project_id, number, ref))
            elif policy is DuplicatePolicy.UPDATE:
                state = self.model.tasks[known[0]].state
                changed = {"title": title, "status": status, "priority": priority, "assignee_id": assignee_id}
                self.model.change(known[0], state._replace(**changed))
        assert outcome.created_count == len(created)
        for state in created:
            ((task_id,),) = self.stage.ask(
                "SELECT id FROM tasks WHERE project_id = %s AND number = %s", project_id, state.number
            )
            self.model.create(task_id, state)

    @precondition(lambda self: self.model.list_ids(is_deleted=False))
    @rule(pick=picks)
    def delete(self, pick: int) -> None:
        task_id = self.pick(pick, is_deleted=False)
        with serving(self.stage.resources) as services:
            services.tasks.delete(self.stage.actor, task_id)
        self.model.change(task_id, self.model.tasks[task_id].state._replace(is_deleted=True))

    @precondition(lambda self: self.model.list_ids(is_deleted=True))
    @rule(pick=picks)
    def restore(self, pick: int) -> None:
        task_id = self.pick(pick, is_deleted=True)
        with serving(self.stage.resources) as services:
            services.tasks.restore(self.stage.actor, task_id)
        self.model.change(task_id, self.model.tasks[task_id].state._replace(is_deleted=False))

    @precondition(lambda self: self.model.list_ids())
    @rule(pick=picks)
    def remove(self, pick: int) -> None:
        """For good, past the services."""
        task_id = self.pick(pick)
        self.stage.execute("DELETE FROM tasks WHERE id = %s", task_id)
        self.model.remove(task_id)

    @precondition(lambda self: self.model.list_ids())
    @rule(pick=picks, steps=steps_of_a_transaction, commits=st.sampled_from([True, True, True, False]))
    def change_in_one_transaction(self, pick: int, steps: list[tuple[str, Any]], commits: bool) -> None:
        task_id, before = self.pick(pick), {**self.model.tasks}
        self.stage.execute("BEGIN")
        for step, value in steps:
            if step == "insert":
                task_id = self.insert("In a transaction")
            elif self.model.tasks[task_id].removed_at is not None:
                self.stage.execute("UPDATE tasks SET title = 'Nobody' WHERE id = %s", task_id)
            elif step == "remove":
                self.remove_in_sql(task_id)
            elif step == "touch":
                self.stage.execute("UPDATE tasks SET updated_at = now(), version = version + 1 WHERE id = %s", task_id)
            else:
                self.stage.execute(f"UPDATE tasks SET {step} = %s WHERE id = %s", value, task_id)
                self.model.change(task_id, self.model.tasks[task_id].state._replace(**{step: value}))
        self.stage.execute("COMMIT" if commits else "ROLLBACK")
        if not commits:
            self.model.tasks = before

    # --- a transaction that goes on while others come and go

    @precondition(lambda self: not self.model.held)
    @rule()
    def open_a_transaction(self) -> None:
        self.stage.begin_held(self.model.now)
        self.model.held = Held(self.model.now)

    @precondition(lambda self: self.model.held)
    @rule(step=st.sampled_from(["insert", "change", "change", "remove"]), pick=picks)
    def write_in_the_open_transaction(self, step: str, pick: int) -> None:
        model, held = self.model, self.model.held
        mine = [task_id for task_id, task in held.tasks.items() if task.removed_at is None]
        there = [*mine, *model.list_ids()]
        if step == "insert" or not there:
            state = self.state_of_insert("Held")
            ((task_id,),) = self.stage.ask_held(*self.insertion_of(state))
            held.tasks[task_id] = model.created(state, begun_at=held.begun_at)
            return
        task_id = there[pick % len(there)]
        task = held.tasks.get(task_id) or model.tasks[task_id]
        if step == "remove":
            self.stage.ask_held("DELETE FROM tasks WHERE id = %s RETURNING id", task_id)
            held.tasks[task_id] = model.removed(task, begun_at=held.begun_at)
        else:
            title = f"Held {self.stage.next_serial()}"
            self.stage.ask_held("UPDATE tasks SET title = %s WHERE id = %s RETURNING id", title, task_id)
            held.tasks[task_id] = model.changed(task, task.state._replace(title=title), begun_at=held.begun_at)

    @precondition(lambda self: self.model.held)
    @rule(commits=st.sampled_from([True, True, False]))
    def end_the_open_transaction(self, commits: bool) -> None:
        held, self.model.held = self.model.held, None
        self.stage.end_held(commits=commits)
        if commits:
            self.model.tasks |= held.tasks

    # --- time

    @rule(minutes=st.integers(1, 90))
    def let_minutes_pass(self, minutes: int) -> None:
        self.tell_clock(self.model.now + timedelta(minutes=minutes))

    @rule(hours=st.sampled_from([2, 7, 13, 23, 24, 25, 5 * 24]))
    def let_hours_pass(self, hours: int) -> None:
        self.tell_clock(self.model.now + timedelta(hours=hours))

    @rule(offset=st.sampled_from([-TICK, timedelta(0), TICK]))
    def go_to_midnight(self, offset: timedelta) -> None:
        midnight = end_of(self.model.today, self.model.zone)
        self.tell_clock(max(midnight + offset, self.model.now))

    @rule()
    def jump_back(self) -> None:
        self.tell_clock(self.model.now - timedelta(hours=3))

    @rule()
    def jump_back_over_a_midnight_that_was_logged(self) -> None:
        self.tell_clock(end_of(self.model.today, self.model.zone) + timedelta(hours=1))
        self.run_job()
        self.jump_back()

    @precondition(lambda self: self.model.list_ids())
    @rule(picked=st.lists(st.tuples(picks, statuses), min_size=1, max_size=3))
    def let_days_pass_without_a_job(self, picked: list[tuple[int, TaskStatus]]) -> None:
        for pick, status in picked:
            task_id = self.pick(pick)
            self.stage.execute("UPDATE tasks SET status = %s WHERE id = %s", status, task_id)
            self.model.change(task_id, self.model.tasks[task_id].state._replace(status=status))
            self.tell_clock(self.model.now + timedelta(days=1))

    # --- logging

    @rule()
    def ask_for_today(self) -> None:
        with serving(self.stage.resources) as services:
            if self.model.today in self.model.closed:
                with pytest.raises(ConflictError):
                    services.daily_log.request_day(self.stage.actor, None)
            else:
                services.daily_log.request_day(self.stage.actor, None)
                self.model.requested.add(self.model.today)
        assert {day for (day,) in self.stage.ask("SELECT log_date FROM log_requests")} == self.model.requested

    @rule()
    def run_job(self) -> None:
        assert sorted(self.stage.log_due_days()) == self.model.run_job()
        self.check()
        self.check_nothing_is_missing()

    @rule()
    def run_two_jobs_at_once(self) -> None:
        logged = self.stage.log_due_days_twice_at_once()

        assert sorted(logged) == self.model.run_job()
        self.check()
        self.check_nothing_is_missing()

    def teardown(self) -> None:
        if not hasattr(self, "model"):
            return
        try:
            if self.model.held:
                self.end_the_open_transaction(commits=True)
            self.check()
            last = max([self.model.now, *(task.versions[-1][0] for task in self.model.tasks.values())])
            self.tell_clock(end_of(last.astimezone(self.model.zone).date(), self.model.zone))
            self.run_job()
        finally:
            self.stage.end_held(commits=False)

    # --- what must be so

    def check(self) -> None:
        self.check_history()
        self.check_logs()

    def check_history(self) -> None:
        versions: dict[int, list[tuple[Any, ...]]] = {}
        for task_id, *version in self.stage.list_history():
            versions.setdefault(task_id, []).append(tuple(version))
        assert {key: [(version[1], State(*version[3:])) for version in found] for key, found in versions.items()} == {
            key: task.versions for key, task in self.model.tasks.items()
        }
        for task_id, found in versions.items():
            assert [version[0] for version in found] == [*range(1, len(found) + 1)]
            ends = [version[2] for version in found]
            assert ends == [*(version[1] for version in found[1:]), self.model.tasks[task_id].removed_at]
            assert all(end is None or begin < end for (_, begin, end, *_) in found)
        there = {key: task for key, task in self.model.tasks.items() if task.removed_at is None}
        assert dict(self.stage.ask("SELECT id, revised_at FROM tasks")) == {
            key: task.versions[-1][0] for key, task in there.items()
        }

    def check_logs(self) -> None:
        model = self.model
        runs = self.stage.ask("SELECT log_date, is_final, task_count, time_zone FROM log_runs")
        assert {day: rest for day, *rest in runs} == {
            **{day: [True, len(rows), model.zone.key] for day, rows in model.closed.items()},
            **{day: [False, len(rows), model.zone.key] for day, rows in model.provisional.items()},
        }
        assert len(runs) == len(model.closed) + len(model.provisional)

        logged = self.stage.list_logs()
        assert len(logged) == len({row[:2] for row in logged})
        by_day: dict[date, Rows] = {day: set() for day, *_ in runs}
        for day, *row in logged:
            by_day[day].add(tuple(row))
        assert by_day == {**model.closed, **model.provisional}

        for day, rows in model.closed.items():
            end = end_of(day, model.zone)
            assert model.active_before(end) == rows, "what was closed has changed since"
            assert self.stage.fold_history(end - TICK) == rows

        ((closed_until,),) = self.stage.ask("SELECT nullif(closed_until, '-infinity') FROM record_boundary")
        assert (closed_until or BEGINNING_OF_TIME) == model.closed_until

    def check_nothing_is_missing(self) -> None:
        """Every day from the first task to yesterday is closed, but those that the open transaction began in."""
        held = self.model.held
        ends = {day: end_of(day, self.model.zone) for day in self.model.list_days_over()}
        over = {day for day, end in ends.items() if held is None or not held.has_written_before(end)}
        assert over <= {day for (day,) in self.stage.ask("SELECT log_date FROM log_runs WHERE is_final")}

    # --- how

    def tell_clock(self, now: datetime) -> None:
        self.model.now = now
        self.stage.clock.now = now

    def pick(self, pick: int, *, is_deleted: bool | None = None) -> int:
        ids = self.model.list_ids(is_deleted=is_deleted)
        return ids[pick % len(ids)]

    def find_by_ref(self, project_id: int, ref: str) -> list[int]:
        states = ((task_id, self.model.tasks[task_id].state) for task_id in self.model.list_ids(is_deleted=False))
        return [key for key, state in states if (state.project_id, state.external_ref) == (project_id, ref)]

    def is_a_ref_held(self) -> bool:
        """An import might wait for it."""
        held = self.model.held
        return held is not None and any(task.state.external_ref for task in held.tasks.values())

    def state_of_insert(self, title: str) -> State:
        # These numbers come from no service, because to take one would lock the project.
        number = 1_000_000 + self.stage.next_serial()
        return State(title, "todo", "medium", None, (), None, self.stage.project_ids["GEN"], number)

    def insertion_of(self, state: State) -> tuple[Any, ...]:
        return (
            """
            INSERT INTO tasks (title, status, priority, creator_id, project_id, number, position)
            VALUES (%s, %s, %s, %s, %s, %s, 0) RETURNING id
            """,
            *(state.title, state.status, state.priority, self.stage.actor.user_id, state.project_id, state.number),
        )

    def insert(self, title: str) -> int:
        state = self.state_of_insert(title)
        ((task_id,),) = self.stage.ask(*self.insertion_of(state))
        self.model.create(task_id, state)
        return task_id

    def remove_in_sql(self, task_id: int) -> None:
        self.stage.execute("DELETE FROM tasks WHERE id = %s", task_id)
        self.model.remove(task_id)


@pytest.fixture
def stage(postgres_url: str, base_settings: Settings) -> Iterator[Stage]:
    with servers.migrated_database(postgres_url, has_simulated_clock=True) as url:
        stage = Stage(url, base_settings)
        yield stage
        stage.close()
