import logging
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select, update

from app.errors import (
    AccountMergedError,
    CannotBeMergedError,
    CannotLogInError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UsernameTakenError,
)
from app.models.comments.comment import Comment, CommentMention
from app.models.daily_log.task_log import TaskLog
from app.models.people.user import Role, User
from app.models.projects.project import ProjectMember
from app.models.tasks.follower import TaskFollower
from app.models.tasks.task import Task
from app.models.tasks.version import TaskVersion
from app.queries.idempotency import Answer
from tests.factories import PASSWORD
from tests.services.imports.uploading import upload
from tests.stored import list_tasks


class TestMerge:
    def test_moves_every_task_that_the_user_is_assigned(self, service, boss, grace, ada, factories, session, ops):
        other = factories.User()
        assigned = factories.Task(assignee_id=grace.id, project_id=ops.id)
        deleted = factories.Task(assignee_id=grace.id, deleted_at=func.now())
        foreign = factories.Task(assignee_id=other.id)

        assert service.merge(boss, grace.id, into="ADA") == 2

        assert assignees(session, assigned, deleted, foreign) == [ada.id, ada.id, other.id]
        versions = [session.get_one(Task, task.id, populate_existing=True).version for task in (assigned, foreign)]
        assert versions == [2, 1]

    def test_the_history_is_signed_and_its_past_keeps_the_name_that_was_written(
        self, service, boss, grace, ada, factories, session, clock
    ):
        task = factories.Task(assignee_id=grace.id)
        clock.advance(hours=1)

        service.merge(boss, grace.id, into="ada")

        before, after = session.scalars(
            select(TaskVersion).where(TaskVersion.task_id == task.id).order_by(TaskVersion.revision)
        ).all()
        assert before.assignee_id == grace.id
        assert (after.assignee_id, after.actor_id) == (ada.id, boss.user_id)
        assert before.valid_to == after.valid_from

    def test_past_days_keep_the_name_that_was_written(
        self, service, services, boss, grace, ada, factories, session, clock
    ):
        factories.Task(assignee_id=grace.id, revised_at=clock() - timedelta(minutes=1))
        services.daily_log.request_day(boss, None)
        services.daily_log.log_due_days()

        service.merge(boss, grace.id, into="ada")

        assert session.scalars(select(TaskLog.assignee_id)).all() == [grace.id]

    def test_moves_the_memberships(self, service, services, boss, grace, ada, factories, session, ops, acting_as):
        web = factories.Project(key="WEB")
        for project, user in ((ops, grace), (web, grace), (web, ada)):
            factories.ProjectMember(project_id=project.id, user_id=user.id)

        service.merge(boss, grace.id, into="ada")

        members = session.execute(select(ProjectMember.project_id, ProjectMember.user_id)).all()
        assert sorted(members) == sorted([(ops.id, ada.id), (web.id, ada.id)])

    def test_moves_what_the_user_follows(self, service, services, boss, grace, ada, factories, session):
        followed, _assigned, left = (factories.Task(assignee_id=grace.id) for _ in range(3))
        services.tasks.change(boss, followed.id, {"assignee": None})
        services.tasks.change(boss, left.id, {"assignee": None})
        session.execute(update(TaskFollower).where(TaskFollower.task_id == left.id).values(is_following=False))

        service.merge(boss, grace.id, into="ada")

        rows = session.execute(select(TaskFollower.task_id, TaskFollower.user_id, TaskFollower.is_following)).all()
        assert sorted(rows) == [(followed.id, ada.id, True), (left.id, ada.id, False)]

    def test_moves_comments_and_mentions(self, service, services, boss, grace, ada, factories, session):
        task = factories.Task()
        values = {"task_id": task.id, "author_id": grace.id, "body": "@Grace", "body_html": "@Grace"}
        comment_id = session.scalar(insert(Comment).values(**values).returning(Comment.id))
        session.execute(insert(CommentMention).values(comment_id=comment_id, version=1, user_id=grace.id))

        service.merge(boss, grace.id, into="ada")

        comment = services.comment_views.get(boss, task.id, comment_id).values
        assert (comment["author"], comment["mentions"], comment["version"]) == ("ada", ["ada"], 1)

    def test_the_merged_account_stays_and_says_into_whom(self, service, services, boss, grace, ada):
        service.merge(boss, grace.id, into="ada")

        row = services.people.get(boss, grace.id).values
        assert (row["username"], row["is_active"], row["merged_into_id"]) == ("Grace", False, ada.id)

    def test_an_email_address_names_the_person_too(self, service, boss, grace, ada, factories, session):
        task = factories.Task(assignee_id=grace.id)

        assert service.merge(boss, grace.id, into=ada.email) == 1

        assert assignees(session, task) == [ada.id]

    def test_leaves_a_line_in_the_log_after_the_commit(self, service, services, boss, grace, ada, caplog):
        caplog.set_level(logging.INFO)

        def work():
            service.merge(boss, grace.id, into="ada")
            assert merges_in(caplog) == []
            return Answer(200, {}, b"")

        services.idempotency.answer_once(boss, "key", b"request", work)

        assert merges_in(caplog) == [(boss.user_id, grace.id, ada.id)]

    def test_a_user_without_tasks_can_be_merged(self, service, boss, grace, ada):
        assert service.merge(boss, grace.id, into="ada") == 0


class TestAfterwards:
    def test_an_import_that_names_the_merged_account_means_the_person(
        self, service, services, boss, grace, ada, session
    ):
        service.merge(boss, grace.id, into="ada")

        upload(services.imports, boss, "task_name,assigned_user", "1,GRACE")

        assert [task.assignee_id for task in list_tasks(session)] == [ada.id]
        assert session.scalar(select(func.count()).select_from(ProjectMember)) == 0

    def test_the_person_must_be_in_the_project_of_such_an_import(
        self, service, services, boss, grace, ada, session, ops
    ):
        service.merge(boss, grace.id, into="ada")

        outcome = upload(services.imports, boss, "task_name,assigned_user", "1,Grace", project="OPS")

        assert (outcome.created_count, outcome.refused_count) == (0, 1)

    @pytest.mark.parametrize(
        "changes", [{"is_active": True, "password": "a brand new password"}, {"time_zone": "Europe/Berlin"}]
    )
    def test_the_merged_account_cannot_be_changed(self, service, services, boss, grace, ada, changes):
        service.merge(boss, grace.id, into="ada")

        with pytest.raises(AccountMergedError, match="was merged into another one"):
            services.people.change(boss, grace.id, changes)

    def test_its_name_stays_taken(self, service, services, boss, grace, ada):
        service.merge(boss, grace.id, into="ada")
        values = {"username": "Grace", "email": "grace@example.org", "password": PASSWORD, "role": Role.USER}

        with pytest.raises(UsernameTakenError):
            services.people.create(boss, **values)

    def test_the_operator_gives_it_no_password(self, service, services, boss, grace, ada):
        service.merge(boss, grace.id, into="ada")

        with pytest.raises(CannotLogInError):
            services.people.replace_password(boss, "Grace", "a brand new password")

    def test_it_cannot_be_merged_again(self, service, boss, grace, ada):
        service.merge(boss, grace.id, into="ada")

        with pytest.raises(CannotBeMergedError, match="has been merged already"):
            service.merge(boss, grace.id, into="ada")


class TestRefusals:
    @pytest.mark.parametrize(
        "values",
        [
            {},
            {"is_active": False},
            {"email": None, "password_hash": None, "is_service": True},
            {"email": None, "password_hash": None, "is_service": True, "is_active": False},
        ],
        ids=["can log in", "could log in once", "service account", "inactive service account"],
    )
    def test_only_a_user_made_by_an_import_can_be_merged(self, service, boss, ada, factories, session, values):
        user = factories.User(username="other", **values)
        task = factories.Task(assignee_id=user.id)

        with pytest.raises(CannotBeMergedError):
            service.merge(boss, user.id, into="ada")

        assert assignees(session, task) == [user.id]

    def test_nobody_is_merged_into_themselves(self, service, boss, grace, admin):
        with pytest.raises(CannotBeMergedError):
            service.merge(boss, boss.user_id, into=admin.username)
        with pytest.raises(InvalidError, match="into"):
            service.merge(boss, grace.id, into="grace")

    @pytest.mark.parametrize(
        "values",
        [
            {"is_active": False},
            {"email": None, "password_hash": None, "is_active": False},
            {"email": None, "password_hash": None, "is_service": True},
        ],
        ids=["inactive", "made by an import", "service account"],
    )
    def test_the_target_is_an_active_person(self, service, boss, grace, factories, values):
        factories.User(username="other", **values)

        with pytest.raises(InvalidError, match="into"):
            service.merge(boss, grace.id, into="other")

    def test_unknown_users_are_refused(self, service, boss, grace):
        with pytest.raises(NotFoundError):
            service.merge(boss, 999_999_999, into="ada")
        with pytest.raises(InvalidError, match="there is no active user nobody"):
            service.merge(boss, grace.id, into="nobody")

    @pytest.mark.parametrize("role", [Role.MANAGER, Role.USER, Role.VIEWER])
    def test_only_an_admin_may(self, service, factories, acting_as, grace, ada, role):
        with pytest.raises(ForbiddenError):
            service.merge(acting_as(factories.User(role=role)), grace.id, into="ada")

    def test_the_database_lets_no_merged_user_log_in(self, service, boss, grace, ada, session):
        service.merge(boss, grace.id, into="ada")
        merged = session.get_one(User, grace.id, populate_existing=True)

        merged.password_hash = "a hash"
        with pytest.raises(Exception, match="ck_users_merged_cannot_log_in"):
            session.flush()


def merges_in(caplog):
    lines = [record for record in caplog.records if record.getMessage() == "user merged"]
    return [(line.user_id, line.merged_id, line.into_id) for line in lines]


def assignees(session, *tasks):
    return [session.get_one(Task, task.id, populate_existing=True).assignee_id for task in tasks]
