"""The JSON that PostgreSQL makes has exactly the fields of the contract."""

import io
from dataclasses import asdict
from datetime import timedelta
from uuid import uuid4

import orjson
import pytest
from marshmallow import RAISE

from app.http.responses import envelope_of, items_response
from app.models.login.api_token import TokenScope
from app.models.people.user import Role
from app.models.tasks.fields import TaskStatus
from app.queries.comments import CommentQuery
from app.queries.daily_log import NumberedLogQuery, TaskLogQuery
from app.queries.tasks import EXPANDABLE, Selection, TaskQuery
from app.repositories.comments.rows import COMMENT_FIELDS
from app.repositories.daily_log.days import LOG_FIELDS, RUN_FIELDS
from app.repositories.imports.imports import ERROR_FIELDS, IMPORT_DETAIL_FIELDS, IMPORT_FIELDS, MAPPING_FIELDS
from app.repositories.login.api_tokens import TOKEN_FIELDS
from app.repositories.people import USER_FIELDS
from app.repositories.projects import MEMBER_FIELDS, PROJECT_FIELDS, PROJECT_SUMMARY_FIELDS
from app.repositories.tasks.followers import FOLLOWER_FIELDS
from app.repositories.tasks.rows import TASK_FIELDS
from app.repositories.views import LISTED_VIEW_FIELDS, VIEW_FIELDS
from app.routes import classic
from app.routes.daily_log import with_link
from app.schemas.classic import LOGGED_TASK, LOGGED_TASK_DETAIL, ClassicLogDetail, ClassicLogPage
from app.schemas.comments import Comment, CommentPage, CommentVersionPage
from app.schemas.daily_log import LogDayPage, LogRun, LogRunPage, TaskLog, TaskLogPage
from app.schemas.imports.imports import Import, ImportPage, ImportProblem, ImportProblemPage, ImportSummary
from app.schemas.imports.words import ImportMapping
from app.schemas.login import ApiToken, ApiTokenPage
from app.schemas.people import User, UserPage
from app.schemas.projects import Member, MemberPage, Project, ProjectPage, ProjectSummary
from app.schemas.tasks.answers import Follower, FollowerPage, ShownTask, Task, TaskPage
from app.schemas.views import ListedView, View, ViewPage

PAIRS = {
    "tasks": (TASK_FIELDS, Task),
    "comments": (COMMENT_FIELDS, Comment),
    "followers": (FOLLOWER_FIELDS, Follower),
    "users": (USER_FIELDS, User),
    "API tokens": (TOKEN_FIELDS, ApiToken),
    "projects": (PROJECT_SUMMARY_FIELDS, ProjectSummary),
    "a project": (PROJECT_FIELDS, Project),
    "members": (MEMBER_FIELDS, Member),
    "imports": (IMPORT_FIELDS, ImportSummary),
    "an import": (IMPORT_DETAIL_FIELDS, Import),
    "import mappings": (MAPPING_FIELDS, ImportMapping),
    "import errors": (ERROR_FIELDS, ImportProblem),
    "task logs": (LOG_FIELDS, TaskLog),
    "log runs": (RUN_FIELDS, LogRun),
    "views": (LISTED_VIEW_FIELDS, ListedView),
    "a view": (VIEW_FIELDS, View),
}


class TestNames:
    @pytest.mark.parametrize(("made", "schema"), PAIRS.values(), ids=PAIRS.keys())
    def test_the_schema_has_exactly_the_fields_of_the_rows(self, made, schema):
        assert {field.data_key or name for name, field in schema().fields.items()} == set(made)

    def test_a_selection_has_no_other_fields(self):
        assert set(ShownTask().fields) == set(TASK_FIELDS)

    @pytest.mark.parametrize("schema", [schema for _made, schema in PAIRS.values()], ids=PAIRS.keys())
    def test_every_field_is_required(self, schema):
        assert [name for name, field in schema().fields.items() if not field.required] == []


class TestTasks:
    def test_a_task_with_every_field_set(self, services, boss, full_task):
        ensure_matches(Task, services.task_views.get(boss, full_task.id).json)

    def test_a_task_with_default_fields(self, services, boss, factories):
        ensure_matches(Task, services.task_views.get(boss, factories.Task().id).json)

    def test_a_page(self, services, boss, full_task, factories):
        factories.Task()

        for deleted in (False, True):
            page, _ = services.task_views.list_page(boss, TaskQuery(deleted=deleted, include_total=True, limit=1))
            ensure_matches(TaskPage, envelope_of(page))
            (item,) = page.items
            ensure_matches(Task, orjson.dumps(item))

    @pytest.mark.parametrize("selection", [Selection(expand=EXPANDABLE), Selection(("id", "labels"))])
    def test_a_selection_of_fields(self, services, boss, full_task, factories, selection):
        for task_id in (full_task.id, factories.Task().id):
            ensure_matches(ShownTask, services.task_views.get(boss, task_id, selection).json)


class TestComments:
    def test_a_comment_a_page_and_its_versions(self, services, boss, admin, factories):
        task = factories.Task()
        comment = services.comments.create(boss, task.id, body=f"@{admin.username}")
        ensure_matches(Comment, comment.json)
        ensure_matches(Comment, services.comments.edit(boss, task.id, comment.id, body="Two").json)
        services.comments.delete(boss, task.id, comment.id)

        for query in (CommentQuery(deleted=True), CommentQuery()):
            ensure_matches(CommentPage, envelope_of(services.comment_views.list_page(boss, task.id, query)))
        ensure_matches(Comment, services.comment_views.get(boss, task.id, comment.id).json)
        page = services.comment_views.list_versions(boss, task.id, comment.id, cursor=None, limit=9)
        ensure_matches(CommentVersionPage, items_response([asdict(each) for each in page.items], None).data)

    def test_a_page_of_followers(self, services, boss, factories):
        task = factories.Task(assignee_id=factories.User().id)
        services.task_followers.follow(boss, task.id)

        page = services.task_followers.list_page(boss, task.id, cursor=None, limit=9)
        ensure_matches(FollowerPage, envelope_of(page))
        assert len(page.items) == 3


class TestUsers:
    def test_a_user_with_an_address_and_one_without(self, services, boss, factories):
        unclaimed = factories.User(email=None, password_hash=None, is_active=False)

        for user_id in (boss.user_id, unclaimed.id):
            ensure_matches(User, services.people.get(boss, user_id).json)

    def test_a_page(self, services, boss, factories):
        factories.User()

        ensure_matches(UserPage, envelope_of(services.people.list_page(boss, q=None, cursor=None, limit=1)))


class TestApiTokens:
    def test_a_token_and_a_page(self, services, boss):
        made = services.api_tokens.create(boss, boss.user_id, name="Report", scopes=[TokenScope.TASKS_READ])

        ensure_matches(ApiToken, made.row.json)
        page = services.api_tokens.list_page(boss, boss.user_id, cursor=None, limit=1)
        ensure_matches(ApiTokenPage, envelope_of(page))


class TestProjects:
    def test_a_project_a_page_and_its_members(self, services, boss):
        ensure_matches(Project, services.projects.create(boss, key="OPS", name="Operations").json)
        ensure_matches(ProjectPage, envelope_of(services.projects.list_page(boss, cursor=None, limit=1)))

        page = services.projects.list_members(boss, "OPS", cursor=None, limit=1)
        ensure_matches(MemberPage, envelope_of(page))
        (member,) = page.items
        ensure_matches(Member, orjson.dumps(member))


class TestViews:
    def test_a_view_and_a_page(self, services, boss):
        ensure_matches(View, services.saved_views.create(boss, {"name": "Mine", "query": {"assignee": "me"}}).json)
        for pinned in (False, True):
            page = services.saved_views.list_page(boss, pinned=pinned, cursor=None, limit=1)
            ensure_matches(ViewPage, envelope_of(page))


class TestImports:
    def test_an_import_a_page_and_its_errors(self, services, boss):
        content = b"task_name,status\nGood,todo\nBad,maybe\nToo few\n"
        outcome = services.imports.import_csv(boss, io.BytesIO(content), filename="tasks.csv")

        ensure_matches(Import, outcome.row.json)
        ensure_matches(Import, services.imports.get(boss, outcome.import_id).json)
        ensure_matches(ImportPage, envelope_of(services.imports.list_page(boss, cursor=None, limit=1)))
        page = services.imports.list_errors(boss, outcome.import_id, cursor=None, limit=10)
        ensure_matches(ImportProblemPage, envelope_of(page))
        assert len(page.items) == 2
        for problem in page.items:
            ensure_matches(ImportProblem, orjson.dumps(problem))


class TestTaskLogs:
    def test_a_row_and_a_page(self, services, boss, logged_ids):
        for log_id in logged_ids:
            ensure_matches(TaskLog, services.task_logs.get(boss, log_id).json)

        page, _ = services.task_logs.list_page(boss, TaskLogQuery(limit=1, include_total=True))
        ensure_matches(TaskLogPage, envelope_of(page))

    def test_counts_per_day(self, services, boss, logged_ids):
        page = services.daily_log_reports.count_by_day(boss, TaskLogQuery())
        body = {"items": [with_link(day, None) for day in page.items], "next_cursor": None}
        ensure_matches(LogDayPage, orjson.dumps(body))

    def test_runs(self, services, logged_ids):
        page = services.task_logs.list_runs(cursor=None, limit=10)

        ensure_matches(LogRunPage, envelope_of(page))
        for run in page.items:
            ensure_matches(LogRun, orjson.dumps(run))

    def test_a_row_and_a_page_of_the_classic_api(self, services, boss, logged_ids):
        for log_id in logged_ids:
            ensure_matches(ClassicLogDetail, services.task_logs.get_with_task(boss, log_id, LOGGED_TASK_DETAIL).json)

        page, _ = services.task_logs.list_numbered(boss, NumberedLogQuery(page=1, per_page=10), LOGGED_TASK)
        ensure_matches(ClassicLogPage, classic.envelope_of(page))

    def test_a_row_of_a_purged_task(self, services, boss, logged_ids, full_task, session):
        session.delete(full_task)
        session.flush()

        for log_id in logged_ids:
            ensure_matches(TaskLog, services.task_logs.get(boss, log_id).json)
            ensure_matches(ClassicLogDetail, services.task_logs.get_with_task(boss, log_id, LOGGED_TASK_DETAIL).json)


def ensure_matches(schema, body):
    assert schema(unknown=RAISE).validate(orjson.loads(body)) == {}


@pytest.fixture
def full_task(factories, clock, admin):
    return factories.Task(
        title=f"Everything {uuid4()}",
        description="with words",
        status=TaskStatus.BLOCKED,
        labels=["red", "green"],
        creator_id=admin.id,
        assignee_id=factories.User(role=Role.MANAGER).id,
        due_at=clock() + timedelta(days=1),
        started_at=clock() - timedelta(days=1, microseconds=1),
        completed_at=clock(),
        deleted_at=clock() + timedelta(hours=1),
        revised_at=clock() - timedelta(days=3),
    )


@pytest.fixture
def logged_ids(services, boss, full_task, factories, clock):
    """Log rows of a task with every field set, and of a task with default fields."""
    factories.Task(revised_at=clock() - timedelta(days=3))
    services.daily_log.request_day(boss, None)
    services.daily_log.log_due_days()
    page, _ = services.task_logs.list_page(boss, TaskLogQuery())
    ids = [item["id"] for item in page.items]
    assert len(ids) == 4
    return ids
