from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.database.engine import violated_constraint
from app.database.unit_of_work import UnitOfWork
from tests.repositories.tasks.history.march import INSTANT, NOON, STATE

pytestmark = pytest.mark.usefixtures("clock")


class TestSignature:
    def test_names_the_user_who_changes_tasks_in_a_transaction(self, run, versions, session, task, creator_id):
        uow = UnitOfWork(session, print, request_id="request-7")
        with uow.transaction():
            uow.sign(creator_id)
            session.execute(text("UPDATE tasks SET title = 'Two'"))

        by_hand, signed = versions(task)
        assert (by_hand.actor_id, by_hand.request_id) == (None, None)
        assert (signed.actor_id, signed.request_id) == (creator_id, "request-7")

    def test_names_the_request_that_asked_for_the_change(self, versions, session, task, creator_id):
        uow = UnitOfWork(session, print, request_id="job-1")
        with uow.transaction():
            uow.sign(creator_id, request_id="request-7")
            session.execute(text("UPDATE tasks SET title = 'Two'"))

        assert versions(task)[1].request_id == "request-7"

    def test_has_no_request_outside_of_one(self, versions, session, task, creator_id):
        uow = UnitOfWork(session, print)
        with uow.transaction():
            uow.sign(creator_id)
            session.execute(text("UPDATE tasks SET title = 'Two'"))

        assert (versions(task)[1].actor_id, versions(task)[1].request_id) == (creator_id, None)


class TestRewrittenHistory:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE task_history SET title = 'Never so'",
            "UPDATE task_history SET title = 'Never so' WHERE false",
            "DELETE FROM task_history",
            "TRUNCATE task_history",
            "MERGE INTO task_history USING tasks ON task_id = id WHEN MATCHED THEN DELETE",
        ],
    )
    def test_is_refused_even_by_hand(self, run, versions, connection, task, statement):
        before = versions()

        with pytest.raises(DBAPIError, match="the history of tasks is not rewritten"), connection.begin_nested():
            run(statement)

        assert versions() == before

    @pytest.mark.parametrize("lasted", [timedelta(0), -INSTANT], ids=["no time", "less than none"])
    def test_a_version_that_lasts_no_time_is_refused(self, run, connection, task, lasted):
        columns = f"task_id, revision, valid_from, valid_to, {STATE}"

        with pytest.raises(IntegrityError) as caught, connection.begin_nested():
            run(
                f"INSERT INTO task_history ({columns}) SELECT id, 2, :noon, :noon + :lasted, {STATE} FROM tasks",
                noon=NOON,
                lasted=lasted,
            )

        assert violated_constraint(caught.value) == "ck_task_history_lasts"

    def test_a_second_version_of_the_same_number_is_refused(self, run, connection, task):
        with pytest.raises(IntegrityError) as caught, connection.begin_nested():
            run(
                f"INSERT INTO task_history (task_id, revision, valid_from, {STATE})"
                f" SELECT id, 1, :noon, {STATE} FROM tasks",
                noon=NOON,
            )

        assert violated_constraint(caught.value) == "pk_task_history"
