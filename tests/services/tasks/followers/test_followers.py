import pytest
from sqlalchemy import text

from app.errors import NotFoundError
from app.models.people.user import Role
from app.models.projects.project import ProjectMember
from app.models.tasks.follower import TaskFollower
from tests.services.imports.uploading import upload
from tests.stored import count


class TestWhoFollows:
    def test_the_creator_and_the_assignee_without_a_row(self, assign, ann, followers, session):
        assign("ann")

        assert followers() == {"creator": "created", "ann": "assigned"}
        assert count(session, TaskFollower) == 0

    def test_an_import_writes_no_rows(self, services, boss, session):
        upload(services.imports, boss, "task_name,assigned_user", "1,grace", "2,grace")

        assert count(session, TaskFollower) == 0

    def test_a_former_assignee(self, assign, ann, bob, followers):
        assign("ann")
        assign("bob")

        assert followers() == {"creator": "created", "ann": "was_assigned", "bob": "assigned"}

    def test_a_former_assignee_whom_a_statement_by_hand_has_replaced(self, assign, ann, bob, followers, session):
        assign("ann")
        session.execute(text("UPDATE tasks SET assignee_id = :bob"), {"bob": bob.user_id})

        assert followers() == {"creator": "created", "ann": "was_assigned", "bob": "assigned"}

    def test_whoever_comments_and_whoever_is_mentioned(self, services, ann, bob, task, followers):
        services.comments.create(ann, task.id, body="@bob")

        assert followers() == {"creator": "created", "ann": "commented", "bob": "mentioned"}

    def test_whoever_chooses_to(self, service, ann, task, followers):
        service.follow(ann, task.id)
        service.follow(ann, "OPS-1")

        assert followers() == {"creator": "created", "ann": "followed"}

    def test_a_viewer_may(self, service, member, task, followers):
        service.follow(member("vera", Role.VIEWER), task.id)

        assert followers()["vera"] == "followed"

    def test_somebody_who_can_no_longer_see_the_task_is_left_out(
        self, service, ann, bob, task, followers, session, ops
    ):
        service.follow(ann, task.id)
        service.follow(bob, task.id)
        session.execute(text("UPDATE users SET is_active = false WHERE id = :id"), {"id": ann.user_id})
        session.delete(session.get_one(ProjectMember, (ops.id, bob.user_id)))
        session.flush()

        assert followers() == {"creator": "created"}


class TestSince:
    def test_says_when_each_began(self, service, services, assign, creator, ann, bob, task, clock):
        created = clock()
        clock.advance(minutes=1)
        assign("ann")
        assigned = clock()
        clock.advance(minutes=1)
        service.follow(bob, task.id)
        followed = clock()
        clock.advance(minutes=1)
        # Neither another change nor following again moves the beginning.
        services.tasks.change(creator, task.id, {"title": "Other"})
        service.follow(bob, task.id)

        items = service.list_page(creator, task.id, cursor=None, limit=50).items
        since = {item["username"]: item["since"] for item in items}
        assert since == {
            name: at.isoformat(timespec="microseconds")
            for name, at in (("creator", created), ("ann", assigned), ("bob", followed))
        }


class TestLeave:
    @pytest.mark.parametrize("who", ["creator", "ann", "bob"])
    def test_ends_it_whatever_the_reason(self, service, assign, ann, bob, task, followers, who, request):
        assign("ann")
        service.follow(bob, task.id)

        service.leave(request.getfixturevalue(who), task.id)

        assert who not in followers()
        assert len(followers()) == 2

    def test_lasts_when_the_assignee_is_replaced(self, service, assign, ann, bob, task, followers):
        assign("ann")
        service.leave(ann, task.id)

        assign("bob")

        assert followers() == {"creator": "created", "bob": "assigned"}

    def test_ends_when_they_are_assigned_anew(self, service, assign, ann, task, followers):
        assign("ann")
        service.leave(ann, task.id)
        assign(None)
        assign("ann")

        assert followers() == {"creator": "created", "ann": "assigned"}

    def test_ends_when_they_comment(self, service, services, ann, task, followers):
        service.leave(ann, task.id)
        services.comments.create(ann, task.id, body="One")

        assert followers()["ann"] == "commented"

    def test_ends_when_they_are_mentioned(self, service, services, ann, bob, task, followers):
        service.leave(bob, task.id)
        services.comments.create(ann, task.id, body="@bob")

        assert followers()["bob"] == "mentioned"

    def test_lasts_when_a_comment_is_edited_that_mentioned_them_before(
        self, service, services, ann, bob, task, followers
    ):
        comment = services.comments.create(ann, task.id, body="@bob")
        service.leave(bob, task.id)

        services.comments.edit(ann, task.id, comment.id, body="@bob, please")
        services.comments.delete(ann, task.id, comment.id)

        assert "bob" not in followers()

    def test_ends_when_they_follow(self, service, creator, task, followers):
        service.leave(creator, task.id)
        service.follow(creator, task.id)

        assert followers() == {"creator": "created"}


class TestAccess:
    @pytest.mark.parametrize("name", ["follow", "leave"])
    def test_nobody_follows_what_they_do_not_see(self, service, services, boss, viewer, creator, task, name):
        with pytest.raises(NotFoundError):
            getattr(service, name)(viewer, task.id)
        with pytest.raises(NotFoundError):
            service.list_page(viewer, task.id, cursor=None, limit=50)
        services.tasks.delete(boss, task.id)
        for actor in (creator, boss):
            with pytest.raises(NotFoundError):
                getattr(service, name)(actor, task.id)

    def test_a_deleted_task_shows_its_followers_to_whoever_sees_it(self, services, boss, creator, task, followers):
        services.tasks.delete(boss, task.id)

        assert followers(boss) == {"creator": "created"}
        with pytest.raises(NotFoundError):
            followers(creator)

    def test_pages(self, service, creator, ann, bob, task):
        service.follow(ann, task.id)
        service.follow(bob, task.id)
        first = service.list_page(creator, task.id, cursor=None, limit=2)
        second = service.list_page(creator, task.id, cursor=first.next_cursor, limit=2)

        assert [item["username"] for item in (*first.items, *second.items)] == ["creator", "ann", "bob"]
        assert second.next_cursor is None
