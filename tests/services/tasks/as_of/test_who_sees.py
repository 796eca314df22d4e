import pytest
from sqlalchemy import delete

from app.errors import ForbiddenError
from app.models.people.user import Role
from app.models.tasks.task import Task
from tests.services.tasks.as_of.looking_back import (
    HOUR,
    INSTANT,
    NOON,
    create,
    ids_as_of,
    items_as_of,
    page_as_of,
    titles_as_of,
)


class TestDeleted:
    def test_a_task_deleted_later_is_still_in_the_list(self, services, boss, clock):
        task = create(services, boss)
        clock.advance(hours=1)
        services.tasks.delete(boss, task.id)
        clock.advance(hours=1)

        (then,) = items_as_of(services, boss, NOON + HOUR - INSTANT)

        assert (then["id"], then["deleted_at"]) == (task.id, None)

    def test_a_task_deleted_by_then_is_in_the_list_of_deleted_tasks(self, services, boss, clock):
        task = create(services, boss)
        clock.advance(hours=1)
        services.tasks.delete(boss, task.id)
        clock.advance(hours=1)

        (then,) = items_as_of(services, boss, NOON + HOUR, deleted=True)

        assert (then["id"], then["deleted_at"]) == (task.id, "2026-03-10T13:00:00.000000+00:00")
        assert ids_as_of(services, boss, NOON + HOUR) == []
        assert ids_as_of(services, boss, NOON, deleted=True) == []

    def test_a_task_restored_later_is_still_deleted_at_that_time(self, services, boss, clock):
        task = create(services, boss)
        for do in (services.tasks.delete, services.tasks.restore):
            clock.advance(hours=1)
            do(boss, task.id)

        listed = [ids_as_of(services, boss, NOON + n * HOUR) for n in range(3)]
        listed_deleted = [ids_as_of(services, boss, NOON + n * HOUR, deleted=True) for n in range(3)]

        assert listed == [[task.id], [], [task.id]]
        assert listed_deleted == [[], [task.id], []]

    def test_a_purged_task_is_still_in_earlier_lists(self, services, boss, clock, session):
        task = create(services, boss, title="Purged", assignee="ann")
        clock.advance(hours=1)
        session.execute(delete(Task).where(Task.id == task.id))

        (then,) = items_as_of(services, boss, NOON + HOUR - INSTANT)

        assert (then["title"], then["assignee"]) == ("Purged", "ann")
        assert ids_as_of(services, boss, NOON + HOUR) == []
        assert ids_as_of(services, boss, NOON + HOUR, deleted=True) == []

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_only_users_who_may_restore_tasks_may_list_deleted_ones(self, services, factories, acting_as, role):
        with pytest.raises(ForbiddenError):
            items_as_of(services, acting_as(factories.User(role=role)), NOON, deleted=True)


class TestWhoSees:
    def test_the_list_shows_nothing_of_other_projects(self, services, boss, ben):
        create(services, boss, project="OPS")

        assert page_as_of(services, ben, NOON, include_total=True) == {
            "items": [],
            "next_cursor": None,
            "total": 0,
            "total_is_capped": False,
        }
        assert ids_as_of(services, ben, NOON, projects=("OPS",)) == []

    def test_a_task_that_left_the_project_is_seen_as_it_was_there(self, services, boss, ben, clock):
        task = create(services, boss, title="For all")
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, {"project": "OPS", "title": "Secret"})

        listed = [titles_as_of(services, ben, instant) for instant in (NOON, NOON + HOUR)]

        assert listed == [["For all"], []]

    def test_a_task_that_came_into_the_project_is_not_seen_as_it_was_before(self, services, boss, ben, clock):
        task = create(services, boss, title="Secret", project="OPS")
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, {"project": "GEN", "title": "For all"})

        listed = [titles_as_of(services, ben, instant) for instant in (NOON, NOON + HOUR)]

        assert listed == [[], ["For all"]]

    def test_a_new_member_sees_what_was_in_the_project_before(self, services, boss, factories, acting_as, ops, clock):
        task = create(services, boss, project="OPS")
        clock.advance(hours=1)
        newcomer = factories.User()
        factories.ProjectMember(project_id=ops.id, user_id=newcomer.id)

        assert ids_as_of(services, acting_as(newcomer), NOON) == [task.id]
