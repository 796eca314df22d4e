from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.errors import ForbiddenError, InvalidError, NotFoundError
from app.models.people.user import Role
from app.queries.comments import CommentQuery
from app.queries.tasks import TaskQuery
from app.services.comments.read import CommentEvent


class TestList:
    def test_shows_the_oldest_first_or_the_newest(self, ann, listed, three):
        assert listed(ann) == ["0", "1", "2"]
        assert listed(ann, sort="-created_at") == ["2", "1", "0"]

    @pytest.mark.parametrize("sort", ["created_at", "-created_at"])
    def test_pages_neither_repeat_nor_skip(self, views, ann, task, service, sort):
        """Comments of one instant follow each other by their ids."""
        ids = [service.create(ann, task.id, body="x").id for _ in range(5)]
        seen, cursor = [], None
        while True:
            page = views.list_page(ann, task.id, CommentQuery(sort=sort, cursor=cursor, limit=2))
            seen += [item["id"] for item in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break

        assert seen == (ids[::-1] if sort.startswith("-") else ids)

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.USER])
    def test_everybody_who_sees_the_task_sees_them(self, member, listed, three, role):
        assert len(listed(member("other", role))) == 3

    def test_nobody_else_finds_the_task(self, stranger, listed, three):
        with pytest.raises(NotFoundError, match="there is no task"):
            listed(stranger)

    def test_a_task_without_comments_has_an_empty_list(self, ann, listed):
        assert listed(ann) == []

    def test_an_unknown_task_is_not_found(self, views, ann):
        for key in (999_999_999, "OPS-999"):
            with pytest.raises(NotFoundError):
                views.list_page(ann, key, CommentQuery())

    def test_a_deleted_task_shows_them_to_whoever_sees_deleted_tasks(
        self, services, boss, ann, chief, task, listed, three
    ):
        services.tasks.delete(boss, task.id)

        assert len(listed(chief)) == 3
        with pytest.raises(NotFoundError):
            listed(ann)


class TestDeleted:
    def test_managers_and_admins_list_them(self, service, chief, boss, ann, task, listed, commented):
        service.delete(ann, task.id, commented.id)

        assert listed(chief, deleted=True) == listed(boss, deleted=True) == ["One"]
        assert listed(chief, "deleted_by", deleted=True) == ["ann"]
        assert listed(chief) == []
        with pytest.raises(ForbiddenError):
            listed(ann, deleted=True)

    def test_only_they_see_one_and_its_versions(self, service, views, chief, ann, task, commented):
        service.delete(ann, task.id, commented.id)

        assert views.get(chief, task.id, commented.id).values["deleted_at"] is not None
        assert len(views.list_versions(chief, task.id, commented.id, cursor=None, limit=9).items) == 2
        with pytest.raises(NotFoundError):
            views.get(ann, task.id, commented.id)
        with pytest.raises(NotFoundError):
            views.list_versions(ann, task.id, commented.id, cursor=None, limit=9)


class TestAsOf:
    def test_shows_the_comments_and_texts_of_that_time(self, service, ann, task, listed, clock):
        before = clock()
        clock.advance(minutes=1)
        first = service.create(ann, task.id, body="One")
        clock.advance(minutes=1)
        then = clock()
        clock.advance(minutes=1)
        service.edit(ann, task.id, first.id, body="Edited")
        service.create(ann, task.id, body="Two")

        assert listed(ann, as_of=before) == []
        assert listed(ann, as_of=then) == ["One"]
        assert listed(ann, "version", as_of=then) == [1]
        assert listed(ann, "edited_at", as_of=then) == [None]
        assert listed(ann, as_of=clock()) == listed(ann) == ["Edited", "Two"]

    def test_a_comment_that_was_deleted_since_is_shown_to_managers_only(
        self, service, ann, chief, task, listed, commented, clock
    ):
        then = clock()
        clock.advance(minutes=1)
        service.delete(ann, task.id, commented.id)

        assert listed(chief, as_of=then) == ["One"]
        assert listed(chief, "deleted_at", as_of=then) == [None]
        assert listed(ann, as_of=then) == []

    def test_has_the_mentions_of_that_time(self, service, ann, bob, chief, task, listed, clock):
        comment = service.create(ann, task.id, body="@bob")
        then = clock()
        clock.advance(minutes=1)
        service.edit(ann, task.id, comment.id, body="@chief")

        assert listed(ann, "mentions", as_of=then) == [["Bob"]]
        assert listed(ann, "mentions") == [["chief"]]

    def test_pages_go_on(self, views, service, ann, task, three, clock):
        query = CommentQuery(as_of=clock(), limit=2, sort="-created_at")
        first = views.list_page(ann, task.id, query)
        second = views.list_page(ann, task.id, CommentQuery(**{**vars_of(query), "cursor": first.next_cursor}))

        assert [item["body"] for item in (*first.items, *second.items)] == ["2", "1", "0"]

    def test_the_future_is_refused(self, ann, listed, clock):
        with pytest.raises(InvalidError, match="is in the future"):
            listed(ann, as_of=clock() + timedelta(hours=1))

    def test_tasks_have_the_counts_of_that_time(self, service, services, ann, task, commented, clock):
        def counted(as_of):
            page, _ = services.task_views.list_page(ann, TaskQuery(projects=("OPS",), as_of=as_of))
            return [item["comment_count"] for item in page.items]

        then = clock()
        clock.advance(minutes=1)
        service.create(ann, task.id, body="Two")
        service.delete(ann, task.id, commented.id)
        service.create(ann, task.id, body="Three")

        assert (counted(then), counted(clock()), counted(None)) == ([1], [2], [2])


class TestVersions:
    def test_tell_who_wrote_what_and_when(self, service, views, ann, bob, chief, task, clock):
        times = [clock()]
        comment = service.create(ann, task.id, body="@bob")
        for change in (
            lambda: service.edit(ann, task.id, comment.id, body="Two"),
            lambda: service.delete(chief, task.id, comment.id),
        ):
            clock.advance(minutes=1)
            times.append(clock())
            change()

        states = views.list_versions(chief, task.id, comment.id, cursor=None, limit=9).items

        assert [(each.version, each.event, each.actor, each.body, each.mentions) for each in states] == [
            (3, CommentEvent.DELETED, "chief", "Two", []),
            (2, CommentEvent.EDITED, "ann", "Two", []),
            (1, CommentEvent.CREATED, "ann", "@bob", ["Bob"]),
        ]
        assert [(each.at, each.until) for each in reversed(states)] == [*zip(times, [*times[1:], None], strict=True)]

    def test_come_in_pages(self, service, views, ann, task, commented):
        service.edit(ann, task.id, commented.id, body="Two")
        first = views.list_versions(ann, task.id, commented.id, cursor=None, limit=1)
        second = views.list_versions(ann, task.id, commented.id, cursor=first.next_cursor, limit=1)

        assert [page.items[0].version for page in (first, second)] == [2, 1]
        assert second.next_cursor is None

    def test_are_written_for_changes_by_hand_too(self, views, ann, task, commented, session):
        session.execute(text("UPDATE comments SET body = 'By hand', version = 9, edited_at = NULL"))
        session.execute(text("UPDATE comments SET deleted_at = now()"))
        session.execute(text("UPDATE comments SET deleted_at = NULL"))

        states = views.list_versions(ann, task.id, commented.id, cursor=None, limit=9).items
        assert [(each.version, each.event) for each in states[:3]] == [
            (4, CommentEvent.RESTORED),
            (3, CommentEvent.DELETED),
            (2, CommentEvent.EDITED),
        ]

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE comment_versions SET body = 'x'",
            "DELETE FROM comment_versions",
            "TRUNCATE comment_versions",
            "TRUNCATE comments CASCADE",
        ],
    )
    def test_are_never_rewritten(self, session, commented, statement):
        with pytest.raises(DBAPIError, match="the versions of comments are not rewritten"):
            session.execute(text(statement))


def vars_of(query):
    return {name: getattr(query, name) for name in query.__slots__}


@pytest.fixture
def three(service, ann, task, clock):
    for number in range(3):
        service.create(ann, task.id, body=str(number))
        clock.advance(minutes=1)
