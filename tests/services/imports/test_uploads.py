"""Uploads with an Idempotency-Key, when another upload with the same key is under way."""

import io

import pytest
from sqlalchemy import select

from app.composition.services import serving
from app.errors import ConflictError, ImportUnderWayError
from app.models.imports.task_import import ImportBlock, ImportState, TaskImport
from app.models.tasks.task import Task
from app.services.imports.uploads import MAX_SILENCE, UPLOAD_LEASE
from tests.factories import general_project
from tests.fakes import TickingClock
from tests.services.imports.uploading import InterruptedStream
from tests.stored import count

SILENCE_SECONDS = int(MAX_SILENCE.total_seconds())

pytestmark = pytest.mark.usefixtures("small_pieces")


class TestKeyOfAnUploadUnderWay:
    @pytest.mark.parametrize("silent_seconds", [0, 1, SILENCE_SECONDS])
    def test_another_upload_is_refused_unread(self, send, staging, clock, silent_seconds):
        clock.advance(seconds=silent_seconds)

        with pytest.raises(ImportUnderWayError) as refused:
            send(UnreadableStream())

        assert 1 <= refused.value.retry_after_seconds <= SILENCE_SECONDS + 1
        assert refused.value.retry_after_seconds + silent_seconds > SILENCE_SECONDS

    def test_another_upload_is_refused_during_a_slow_one(self, services, send, clock, session):
        def wait_and_try():
            clock.advance(seconds=SILENCE_SECONDS - 1)
            with pytest.raises(ImportUnderWayError):
                send(UnreadableStream())

        outcome = send(InterruptedStream(b"task_name\n", *[wait_and_try, b"Another\n"] * 30))

        assert outcome.created_count == 30
        assert count(session, TaskImport) == 1


class TestKeyOfAnUploadCutOff:
    def test_is_free_again_after_a_silence(self, send, staging, clock, session):
        clock.advance(seconds=SILENCE_SECONDS + 1)

        outcome = send(io.BytesIO(b"task_name\nOne\n"))

        assert outcome.created_count == 1
        assert session.scalars(select(TaskImport.id)).all() == [outcome.import_id]
        assert count(session, ImportBlock) == 0
        assert session.scalars(select(Task.title)).all() == ["One"]

    def test_is_free_at_once_if_its_last_sign_of_life_lies_in_the_future(self, send, staging, clock):
        """The clock was set back by two hours after that sign."""
        clock.advance(hours=-2)

        assert send(io.BytesIO(b"task_name\nOne\n")).created_count == 1

    def test_is_free_after_the_wait_that_the_refusal_states(self, send, staging, clock):
        with pytest.raises(ImportUnderWayError) as refused:
            send(UnreadableStream())
        clock.advance(seconds=refused.value.retry_after_seconds)

        assert send(io.BytesIO(b"task_name\nOne\n")).created_count == 1

    def test_a_slow_upload_that_lost_its_key_is_refused_and_adds_nothing(self, send, services, clock, session):
        def be_replaced():
            clock.advance(seconds=SILENCE_SECONDS + 1)
            send(io.BytesIO(b"task_name\nOne\n"))

        with pytest.raises(ConflictError, match="given up"):
            send(InterruptedStream(b"task_name\nTwo\n", be_replaced, b"Three\n"))

        assert count(session, TaskImport) == 1
        assert session.scalars(select(Task.title)).all() == ["One"]


class TestTwin:
    def test_a_second_upload_is_the_same_import_while_time_goes_on(self, services, resources, manager, clock, session):
        resources.clock = TickingClock(clock, milliseconds=1)

        with serving(resources) as later:
            first, second = (
                later.imports.import_csv(
                    manager, io.BytesIO(b"task_name\nOne\n"), filename="tasks.csv", wait_seconds=0
                ).import_id
                for _ in range(2)
            )

        assert first == second
        assert count(session, TaskImport) == 1


class UnreadableStream:
    def read(self, _size):
        raise AssertionError("this stream must not be read")


@pytest.fixture
def small_pieces(monkeypatch):
    """Read small pieces, so that an upload of a few bytes has begun before it ends."""
    monkeypatch.setattr("app.csv_files.encodings.PIECE_BYTES", 10)


@pytest.fixture
def send(services, manager):
    return lambda stream: services.imports.import_csv(manager, stream, filename="tasks.csv", idempotency_key="once")


@pytest.fixture
def staging(session, manager, clock):
    """The row that a process leaves behind if it is killed in the middle of an upload, a moment later."""
    task_import = TaskImport(
        creator_id=manager.user_id,
        project_id=general_project(session).id,
        filename="tasks.csv",
        header=["task_name"],
        state=ImportState.STAGING,
        claimed_until=clock() + UPLOAD_LEASE,
        block_count=1,
        idempotency_key="once",
    )
    session.add(task_import)
    session.flush()
    session.add(ImportBlock(import_id=task_import.id, number=0, first_row=1, first_line=2, body=b"Cut off\n"))
    session.flush()
    return task_import
