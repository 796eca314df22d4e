"""Comments written at the same moment. Each test has a database of its own, where transactions commit."""

from dataclasses import dataclass

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.composition.services import serving
from app.errors import NotFoundError, PreconditionFailedError
from app.models.comments.comment import Comment
from app.models.comments.version import CommentVersion
from app.models.people.user import Role
from app.models.tasks.task import Task
from app.queries.comments import CommentQuery
from tests import factories as all_factories
from tests.at_once import at_once

CALLERS = 4
EACH = 10


class TestCreate:
    def test_every_comment_is_counted(self, own_resources, world):
        def write(services, number):
            for _ in range(EACH):
                comment = services.comments.create(world.boss, world.task_id, body=f"By {number} for @ada")
                if number == 0:
                    services.comments.delete(world.boss, world.task_id, comment.id)

        at_once(own_resources, write, count=CALLERS)

        with own_resources.new_session() as session:
            assert session.scalar(select(Task.comment_count)) == (CALLERS - 1) * EACH
            assert session.scalar(text("SELECT count(*) FROM task_followers")) == 2

    def test_comments_and_changes_of_a_task_wait_for_each_other_and_all_happen(self, own_resources, world):
        def act(services, number):
            for step in range(EACH):
                if number % 2:
                    services.comments.create(world.boss, world.task_id, body="One")
                else:
                    services.tasks.change(world.boss, world.task_id, {"title": f"{number} {step}", "assignee": "ada"})

        at_once(own_resources, act, count=CALLERS)

        with own_resources.new_session() as session:
            task = session.scalars(select(Task)).one()
        assert (task.comment_count, task.version) == (CALLERS // 2 * EACH, CALLERS // 2 * EACH + 1)

    def test_nobody_comments_on_a_task_that_was_deleted_meanwhile(self, own_resources, world):
        def act(services, number):
            if number == 0:
                services.tasks.delete(world.boss, world.task_id)
                return None
            try:
                return services.comments.create(world.boss, world.task_id, body="One").id
            except NotFoundError:
                return None

        ids = at_once(own_resources, act, count=CALLERS)

        with own_resources.new_session() as session:
            deleted_at = session.scalar(select(Task.deleted_at))
            written = session.execute(select(CommentVersion.comment_id)).all()
        assert deleted_at is not None
        assert len(written) == len([each for each in ids if each is not None])


class TestEdit:
    def test_one_of_those_who_read_the_same_version_wins(self, own_resources, world):
        with serving(own_resources) as services:
            comment = services.comments.create(world.boss, world.task_id, body="One")

        def edit(services, number):
            try:
                services.comments.edit(
                    world.boss,
                    world.task_id,
                    comment.id,
                    body=f"By {number}",
                    may_overwrite=lambda _id, version: version == 1,
                )
            except PreconditionFailedError:
                return False
            return True

        assert sorted(at_once(own_resources, edit, count=CALLERS)) == [False] * (CALLERS - 1) + [True]

    def test_versions_are_contiguous(self, own_resources, world):
        with serving(own_resources) as services:
            comment = services.comments.create(world.boss, world.task_id, body="One")

        def edit(services, number):
            for step in range(EACH):
                services.comments.edit(world.boss, world.task_id, comment.id, body=f"{number} {step}")

        at_once(own_resources, edit, count=CALLERS)

        with own_resources.new_session() as session:
            versions = session.scalars(select(CommentVersion).order_by(CommentVersion.version)).all()
            last = session.scalars(select(Comment)).one()
        assert [each.version for each in versions] == [*range(1, CALLERS * EACH + 2)]
        assert [each.valid_to for each in versions[:-1]] == [each.valid_from for each in versions[1:]]
        assert (versions[-1].body, versions[-1].valid_from) == (last.body, last.revised_at)

    def test_a_list_as_of_any_instant_is_what_was_listed_then(self, own_resources, world):
        """Versions replay the list: neither an edit nor a deletion is lost in between."""
        snapshots = []
        with serving(own_resources) as services:
            ids = []
            for step in range(EACH):
                ids.append(services.comments.create(world.boss, world.task_id, body=f"{step}").id)
                if step % 3 == 1:
                    services.comments.edit(world.boss, world.task_id, ids[step // 2], body=f"edited {step}")
                if step % 4 == 3:
                    services.comments.delete(world.boss, world.task_id, ids.pop(0))
                page = services.comment_views.list_page(world.boss, world.task_id, CommentQuery())
                snapshots.append((now_of(own_resources), [item["body"] for item in page.items]))
            for instant, bodies in snapshots:
                page = services.comment_views.list_page(world.boss, world.task_id, CommentQuery(as_of=instant))
                assert [item["body"] for item in page.items] == bodies


def now_of(resources):
    """The present by the clock that dates the versions."""
    with resources.new_session() as session:
        return session.scalar(text("SELECT clock_timestamp()"))


@dataclass(frozen=True)
class World:
    boss: Actor
    task_id: int


@pytest.fixture
def world(own_resources):
    with Session(own_resources.engine) as session:
        all_factories.bind(session)
        boss = all_factories.User(role=Role.ADMIN)
        all_factories.User(username="ada")
        task = all_factories.Task(creator_id=boss.id)
        session.commit()
        return World(Actor(boss.id, boss.username, Role.ADMIN, frozenset()), task.id)
