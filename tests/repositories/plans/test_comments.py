"""PostgreSQL's plans for comments, and for the followers of a task."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.queries.comments import CommentQuery
from app.queries.pages import DEFAULT_PAGE_SIZE, Position, encode_cursor
from app.queries.tasks import TaskQuery
from app.repositories.comments.export import CommentExportRepository
from app.repositories.comments.read import CommentViewRepository
from app.repositories.imports.comments import ImportCommentRepository, ImportedComment
from app.repositories.tasks.followers import FollowerRepository
from app.repositories.tasks.read import TaskListRepository
from tests.repositories.plans.large_database import NOW
from tests.repositories.plans.readers import ACTORS, ACTORS_WITH_MANY_TASKS, ADMIN, MEMBER, days_from_now

# Those of task 300, which has the most, and a few that other tasks have on the same pages of the table.
COMMENTS_OF_A_TASK = 1_010


class TestComments:
    @pytest.mark.parametrize("actor", ACTORS)
    @pytest.mark.parametrize("key", [300, "P7-300"])
    def test_a_page_and_the_next_read_little_more_than_they_show(self, session, plans, actor, key):
        comments, query = CommentViewRepository(session), CommentQuery()

        with plans() as seen:
            first = comments.list_page(actor, key, query)
            comments.list_page(actor, key, replace(query, cursor=first.next_cursor or some_cursor(query)))

        assert len(seen) == 2
        assert seen.problems(2 * DEFAULT_PAGE_SIZE) == []

    @pytest.mark.parametrize(
        ("query", "most_rows"),
        [
            (CommentQuery(sort="-created_at"), 2 * DEFAULT_PAGE_SIZE),
            (CommentQuery(as_of=days_from_now(-100)), 2 * DEFAULT_PAGE_SIZE),
            (CommentQuery(as_of=days_from_now(-100), sort="-created_at"), 2 * DEFAULT_PAGE_SIZE),
            (CommentQuery(deleted=True), COMMENTS_OF_A_TASK),
        ],
    )
    def test_other_lists_do_too_except_for_that_of_deleted_ones(self, session, plans, query, most_rows):
        with plans() as seen:
            CommentViewRepository(session).list_page(ADMIN, 300, query)

        assert seen.problems(most_rows) == []

    def test_one_comment_and_its_versions(self, session, plans):
        comments = CommentViewRepository(session)

        with plans() as seen:
            comments.has_task(MEMBER, 300)
            comments.get_view(MEMBER, 300, 20)
            comments.list_versions(20, before_version=None, limit=50)

        assert len(seen) == 3
        assert seen.problems(10) == []

    @pytest.mark.parametrize("actor", ACTORS_WITH_MANY_TASKS)
    @pytest.mark.parametrize("projects", [(), ("P7",)])
    def test_a_slice_of_the_export(self, session, plans, actor, projects):
        """Comments have no index by project. For a small one, PostgreSQL reads them all, in one slice."""
        with plans() as seen:
            CommentExportRepository(session).list_page(actor, projects=projects, after_id=500, limit=100)

        assert seen.scans() == []

    @pytest.mark.parametrize("has_times", [True, False])
    @pytest.mark.parametrize("count", [300, 2000])
    def test_an_import_reads_the_comments_of_a_task_once(self, session, plans, count, has_times):
        rows = [
            ImportedComment(300, 1, NOW - timedelta(minutes=n) if has_times else None, f"Text {n}")
            for n in range(count)
        ]

        with plans() as seen:
            ImportCommentRepository(session).find_existing(rows)

        assert seen.scans() == []
        assert seen.rows_of("comments") <= COMMENTS_OF_A_TASK

    def test_an_import_does_not_read_the_comments_of_other_times(self, session, plans):
        (comment,) = session.execute(text("SELECT * FROM comments WHERE task_id = 300 ORDER BY id LIMIT 1")).all()
        times = [comment.created_at + timedelta(days=400 * n) for n in range(100)]
        rows = [ImportedComment(300, comment.author_id, time, comment.body) for time in times]

        with plans() as seen:
            existing = ImportCommentRepository(session).find_existing(rows)

        assert existing == {0}
        assert seen.scans() == []
        # PostgreSQL before 18 rounds the rows of a loop to whole ones, so one row of a hundred loops is none.
        assert seen.rows_of("comments") <= 1

    def test_the_followers_of_a_task(self, session, plans):
        with plans() as seen:
            FollowerRepository(session).list_page(300, cursor=None, limit=50)

        assert seen.problems(50) == []

    @pytest.mark.parametrize("sort", ["-updated_at", "title"])
    def test_an_instant_counts_only_the_comments_of_the_tasks_on_the_page(self, session, sort):
        session.execute(text("SET LOCAL track_functions = 'all'"))
        calls = text("SELECT calls FROM pg_stat_xact_user_functions WHERE funcname = 'comment_count_at'")
        before = session.scalar(calls) or 0

        TaskListRepository(session).list_page(ADMIN, TaskQuery(as_of=days_from_now(-1), sort=(sort,)), now=NOW)

        assert session.scalar(calls) - before == 51


def some_cursor(query):
    """For somebody who does not see the task."""
    return encode_cursor(query.sort, Position("2026-01-01 00:00:00+00", 1))
