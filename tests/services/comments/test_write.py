import pytest
from sqlalchemy import select, text

from app.errors import ForbiddenError, InvalidError, NotFoundError, PreconditionFailedError
from app.models.comments.comment import MAX_MENTIONS, Comment
from app.models.people.user import Role
from app.models.tasks.task import Task
from app.models.tasks.version import TaskVersion
from tests.stored import count


class TestCreate:
    def test_everything_about_a_comment(self, service, ann, bob, task, clock):
        comment = service.create(ann, f"OPS-{task.number}", body=" **Ask** @bob\n").values

        assert comment == {
            "id": comment["id"],
            "task_id": task.id,
            "task": f"OPS-{task.number}",
            "author": "ann",
            "body": " **Ask** @bob\n",
            "body_html": '<p><strong>Ask</strong> <span class="mention">@bob</span></p>\n',
            "mentions": ["Bob"],
            "created_at": clock().isoformat(timespec="microseconds"),
            "edited_at": None,
            "deleted_at": None,
            "deleted_by": None,
            "version": 1,
        }

    def test_a_viewer_may_not(self, service, member, task):
        with pytest.raises(ForbiddenError):
            service.create(member("vera", Role.VIEWER), task.id, body="One")

    def test_whoever_does_not_see_the_task_may_not(self, service, stranger, task):
        with pytest.raises(NotFoundError):
            service.create(stranger, task.id, body="One")

    @pytest.mark.parametrize("who", ["ann", "chief", "boss"])
    def test_nobody_comments_on_a_deleted_task(self, service, services, boss, task, who, request):
        services.tasks.delete(boss, task.id)

        with pytest.raises(NotFoundError):
            service.create(request.getfixturevalue(who), task.id, body="One")


class TestMentions:
    @pytest.mark.parametrize(
        "values",
        [
            {"is_active": False},
            {"is_active": False, "password_hash": None, "email": None},
            {"is_service": True, "password_hash": None, "email": None},
            {"role": Role.MANAGER},
        ],
        ids=["inactive", "made by an import", "service account elsewhere", "manager elsewhere"],
    )
    def test_somebody_who_cannot_see_the_task_stays_text(self, service, ann, task, factories, values):
        factories.User(username="other", **values)

        comment = service.create(ann, task.id, body="@other and @nobody").values

        assert (comment["mentions"], comment["body_html"]) == ([], "<p>@other and @nobody</p>\n")

    def test_members_admins_and_service_accounts_of_the_project(self, service, ann, bob, admin, task, factories, ops):
        script = factories.ServiceAccount(username="script")
        factories.ProjectMember(project_id=ops.id, user_id=script.id)

        comment = service.create(ann, task.id, body=f"@BOB, @{admin.username}, @script, @ann, @bob").values

        assert comment["mentions"] == sorted(["Bob", admin.username, "script", "ann"], key=str.lower)

    def test_everybody_in_the_project_of_all(self, service, ann, stranger, factories):
        assert service.create(ann, factories.Task().id, body="@stranger").values["mentions"] == ["stranger"]

    def test_so_many_and_no_more(self, service, ann, task, factories, ops):
        for number in range(MAX_MENTIONS + 1):
            user = factories.User(username=f"member{number}")
            factories.ProjectMember(project_id=ops.id, user_id=user.id)
        names = [f"@member{number}" for number in range(MAX_MENTIONS + 1)]

        assert len(service.create(ann, task.id, body=" ".join(names[1:])).values["mentions"]) == MAX_MENTIONS
        with pytest.raises(InvalidError, match="mentions 51 people; 50 are the most"):
            service.create(ann, task.id, body=" ".join(names))

    def test_an_edit_counts_them_anew(self, service, ann, bob, chief, task):
        comment = service.create(ann, task.id, body="@bob")

        edited = service.edit(ann, task.id, comment.id, body="@chief").values

        assert (comment.values["mentions"], edited["mentions"]) == (["Bob"], ["chief"])


class TestEdit:
    def test_replaces_the_text(self, service, ann, task, commented, clock):
        clock.advance(minutes=1)

        edited = service.edit(ann, task.id, commented.id, body="*Two*").values

        assert (edited["body"], edited["body_html"]) == ("*Two*", "<p><em>Two</em></p>\n")
        assert (edited["version"], edited["edited_at"]) == (2, clock().isoformat(timespec="microseconds"))
        assert edited["created_at"] == commented.values["created_at"]

    def test_the_same_text_changes_nothing(self, service, ann, task, commented):
        assert service.edit(ann, task.id, commented.id, body="One") == commented

    @pytest.mark.parametrize("who", ["bob", "chief", "boss"])
    def test_nobody_else_may(self, service, task, commented, who, request):
        with pytest.raises(ForbiddenError):
            service.edit(request.getfixturevalue(who), task.id, commented.id, body="Two")

    def test_whoever_does_not_see_the_task_does_not_find_it(self, service, stranger, task, commented):
        with pytest.raises(NotFoundError):
            service.edit(stranger, task.id, commented.id, body="Two")

    def test_the_comment_of_another_task_is_not_found(self, service, ann, factories, ops, commented):
        with pytest.raises(NotFoundError):
            service.edit(ann, factories.Task(project_id=ops.id).id, commented.id, body="Two")

    def test_a_precondition_that_does_not_hold(self, service, ann, task, commented, listed):
        with pytest.raises(PreconditionFailedError):
            service.edit(ann, task.id, commented.id, body="Two", may_overwrite=lambda _id, version: version == 2)

        assert listed(ann) == ["One"]


class TestDelete:
    @pytest.mark.parametrize("who", ["ann", "chief", "boss"])
    def test_the_author_a_manager_and_an_admin_may(self, service, task, commented, listed, who, request, session):
        actor = request.getfixturevalue(who)

        service.delete(actor, task.id, commented.id)

        assert listed(actor) == []
        assert session.scalars(select(Comment.deleted_by_id)).all() == [actor.user_id]

    def test_another_member_may_not(self, service, bob, task, commented):
        with pytest.raises(ForbiddenError):
            service.delete(bob, task.id, commented.id)

    def test_a_manager_of_another_project_does_not_find_it(self, service, manager, task, commented):
        with pytest.raises(NotFoundError):
            service.delete(manager, task.id, commented.id)

    def test_happens_once(self, service, ann, task, commented):
        service.delete(ann, task.id, commented.id)

        with pytest.raises(NotFoundError):
            service.delete(ann, task.id, commented.id)
        with pytest.raises(NotFoundError):
            service.edit(ann, task.id, commented.id, body="Two")

    def test_keeps_the_mentions(self, service, views, ann, bob, chief, task):
        comment = service.create(ann, task.id, body="@bob")

        service.delete(ann, task.id, comment.id)

        assert views.get(chief, task.id, comment.id).values["mentions"] == ["Bob"]


class TestRestore:
    def test_brings_the_comment_back_with_its_mentions(self, service, services, ann, bob, chief, task):
        comment = service.create(ann, task.id, body="@bob").values
        service.delete(ann, task.id, comment["id"])

        restored = service.restore(chief, task.id, comment["id"]).values

        assert restored == {**comment, "version": 3}
        assert services.task_views.get(ann, task.id).values["comment_count"] == 1

    @pytest.mark.parametrize("who", ["ann", "bob"])
    def test_neither_the_author_nor_another_member_may(self, service, ann, task, commented, who, request):
        service.delete(ann, task.id, commented.id)

        with pytest.raises(ForbiddenError):
            service.restore(request.getfixturevalue(who), task.id, commented.id)

    def test_needs_a_deleted_comment_of_a_task_that_is_not_deleted(self, service, services, boss, task, commented):
        with pytest.raises(NotFoundError, match="there is no deleted comment"):
            service.restore(boss, task.id, commented.id)
        service.delete(boss, task.id, commented.id)
        services.tasks.delete(boss, task.id)
        with pytest.raises(NotFoundError, match="there is no task"):
            service.restore(boss, task.id, commented.id)


class TestCount:
    def test_tasks_count_the_comments_that_are_not_deleted(self, service, services, ann, task, commented):
        def counted():
            return services.task_views.get(ann, task.id).values["comment_count"]

        assert counted() == 1
        second = service.create(ann, task.id, body="Two")
        service.edit(ann, task.id, second.id, body="Three")
        assert counted() == 2
        service.delete(ann, task.id, commented.id)
        assert counted() == 1

    def test_a_count_makes_neither_a_version_nor_a_revision(self, service, ann, task, session, clock):
        before = session.execute(TASK_ROW, {"id": task.id}).one()
        clock.advance(hours=1)

        service.create(ann, task.id, body="One")

        assert session.execute(TASK_ROW, {"id": task.id}).one() == before
        assert count(session, TaskVersion) == 1

    def test_statements_of_many_rows_by_hand_count_too(self, session, factories, admin):
        one, two = factories.Task(), factories.Task()
        values = {"author_id": admin.id, "one": one.id, "two": two.id}
        session.execute(
            text("""INSERT INTO comments (task_id, author_id, body, body_html, deleted_at)
                    SELECT CASE n % 3 WHEN 0 THEN CAST(:one AS bigint) ELSE CAST(:two AS bigint) END, :author_id,
                           'x', 'x', CASE WHEN n > 9 THEN now() END
                      FROM generate_series(1, 12) AS n"""),
            values,
        )
        assert counts(session, one, two) == [3, 6]
        session.execute(text("UPDATE comments SET deleted_at = CASE WHEN deleted_at IS NULL THEN now() END"))
        assert counts(session, one, two) == [1, 2]
        session.execute(text("UPDATE comments SET task_id = :one WHERE task_id = :two"), values)
        assert counts(session, one, two) == [3, 0]
        session.execute(text("DELETE FROM comments WHERE task_id = :one"), values)
        assert counts(session, one, two) == [0, 0]

    def test_a_task_that_is_removed_takes_its_comments_along(self, service, ann, bob, task, session):
        service.create(ann, task.id, body="@bob")

        session.execute(text("DELETE FROM tasks"))

        for table in ("comments", "comment_versions", "comment_mentions", "task_followers"):
            assert session.scalar(text(f"SELECT count(*) FROM {table}")) == 0


TASK_ROW = text("SELECT version, updated_at, revision, revised_at FROM tasks WHERE id = :id")


def counts(session, *tasks):
    return [session.get_one(Task, task.id, populate_existing=True).comment_count for task in tasks]
