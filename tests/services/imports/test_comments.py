"""Comments from a file: what the export writes, the import reads, and the same file twice adds nothing."""

import csv
import io
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from app.errors import ForbiddenError, InvalidError, ProjectArchivedError, UnreadableCsvError
from app.models.comments.comment import Comment, CommentMention
from app.models.comments.version import CommentVersion
from app.models.imports.task_import import DuplicatePolicy, ImportDraft, ImportKind
from app.models.people.user import Role, User
from app.models.projects.project import Project, ProjectMember
from app.models.tasks.task import Task
from app.services.imports.imports import ImportOptions
from tests.services.imports.uploading import COUNTS, counts_of, users_called
from tests.stored import count

HEADER = "task,external_ref,author,created_at,body"
MARCH = datetime(2026, 3, 9, 16, 45, 0, 123456, tzinfo=UTC)


class TestRoundTrip:
    def test_an_export_adds_nothing_where_it_comes_from(self, services, manager, session, task, exported, load):
        body = '=1+1, "quoted"\r\nand a line '
        services.comments.create(manager, task.id, body=body)
        services.comments.create(manager, task.id, body="\n'+2")
        content = exported()

        outcome = load(content)

        assert counts_of(outcome) == dict(zip(COUNTS, (2, 0, 0, 2, 0, 0), strict=True))
        assert exported() == content

    def test_an_export_lands_once_in_another_project(self, services, boss, session, factories, exported, load):
        source, target = (factories.Project(includes_everyone=True) for _ in range(2))
        task = factories.Task(project_id=source.id, external_ref="A")
        factories.Task(project_id=target.id, external_ref="A")
        for body in ("'=1", "**Bold**\n", " indented", "-"):
            services.comments.create(boss, task.id, body=body)

        outcomes = [load(exported(source.key), project=target.key, actor=boss, key=key) for key in "ab"]

        assert [counts_of(outcome)["created_count"] for outcome in outcomes] == [4, 0]
        assert [counts_of(outcome)["skipped_count"] for outcome in outcomes] == [0, 4]
        assert [row[1:] for row in rows_of(exported(target.key))] == [row[1:] for row in rows_of(exported(source.key))]

    @pytest.mark.slow
    @given(bodies=st.lists(st.text(alphabet="=+-@'\t\r\n ab,\"", min_size=1), max_size=5).map(set))
    @hypothesis_settings(
        max_examples=30,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    def test_any_text_comes_back(self, services, boss, session, factories, exported, load, bodies):
        source, target = (factories.Project(includes_everyone=True) for _ in range(2))
        task = factories.Task(project_id=source.id, external_ref="A")
        factories.Task(project_id=target.id, external_ref="A")
        for body in filter(str.strip, bodies):
            services.comments.create(boss, task.id, body=body)

        load(exported(source.key), project=target.key, actor=boss)

        assert [row[1:] for row in rows_of(exported(target.key))] == [row[1:] for row in rows_of(exported(source.key))]


class TestGoodRow:
    def test_becomes_a_comment_with_its_author_and_time(self, load, session, task, manager, ada):
        outcome = load(f"{HEADER}\n{task_ref(task)},,ADA,{MARCH.isoformat()},**Done** by @ada and @nobody\n")

        (comment,) = session.scalars(select(Comment)).all()
        assert (comment.task_id, comment.author_id, comment.created_at) == (task.id, ada.id, MARCH)
        assert comment.body == "**Done** by @ada and @nobody"
        assert '<strong>Done</strong> by <span class="mention">@ada</span> and @nobody' in comment.body_html
        assert session.scalars(select(CommentMention.user_id)).all() == [ada.id]
        (version,) = session.scalars(select(CommentVersion)).all()
        assert (version.version, version.body, version.actor_id) == (1, comment.body, manager.user_id)
        assert counts_of(outcome)["created_count"] == session.scalar(select(Task.comment_count)) == 1
        assert outcome.row.values["kind"] == "comments"

    def test_names_its_task_by_ref_or_reference(self, load, session, factories, ada):
        first = factories.Task(title="First", external_ref="A", number=901)
        second = factories.Task(title="Second", external_ref="A", number=902)
        third = factories.Task(title="Third", number=903)
        rows = [
            "gen-903,,ada,,By ref",
            ",A,ada,,By reference",
            "GEN-902,A,ada,,By both",
            "GEN-903,A,ada,,By reference 2",
        ]

        load("\n".join([HEADER, *rows]))

        found = session.execute(select(Comment.body, Comment.task_id).order_by(Comment.id)).all()
        assert found == [
            ("By ref", third.id),
            ("By reference", first.id),
            ("By both", second.id),
            ("By reference 2", first.id),
        ]

    def test_without_a_time_is_as_old_as_the_import(self, load, session, task, ada, clock):
        content = f"task,author,body\n{task_ref(task)},ada,One\n{task_ref(task)},ada,One\n"

        outcomes = [load(content, key=key) for key in "ab"]

        assert [counts_of(outcome)["created_count"] for outcome in outcomes] == [1, 0]
        assert session.scalars(select(Comment.created_at)).all() == [clock()]

    def test_stands_in_several_blocks(self, load, session, task, ada, small_blocks):
        rows = [f"{task_ref(task)},,ada,{MARCH + timedelta(days=n % 4)},Text {n % 4}" for n in range(10)]

        outcome = load("\n".join([HEADER, *rows]))

        assert counts_of(outcome) == dict(zip(COUNTS, (10, 4, 0, 6, 0, 0), strict=True))
        assert session.scalar(select(Task.comment_count)) == 4

    def test_of_several_blocks_is_counted_once_by_a_dry_run(self, load, session, task, ada, small_blocks):
        authors = ["ada", "ADA", "Grace", "grace"]
        times = ["", MARCH, MARCH + timedelta(days=1), MARCH.astimezone(timezone(timedelta(hours=2)))]
        rows = [f"{task_ref(task)},,{author},{time},Text" for time in times for author in authors]

        dry = load("\n".join([HEADER, *rows, *reversed(rows)]), is_dry_run=True)
        outcome = load("\n".join([HEADER, *rows, *reversed(rows)]))

        assert counts_of(dry) == counts_of(outcome) == dict(zip(COUNTS, (32, 6, 0, 26, 0, 0), strict=True))
        assert count(session, ImportDraft) == 0

    def test_brings_an_unknown_author_along(self, load, session, task):
        outcome = load(f"{HEADER}\n{task_ref(task)},,Grace,,One\n", is_dry_run=True)
        assert (counts_of(outcome)["created_count"], users_called(session, "grace")) == (1, 0)

        load(f"{HEADER}\n{task_ref(task)},,Grace,,One\n")

        author = session.scalar(select(User).join(Comment, Comment.author_id == User.id))
        assert (author.username, author.is_active) == ("Grace", False)

    def test_does_not_bring_back_a_deleted_comment(self, load, services, manager, session, task, exported):
        comment = services.comments.create(manager, task.id, body="A password")
        content = exported()
        services.comments.delete(manager, task.id, comment.id)

        outcome = load(content)

        assert counts_of(outcome)["skipped_count"] == 1
        assert session.scalar(select(Task.comment_count)) == 0


class TestBadRow:
    def test_is_named_and_the_others_land(self, load, service, manager, session, task, factories, ada, clock):
        deleted = factories.Task(number=901, deleted_at=clock())
        other = factories.Project(key="OPS", includes_everyone=True)
        foreign = factories.Task(project_id=other.id, number=1)
        ref = task_ref(task)
        rows = [
            f"{ref},,ada,,Good",
            ",,ada,,No task",
            "GEN-999,,ada,,Unknown task",
            f"{task_ref(deleted)},,ada,,Deleted task",
            f"OPS-{foreign.number},,ada,,Another project",
            ",X,ada,,Unknown reference",
            f"{ref},,,,Nobody",
            f"{ref},,ada,yesterday,No time",
            f"{ref},,ada,{clock() + timedelta(hours=1)},The future",
            f"{ref},,ada,,",
            f"{ref},,ada,,{'x' * 20_001}",
            f"{ref},,ada",
            f"{ref},,\N{CYRILLIC SMALL LETTER A}da,,Cyrillic",
        ]

        dry = load("\n".join([HEADER, *rows]), is_dry_run=True)
        assert count(session, Comment) == 0
        outcome = load("\n".join([HEADER, *rows]))

        page = service.list_errors(manager, outcome.import_id, cursor=None, limit=200).items
        assert [(item["row"], item["line"], item["column"]) for item in page] == [
            (2, 3, "task"),
            (3, 4, "task"),
            (4, 5, "task"),
            (5, 6, "task"),
            (6, 7, "external_ref"),
            (7, 8, "author"),
            (8, 9, "created_at"),
            (9, 10, "created_at"),
            (10, 11, "body"),
            (11, 12, "body"),
            (12, 13, None),
            (13, 14, "author"),
        ]
        assert page == service.list_errors(manager, dry.import_id, cursor=None, limit=200).items
        assert counts_of(dry) == counts_of(outcome) == dict(zip(COUNTS, (13, 1, 0, 0, 12, 12), strict=True))
        assert session.scalars(select(Comment.body)).all() == ["Good"]

    def test_brings_no_author_along(self, load, session, ops_manager, factories, clock):
        ops = session.scalars(select(Project).where(Project.key == "OPS")).one()
        factories.Task(project_id=ops.id, number=1)
        factories.User(username="hopper", password_hash=None, is_active=False)
        members = count(session, ProjectMember)
        rows = ["OPS-999,,Grace,,One", f"OPS-1,,Grace,{clock() + timedelta(hours=1)},Two", ",X,Hopper,,Three"]

        outcome = load("\n".join([HEADER, *rows]), project="OPS", actor=ops_manager)

        assert counts_of(outcome)["refused_count"] == 3
        assert users_called(session, "grace") == 0
        assert count(session, ProjectMember) == members

    def test_has_an_unknown_author_if_none_are_created(self, load, service, manager, session, task):
        outcome = load(f"{HEADER}\n{task_ref(task)},,Grace,,One\n", creates_users=False)

        (problem,) = service.list_errors(manager, outcome.import_id, cursor=None, limit=200).items
        assert (problem["column"], problem["reason"]) == ("author", "is nobody in the project")
        assert users_called(session, "grace") == 0


class TestFile:
    @pytest.mark.parametrize(
        "header",
        ["task,body", "author,body", "task,author", "title", "task,author,body,Body", "task,author,author,body"],
    )
    def test_without_its_columns_is_refused(self, load, header):
        with pytest.raises(UnreadableCsvError):
            load(f"{header}\n")

    def test_may_have_others_which_are_ignored(self, load, task, ada):
        outcome = load(f"Body,colour,Author,Task,error\nOne,red,ada,{task_ref(task)},\n")

        assert outcome.row.values["ignored_columns"] == ["colour"]
        assert counts_of(outcome)["created_count"] == 1

    def test_makes_no_tasks(self, load, session, task, ada):
        content = f"{HEADER},title\n{task_ref(task)},,ada,,One,Two\n"

        load(content)

        assert count(session, Comment) == 1
        assert session.scalar(select(func.count()).select_from(Task)) == 1


class TestKey:
    def test_leads_to_the_first_import(self, load, session, task, ada):
        content = f"{HEADER}\n{task_ref(task)},,ada,,One\n"

        first, second = load(content, key="a"), load(content, key="a")

        assert first.import_id == second.import_id
        assert counts_of(second)["created_count"] == 1


class TestAccess:
    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_only_managers_and_admins(self, load, task, factories, acting_as, role):
        with pytest.raises(ForbiddenError):
            load(f"{HEADER}\n", actor=acting_as(factories.User(role=role)))

    def test_a_project_of_others_is_unknown(self, load, task, manager, factories):
        factories.Project(key="OPS")
        with pytest.raises(InvalidError, match="there is no project OPS"):
            load(f"{HEADER}\n", project="OPS")

    def test_an_archived_project_refuses(self, load, session, boss, services, factories):
        project = factories.Project(key="OPS")
        session.execute(text("UPDATE projects SET archived_at = now() WHERE id = :id"), {"id": project.id})
        with pytest.raises(ProjectArchivedError):
            load(f"{HEADER}\n", project="OPS", actor=boss)


def task_ref(task):
    return f"GEN-{task.number}"


def rows_of(content):
    return list(csv.reader(io.StringIO(content, newline="")))


@pytest.fixture
def load(service, manager):
    def load(content, *, project="GEN", actor=manager, key=None, **options):
        stream = io.BytesIO(content.encode())
        options = ImportOptions(project=project, kind=ImportKind.COMMENTS, on_duplicate=DuplicatePolicy.SKIP, **options)
        return service.import_csv(
            actor, stream, filename="comments.csv", options=options, idempotency_key=key, wait_seconds=5
        )

    return load


@pytest.fixture
def exported(services, boss):
    def exported(project="GEN"):
        pieces = services.comment_export.write(boss, projects=(project,))
        return b"".join(lines.content for lines in pieces).decode()

    return exported


@pytest.fixture
def task(factories):
    return factories.Task()


@pytest.fixture
def ada(factories):
    return factories.User(username="ada")
