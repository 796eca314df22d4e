import pytest
from sqlalchemy import func, select

from app.models.imports.task_import import ImportMode
from app.models.people.user import Role, User
from app.models.tasks.task import Task
from tests.services.imports.uploading import report, titles, upload, users_called
from tests.stored import count, list_tasks


class TestAssignee:
    def test_an_unknown_name_in_any_case_becomes_one_inactive_user(self, service, manager, session):
        upload(
            service, manager, "task_name,assigned_user", "1,Grace Hopper", "2,grace hopper", "3,GRACE HOPPER", "4,Zoë"
        )

        made = session.scalars(select(User).where(User.password_hash.is_(None)).order_by(User.username)).all()
        assert [(user.username, user.role, user.is_active, user.email) for user in made] == [
            ("Grace Hopper", Role.USER, False, None),
            ("Zoë", Role.USER, False, None),
        ]
        assert [task.assignee_id for task in list_tasks(session)] == [made[0].id] * 3 + [made[1].id]

    def test_the_next_file_finds_the_new_users(self, service, manager, session):
        upload(service, manager, "task_name,assigned_user", "1,Grace")
        upload(service, manager, "task_name,assigned_user", "2,GRACE")

        assert len({task.assignee_id for task in list_tasks(session)}) == 1
        assert users_called(session, "grace") == 1

    @pytest.mark.parametrize("mode", ImportMode)
    def test_a_user_named_in_several_blocks_is_created_once(self, service, manager, session, small_blocks, mode):
        rows = (f"{n},{'Grace' if n % 2 else 'GRACE'}" for n in range(10))

        upload(service, manager, "task_name,assigned_user", *rows, mode=mode)

        assert users_called(session, "grace") == 1
        assert session.scalar(select(func.count(Task.assignee_id.distinct()))) == 1

    def test_a_known_user_is_found_by_name_in_any_case(self, service, manager, session, factories):
        ada = factories.User(username="Ada")

        upload(service, manager, "task_name,assigned_user", "1,aDA")

        assert [task.assignee_id for task in list_tasks(session)] == [ada.id]

    def test_a_known_user_is_found_by_address_in_any_case(self, service, manager, session, factories):
        ada = factories.User(username="ada", email="Ada@Example.org")
        before = count(session, User)

        upload(service, manager, "task_name,assigned_user", "1,ada@example.ORG")

        assert [task.assignee_id for task in list_tasks(session)] == [ada.id]
        assert count(session, User) == before

    @pytest.mark.parametrize("is_dry_run", [False, True])
    def test_an_address_may_be_longer_than_a_username(self, service, manager, session, factories, is_dry_run):
        address = "x" * 100 + "@example.org"
        factories.User(email=address)

        lines = ["task_name,assignee", f"1,{address.upper()}", f"2,y{address}"]
        outcome = upload(service, manager, *lines, is_dry_run=is_dry_run)

        assert (outcome.created_count, outcome.refused_count) == (1, 1)
        page = service.list_errors(manager, outcome.import_id, cursor=None, limit=10)
        assert [(item["row"], item["reason"]) for item in page.items] == [(2, "is nobody in the project")]

    @pytest.mark.parametrize("cell", ["eve", "EVE", "Eve@Example.org"])
    def test_a_known_user_outside_the_project_is_refused(self, service, ops_manager, session, factories, cell):
        factories.User(username="eve", email="eve@example.org")

        lines = ["task_name,assigned_user,status", "1,,", f'"2",{cell},', "3,x,maybe", ""]
        outcome = upload(service, ops_manager, *lines, project="OPS")

        assert (outcome.created_count, outcome.refused_count) == (1, 2)
        assert report(service, ops_manager, outcome) == [(2, 3, "assigned_user", cell), (3, 4, "status", "maybe")]
        assert titles(session) == ["1"]

    def test_an_admin_does_not_need_to_be_in_the_project(self, service, ops_manager, admin, session):
        outcome = upload(service, ops_manager, "task_name,assigned_user", f"1,{admin.username}", project="OPS")

        assert outcome.created_count == 1
        assert [task.assignee_id for task in list_tasks(session)] == [admin.id]

    def test_a_new_user_becomes_a_member_of_the_project(self, service, services, ops_manager, session):
        for number in range(2):
            upload(service, ops_manager, "task_name,assigned_user", f"{number},Grace", project="OPS")

        members = services.projects.list_members(ops_manager, "OPS", cursor=None, limit=10).items
        assert [member["username"] for member in members].count("Grace") == 1
        assert len(list_tasks(session)) == 2

    def test_a_user_without_an_account_may_join_every_project(self, service, manager, ops_manager, session):
        upload(service, manager, "task_name,assigned_user", "1,Grace")

        outcome = upload(service, ops_manager, "task_name,assigned_user", "2,grace", project="OPS")

        assert outcome.created_count == 1
        assert users_called(session, "grace") == 1

    def test_a_refused_row_creates_no_user(self, service, manager, session):
        upload(service, manager, "task_name,status,assigned_user", "1,maybe,Grace")

        assert users_called(session, "grace") == 0

    def test_an_empty_cell_means_no_assignee(self, service, manager, session):
        upload(service, manager, "task_name,assigned_user", "1,", "2,   ")

        assert [task.assignee_id for task in list_tasks(session)] == [None, None]


class TestNamesThatLookLikeOthers:
    @pytest.mark.parametrize("is_dry_run", [False, True])
    def test_a_row_with_such_a_name_is_refused_and_creates_no_user(
        self, service, manager, session, factories, is_dry_run
    ):
        factories.User(username="ada")

        lines = ["task_name,Assignee", "1,ada", "2,\u0430da", "3,ad\ufe0fa", "4,Grace"]
        outcome = upload(service, manager, *lines, is_dry_run=is_dry_run)

        assert (outcome.created_count, outcome.refused_count) == (2, 2)
        assert report(service, manager, outcome) == [(2, 3, "Assignee", "\u0430da"), (3, 4, "Assignee", "ad\ufe0fa")]
        assert users_called(session, "\u0430da") == 0

    def test_the_first_of_two_new_names_becomes_a_user(self, service, manager, session):
        outcome = upload(service, manager, "task_name,Assignee", "1,user1", "2,userl", "3,USER1")

        assert (outcome.created_count, outcome.refused_count) == (2, 1)
        assert (users_called(session, "user1"), users_called(session, "userl")) == (1, 0)

    def test_an_invisible_name_is_refused(self, service, manager):
        assert upload(service, manager, "task_name,Assignee", "1,\u3164").refused_count == 1


class TestWithoutNewUsers:
    @pytest.mark.parametrize("is_dry_run", [False, True])
    def test_a_row_with_an_unknown_user_is_refused(self, service, manager, session, factories, is_dry_run):
        factories.User(username="ada")

        lines = ["task_name,Assignee", "1,ada", "2,Grace", "3,", "4,grace"]
        outcome = upload(service, manager, *lines, creates_users=False, is_dry_run=is_dry_run)

        assert (outcome.created_count, outcome.refused_count) == (2, 2)
        assert report(service, manager, outcome) == [(2, 3, "Assignee", "Grace"), (4, 5, "Assignee", "grace")]
        assert users_called(session, "grace") == 0
        assert titles(session) == ([] if is_dry_run else ["1", "3"])

    def test_a_user_of_another_project_is_refused_with_the_same_message(self, service, ops_manager, factories):
        factories.User(username="eve")

        lines = ["task_name,assignee", "1,eve", "2,nobody at all"]
        outcome = upload(service, ops_manager, *lines, project="OPS", creates_users=False)

        page = service.list_errors(ops_manager, outcome.import_id, cursor=None, limit=10)
        assert len({problem["reason"] for problem in page.items}) == 1
