import pytest

from app.errors import ForbiddenError, InvalidError, NotFoundError
from app.models.people.user import Role
from tests.services.imports.uploading import titles, upload


class TestAccess:
    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_a_user_may_not(self, service, factories, acting_as, role, session):
        with pytest.raises(ForbiddenError):
            upload(service, acting_as(factories.User(role=role)), "task_name", "One")

        assert titles(session) == []

    def test_another_project_counts_as_unknown(self, service, manager, factories, session):
        factories.Project(key="SECRET")

        with pytest.raises(InvalidError, match="there is no project SECRET"):
            upload(service, manager, "task_name", "One", project="SECRET")

        assert titles(session) == []

    def test_an_admin_imports_into_every_project(self, service, acting_as, admin, factories):
        factories.Project(key="SECRET")

        assert upload(service, acting_as(admin), "task_name", "One", project="SECRET").created_count == 1

    def test_imports_into_other_projects_are_not_found(self, service, manager, acting_as, admin, factories):
        factories.Project(key="SECRET")
        outcome = upload(service, acting_as(admin), "task_name,status", "One,maybe", project="SECRET")

        with pytest.raises(NotFoundError):
            service.get(manager, outcome.import_id)
        with pytest.raises(NotFoundError):
            service.list_errors(manager, outcome.import_id, cursor=None, limit=10)
        assert service.list_page(manager, cursor=None, limit=10).items == []

    def test_another_member_finds_the_import(self, service, manager, factories, acting_as):
        outcome = upload(service, manager, "task_name", "One")

        other = acting_as(factories.User(role=Role.MANAGER))
        assert service.get(other, outcome.import_id).values["id"] == outcome.import_id


class TestListPage:
    def test_lists_the_newest_first_over_all_pages(self, service, manager):
        ids = [upload(service, manager, "task_name", f"T{n}").import_id for n in range(3)]

        first = service.list_page(manager, cursor=None, limit=2)
        second = service.list_page(manager, cursor=first.next_cursor, limit=2)

        listed = [item["id"] for page in (first, second) for item in page.items]
        assert listed == ids[::-1]
        assert second.next_cursor is None
