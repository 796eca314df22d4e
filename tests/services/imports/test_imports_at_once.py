"""Imports at the same moment, on a database of their own where transactions commit."""

import io
import time
from dataclasses import replace
from datetime import UTC, datetime
from threading import Barrier, Event

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.composition.resources import Resources
from app.composition.services import serving
from app.errors import IdempotencyKeyReusedError, ImportUnderWayError
from app.models.imports.task_import import (
    DuplicatePolicy,
    ImportBlock,
    ImportDraft,
    ImportMode,
    ImportState,
    TaskImport,
)
from app.models.people.user import Role, User
from app.models.projects.project import Project
from app.models.tasks.task import Task
from app.repositories.imports.queue import ImportQueueRepository
from app.services.imports.imports import ImportOptions
from app.services.imports.uploads import MAX_SILENCE, UPLOAD_LEASE
from tests import factories as all_factories
from tests import servers
from tests.at_once import at_once
from tests.factories import general_project
from tests.fakes import SharedClock

# One import for each available connection.
COUNT = 5
ROWS = [str(n) for n in range(20)]

pytestmark = pytest.mark.usefixtures("small_blocks")


class TestSameKey:
    @pytest.mark.parametrize("wait_seconds", [0, 10])
    def test_is_one_import(self, resources, actor, ask, wait_seconds):
        outcomes = at_once(
            resources,
            lambda services, _n: upload_with_retries(services, actor, *ROWS, key="once", wait_seconds=wait_seconds),
            count=COUNT,
        )
        run_all(resources)

        assert len({outcome.import_id for outcome in outcomes}) == 1
        assert ask(select(func.count()).select_from(TaskImport)) == [1]
        assert ask(select(Task.title).order_by(Task.number)) == ROWS

    def test_belongs_to_the_first_of_several_files(self, resources, actor, ask):
        def send(services, n):
            try:
                return upload(services, actor, f"Of file {n}", key="once")
            except (IdempotencyKeyReusedError, ImportUnderWayError):
                return None

        outcomes = at_once(resources, send, count=COUNT)

        assert [outcome is None for outcome in outcomes].count(False) == 1
        assert len(ask(select(Task.title))) == 1

    def test_is_refused_at_once_while_the_first_upload_is_under_way(self, resources, actor, ask, monkeypatch):
        monkeypatch.setattr("app.csv_files.encodings.PIECE_BYTES", 30)
        is_staged, may_end = Event(), Event()
        others_refused = Barrier(COUNT - 1, action=may_end.set)
        stream = SlowStream(b"task_name\n" + b"".join(f"{row}\n".encode() for row in ROWS), is_staged, may_end)

        def send(services, n):
            if n == 0:
                return services.imports.import_csv(actor, stream, filename="slow.csv", idempotency_key="once")
            assert is_staged.wait(timeout=20)
            with pytest.raises(ImportUnderWayError):
                upload(services, actor, *ROWS, key="once")
            others_refused.wait(timeout=20)
            return upload_with_retries(services, actor, *ROWS, key="once")

        outcomes = at_once(resources, send, count=COUNT)

        assert len({outcome.import_id for outcome in outcomes}) == 1
        assert ask(select(Task.title).order_by(Task.number)) == ROWS

    def test_goes_to_another_upload_after_the_first_was_cut_off(self, resources, actor, ask, clock):
        with resources.new_session() as session:
            session.add(
                TaskImport(
                    creator_id=actor.user_id,
                    project_id=general_project(session).id,
                    filename="cut-off.csv",
                    state=ImportState.STAGING,
                    claimed_until=clock() + UPLOAD_LEASE,
                    idempotency_key="once",
                )
            )
            session.commit()
        clock.advance(seconds=MAX_SILENCE.total_seconds() + 1)

        outcomes = at_once(
            resources, lambda services, _n: upload_with_retries(services, actor, *ROWS, key="once"), count=COUNT
        )

        assert len({outcome.import_id for outcome in outcomes}) == 1
        assert ask(select(TaskImport.filename)) == ["tasks.csv"]
        assert ask(select(Task.title).order_by(Task.number)) == ROWS


class TestSameContent:
    @pytest.mark.parametrize("wait_seconds", [0, 10])
    def test_is_one_import(self, resources, actor, ask, wait_seconds):
        outcomes = at_once(
            resources, lambda services, _n: upload(services, actor, *ROWS, wait_seconds=wait_seconds), count=COUNT
        )
        run_all(resources)

        assert len({outcome.import_id for outcome in outcomes}) == 1
        assert ask(select(func.count()).select_from(TaskImport)) == [1]
        assert ask(select(Task.title).order_by(Task.number)) == ROWS
        for model in (ImportBlock, ImportDraft):
            assert ask(select(func.count()).select_from(model)) == [0]

    def test_from_several_people_is_one_import_each(self, resources, ask):
        actors = [new_actor(resources) for _ in range(COUNT)]

        outcomes = at_once(
            resources, lambda services, n: upload(services, actors[n], *ROWS, wait_seconds=20), count=COUNT
        )

        assert len({outcome.import_id for outcome in outcomes}) == COUNT
        assert sorted(ask(select(Task.title))) == sorted(ROWS * COUNT)
        assert sorted(ask(select(Task.number))) == list(range(1, len(ROWS) * COUNT + 1))


class TestWorkers:
    @pytest.mark.parametrize("mode", ImportMode)
    @pytest.mark.parametrize("policy", DuplicatePolicy)
    def test_each_import_has_one_worker_and_each_row_lands_once(self, resources, actor, ask, mode, policy):
        with serving(resources) as services:
            for name in range(COUNT):
                rows = [f"{row} of {name}" for row in ROWS]
                upload(services, actor, *rows, wait_seconds=0, mode=mode, on_duplicate=policy)

        at_once(resources, lambda services, _n: services.import_runs.run_waiting(), count=COUNT)
        run_all(resources)

        assert set(ask(select(TaskImport.created_count))) == {len(ROWS)}
        assert sorted(ask(select(Task.title))) == sorted(f"{row} of {name}" for row in ROWS for name in range(COUNT))
        assert sorted(ask(select(Task.number))) == list(range(1, len(ROWS) * COUNT + 1))
        assert ask(select(Project.last_task_number).where(Project.key == "GEN")) == [len(ROWS) * COUNT]

    @pytest.mark.parametrize("mode", ImportMode)
    @pytest.mark.parametrize("policy", [DuplicatePolicy.SKIP, DuplicatePolicy.UPDATE])
    def test_overlapping_files_make_each_task_once(self, resources, ask, mode, policy):
        actors = [new_actor(resources) for _ in range(COUNT)]
        with serving(resources) as services:
            for actor in actors:
                upload(services, actor, *ROWS, wait_seconds=0, mode=mode, on_duplicate=policy)

        for _ in range(3):
            at_once(resources, lambda services, _n: services.import_runs.run_waiting(), count=COUNT)
        run_all(resources)

        assert ask(select(TaskImport.failure)) == [None] * COUNT
        assert sorted(ask(select(Task.title))) == sorted(ROWS)
        assert sum(ask(select(TaskImport.created_count))) == len(ROWS)

    def test_files_with_the_same_new_users_create_each_once(self, resources, actor, ask):
        with serving(resources) as services:
            for name in range(COUNT):
                rows = [f"{row} of {name},Person {int(row) % 7}" for row in ROWS]
                if name % 2:
                    rows.reverse()
                upload(services, actor, *rows, header="task_name,assignee", wait_seconds=0)

        at_once(resources, lambda services, _n: services.import_runs.run_waiting(), count=COUNT)
        run_all(resources)

        assert ask(select(TaskImport.failure)) == [None] * COUNT
        assert set(ask(select(TaskImport.created_count))) == {len(ROWS)}
        made = ask(select(User.username).where(User.password_hash.is_(None)).order_by(User.username))
        assert made == [f"Person {n}" for n in range(7)]

    def test_a_worker_that_lost_its_claim_writes_nothing(self, resources, actor, ask):
        with serving(resources) as services:
            import_id = upload(services, actor, *ROWS, wait_seconds=0).import_id
            claim = services.import_runs.claim(import_id)
        with resources.new_session() as other:
            other.execute(update(TaskImport).values(claim_number=TaskImport.claim_number + 1))
            other.commit()

        with serving(resources) as services:
            services.import_runs.work_on(claim, until=datetime.max.replace(tzinfo=UTC))

        assert ask(select(TaskImport.created_count)) == [0]
        assert ask(select(Task.id)) == []

    def test_no_other_worker_gets_an_import_with_an_uncommitted_step(self, resources, actor, clock):
        with serving(resources) as services:
            import_id = upload(services, actor, *ROWS, wait_seconds=0).import_id
            claim = services.import_runs.claim(import_id)
        with resources.new_session() as open_session, serving(resources) as services:
            assert ImportQueueRepository(open_session).hold(claim) is not None
            clock.advance(hours=1)

            assert services.import_runs.claim() is None
            assert services.import_runs.claim(import_id) is None
            open_session.rollback()
            assert services.import_runs.claim() is not None


class SlowStream:
    """Sets `is_staged` when its content has been read, and ends once `may_end` is set."""

    def __init__(self, content, is_staged, may_end):
        self._content = content
        self._is_staged = is_staged
        self._may_end = may_end

    def read(self, size):
        piece, self._content = self._content[:size], self._content[size:]
        if piece:
            return piece
        self._is_staged.set()
        assert self._may_end.wait(timeout=20)
        return b""


def upload(services, actor, *rows, header="task_name", key=None, wait_seconds=10, **options):
    return services.imports.import_csv(
        actor,
        io.BytesIO("\n".join([header, *rows, ""]).encode()),
        filename="tasks.csv",
        options=ImportOptions(**options),
        idempotency_key=key,
        wait_seconds=wait_seconds,
    )


def upload_with_retries(services, *arguments, **options):
    """Upload like a client that comes back while another upload with its key is under way."""
    for _ in range(200):
        try:
            return upload(services, *arguments, **options)
        except ImportUnderWayError:
            time.sleep(0.05)
    raise AssertionError("the other upload never ended")


def run_all(resources):
    with serving(resources) as services:
        services.import_runs.run_waiting()


def new_actor(resources):
    with Session(resources.engine, expire_on_commit=False) as session:
        all_factories.bind(session)
        user = all_factories.User(role=Role.MANAGER)
        login_session = all_factories.LoginSession(user_id=user.id)
        session.commit()
        return Actor(user.id, user.username, user.role, frozenset({general_project(session).id}), login_session.id)


@pytest.fixture
def clock():
    return SharedClock(datetime.now(UTC))


@pytest.fixture
def resources(base_settings, postgres_url, job_queue, redis, clock):
    with servers.migrated_database(postgres_url) as url:
        resources = Resources(
            replace(base_settings, database_url=url, database_pool_size=COUNT + 2), job_queue=job_queue, clock=clock
        )
        yield resources
        resources.engine.dispose()


@pytest.fixture
def actor(resources):
    return new_actor(resources)


@pytest.fixture
def ask(resources):
    """Ask for committed rows; return the first column of each."""

    def run(statement):
        with resources.new_session() as session:
            return session.scalars(statement).all()

    return run
