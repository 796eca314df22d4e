import pytest
from sqlalchemy import text

from app.errors import EventsExpiredError
from app.models.people.user import Role
from app.models.tasks.fields import TaskStatus
from app.services.events import KEEPING_TIME


class TestWhatIsAnEvent:
    def test_a_task_from_its_creation_to_its_restoration(self, services, boss, news, task):
        services.tasks.change(boss, task.id, {"title": "Two", "priority": "high"})
        services.tasks.delete(boss, task.id)
        services.tasks.restore(boss, task.id)

        assert [(event.kind, event.changed, event.task.version) for event in news()] == [
            ("task.created", None, 1),
            ("task.changed", ["priority", "title"], 2),
            ("task.deleted", ["deleted_at"], 3),
            ("task.restored", ["deleted_at"], 4),
        ]

    def test_it_says_who_did_it_and_where(self, services, boss, news, task):
        (event,) = news()

        assert (event.actor, event.project, event.task.id, event.task.ref) == (boss.username, "OPS", task.id, task.ref)

    def test_a_change_that_changes_nothing_is_none(self, services, boss, news, task):
        news()

        services.tasks.change(boss, task.id, {"title": "One"})

        assert news() == []

    def test_a_move_within_a_column(self, services, boss, news, task):
        other = services.tasks.create(boss, {"title": "Other", "project": "OPS"})
        news()

        services.task_order.move(boss, task.id, {"after": other.id})

        (event,) = news()
        assert (event.kind, event.task.id, event.task.version) == ("task.moved", task.id, 2)

    def test_a_move_to_another_column_is_a_change(self, services, boss, news, task):
        news()

        services.task_order.move(boss, task.id, {"status": TaskStatus.IN_PROGRESS})

        (event,) = news()
        assert (event.kind, event.changed) == ("task.changed", ["started_at", "status"])

    def test_a_comment_from_its_creation_to_its_restoration(self, services, boss, news, task):
        news()

        comment = services.comments.create(boss, task.id, body="One")
        services.comments.edit(boss, task.id, comment.id, body="Two")
        services.comments.delete(boss, task.id, comment.id)
        services.comments.restore(boss, task.id, comment.id)

        # The task's count of comments is no event of its own.
        assert [(event.kind, event.comment_id, event.task.ref, event.task.version) for event in news()] == [
            ("comment.created", comment.id, task.ref, None),
            ("comment.changed", comment.id, task.ref, None),
            ("comment.deleted", comment.id, task.ref, None),
            ("comment.restored", comment.id, task.ref, None),
        ]

    def test_a_project_and_its_members(self, services, boss, news, ops, factories):
        factories.User(username="ann")
        news()

        services.projects.change(boss, "OPS", name="Operations")
        services.projects.add_member(boss, "OPS", username="ann")
        services.projects.remove_member(boss, "OPS", username="ann")

        assert [(event.kind, event.project, event.member) for event in news()] == [
            ("project.changed", "OPS", None),
            ("member.added", "OPS", "ann"),
            ("member.removed", "OPS", "ann"),
        ]

    def test_sql_is_seen_too(self, session, news, task):
        news()

        session.execute(text("UPDATE tasks SET title = 'By hand' WHERE id = :id"), {"id": task.id})
        session.execute(text("DELETE FROM tasks WHERE id = :id"), {"id": task.id})

        changed, removed = news()
        assert (changed.kind, changed.changed) == ("task.changed", ["title"])
        assert (removed.kind, removed.task.id) == ("task.removed", task.id)

    def test_many_new_tasks_are_one_event_for_each_project(self, session, news, ops, admin):
        news()

        add_tasks(session, ops, admin, 101)

        (event,) = news()
        assert (event.kind, event.project, event.count, event.task) == ("tasks.created", "OPS", 101, None)

    def test_many_changed_tasks_are_one_event_for_everybody(self, session, news, ops, admin):
        add_tasks(session, ops, admin, 101)
        news()

        session.execute(text("UPDATE tasks SET title = 'New'"))

        (event,) = news()
        assert (event.kind, event.project, event.count) == ("tasks.changed", None, 101)

    def test_many_moved_tasks_are_one_event_for_each_project(self, session, news, ops, admin):
        add_tasks(session, ops, admin, 101)
        news()

        session.execute(text("UPDATE tasks SET position = position + 1"))

        (event,) = news()
        assert (event.kind, event.project, event.count) == ("tasks.moved", "OPS", 101)

    def test_many_moved_tasks_of_which_one_is_changed_are_both(self, session, news, ops, admin, task):
        add_tasks(session, ops, admin, 101)
        news()

        session.execute(
            text("UPDATE tasks SET position = position + 1, title = CASE id WHEN :id THEN 'New' ELSE title END"),
            {"id": task.id},
        )

        assert {(event.kind, event.count) for event in news()} == {("task.changed", None), ("tasks.moved", 102)}

    def test_many_counted_comments_are_none(self, session, news, ops, admin):
        add_tasks(session, ops, admin, 101)
        news()

        session.execute(text("UPDATE tasks SET comment_count = 1"))

        assert news() == []

    def test_many_removed_tasks_are_one_event_for_each_project(self, session, news, ops, admin):
        add_tasks(session, ops, admin, 101)
        news()

        session.execute(text("DELETE FROM tasks"))

        (event,) = news()
        assert (event.kind, event.project, event.count) == ("tasks.removed", "OPS", 101)


class TestWhoSeesIt:
    def test_members_of_the_project_and_nobody_else(self, services, boss, task, member, factories, acting_as):
        ann, stranger = member("ann", Role.VIEWER), acting_as(factories.User())
        cursors = {who: cursor_of(services, who) for who in (ann, stranger)}

        services.tasks.change(boss, task.id, {"title": "Two"})

        assert len(services.event_feed.list_page(ann, after=cursors[ann], limit=10).events) == 1
        assert services.event_feed.list_page(stranger, after=cursors[stranger], limit=10).events == []

    def test_who_sees_only_the_project_that_a_task_has_left_learns_that_it_is_gone(
        self, services, boss, task, member, factories
    ):
        ann = member("ann", Role.USER)
        factories.Project(key="WEB")
        cursor, ref = cursor_of(services, ann), task.ref

        services.tasks.change(boss, task.id, {"project": "WEB", "title": "Secret"})

        (event,) = services.event_feed.list_page(ann, after=cursor, limit=10).events
        assert (event.kind, event.project, event.task.ref, event.actor, event.changed) == (
            "task.gone",
            "OPS",
            ref,
            None,
            None,
        )

    def test_who_is_not_in_the_projects_of_many_changed_tasks_learns_nothing_about_them(
        self, services, session, ops, admin, factories, acting_as
    ):
        stranger = acting_as(factories.User())
        add_tasks(session, ops, admin, 101)
        cursor = cursor_of(services, stranger)

        session.execute(text("UPDATE tasks SET title = 'New'"))

        (event,) = services.event_feed.list_page(stranger, after=cursor, limit=10).events
        assert (event.kind, event.actor, event.count) == ("tasks.changed", None, None)

    def test_a_member_learns_of_their_removal(self, services, boss, task, member):
        ann = member("ann", Role.USER)
        cursor = cursor_of(services, ann)

        services.projects.remove_member(boss, "OPS", username="ann")
        services.tasks.change(boss, task.id, {"title": "Secret"})

        (event,) = services.event_feed.list_page(ann, after=cursor, limit=10).events
        assert (event.kind, event.project, event.member) == ("member.removed", "OPS", "ann")

    def test_a_request_that_began_before_its_user_became_a_member_passes_over_nothing(
        self, services, boss, task, factories, acting_as
    ):
        ann = acting_as(factories.User(username="ann"))
        cursor = cursor_of(services, ann)
        services.projects.add_member(boss, "OPS", username="ann")
        services.tasks.change(boss, task.id, {"title": "Two"})

        # `ann` is who she was before.
        page = services.event_feed.list_page(ann, after=cursor, limit=10)

        assert [event.kind for event in page.events] == ["member.added", "task.changed"]

    def test_a_comment_on_a_task_that_has_left_does_not_show_its_number_elsewhere(
        self, services, boss, news, task, factories
    ):
        factories.Project(key="WEB")
        news()
        services.comments.create(boss, task.id, body="One")
        services.tasks.change(boss, task.id, {"project": "WEB"})

        comment, _ = news()

        assert (comment.project, comment.task.ref) == ("OPS", None)

    def test_a_page_goes_past_what_the_reader_may_not_see(self, services, boss, task, factories, acting_as):
        stranger = acting_as(factories.User())
        cursor = cursor_of(services, stranger)
        services.tasks.change(boss, task.id, {"title": "Two"})

        page = services.event_feed.list_page(stranger, after=cursor, limit=10)

        assert page.next_cursor == cursor_of(services, stranger)
        assert not page.has_more


class TestCursor:
    def test_pages_follow_each_other_without_gap(self, services, boss, task):
        cursor, kinds = cursor_of(services, boss), []
        for number in range(5):
            services.tasks.change(boss, task.id, {"title": f"Title {number}"})

        for _ in range(3):
            page = services.event_feed.list_page(boss, after=cursor, limit=2)
            kinds.append((len(page.events), page.has_more))
            cursor = page.next_cursor

        assert kinds == [(2, True), (2, True), (1, False)]

    @pytest.mark.parametrize("cursor", ["", "1", "x-1", "0123456789ab-0", "-", "0123456789ab-٣"])
    def test_a_cursor_of_another_feed_has_expired(self, services, boss, cursor):
        with pytest.raises(EventsExpiredError):
            services.event_feed.list_page(boss, after=cursor, limit=10)

    def test_so_has_one_beyond_the_last_event(self, services, boss):
        epoch, position = cursor_of(services, boss).split("-")

        with pytest.raises(EventsExpiredError):
            services.event_feed.list_page(boss, after=f"{epoch}-{int(position) + 1}", limit=10)

    def test_so_has_one_whose_next_event_was_deleted(self, services, boss, task, clock):
        cursor = cursor_of(services, boss)
        services.tasks.change(boss, task.id, {"title": "Two"})
        later = cursor_of(services, boss)
        clock.advance(days=KEEPING_TIME.days + 1)

        services.event_feed.sweep()

        with pytest.raises(EventsExpiredError):
            services.event_feed.list_page(boss, after=cursor, limit=10)
        assert services.event_feed.list_page(boss, after=later, limit=10).events == []

    def test_so_has_one_whose_next_events_are_deleted_while_they_are_read(self, services, session, boss, task):
        cursor = cursor_of(services, boss)
        for title in ("Two", "Three"):
            services.tasks.change(boss, task.id, {"title": title})
        cursor_of(services, boss)
        session.execute(text("DELETE FROM events WHERE position = (SELECT max(position) - 1 FROM events)"))

        with pytest.raises(EventsExpiredError):
            services.event_feed.list_page(boss, after=cursor, limit=10)

    def test_events_that_are_not_old_stay(self, services, boss, task, clock):
        cursor = cursor_of(services, boss)
        services.tasks.change(boss, task.id, {"title": "Two"})
        cursor_of(services, boss)
        clock.advance(days=KEEPING_TIME.days - 1)

        services.event_feed.sweep()

        assert len(services.event_feed.list_page(boss, after=cursor, limit=10).events) == 1


class TestNumber:
    def test_without_readers_the_outbox_is_emptied_by_the_job(self, services, session, boss, task):
        services.event_feed.number()

        assert session.scalar(text("SELECT count(*) FROM event_outbox")) == 0


def cursor_of(services, actor):
    return services.event_feed.list_page(actor, after=None, limit=1).next_cursor


def add_tasks(session, project, creator, count):
    session.execute(
        text("""
        INSERT INTO tasks (project_id, number, position, title, description, status, priority, creator_id)
        SELECT :project_id, 1000 + n, n, 'Task', '', 'todo', 'medium', :creator_id FROM generate_series(1, :count) AS n
        """),
        {"project_id": project.id, "creator_id": creator.id, "count": count},
    )


@pytest.fixture
def news(services, boss, ops):
    """The events since the last call, as an admin sees them."""
    cursor = cursor_of(services, boss)

    def news():
        nonlocal cursor
        page = services.event_feed.list_page(boss, after=cursor, limit=1_000)
        cursor = page.next_cursor
        return list(page.events)

    return news


@pytest.fixture
def task(services, boss, ops, news):
    return services.tasks.create(boss, {"title": "One", "project": "OPS"})
