"""Opening a view: its parameters apply as if they had been sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import ForbiddenError, InvalidError
from app.models.tasks.fields import TaskPriority, TaskStatus
from app.queries.tasks import SORT_NAMES
from app.schemas.tasks.queries import TaskFilters, TaskListQuery
from app.schemas.views import Parameters
from tests.services.views.keeping import EVERYONE, PROJECT, keep
from tests.unhurried import UNHURRIED

words = st.lists(st.sampled_from(["red", "green", "blue"]), min_size=1, unique=True).map(",".join)
parameters = st.fixed_dictionaries(
    {},
    optional={
        "status": st.lists(st.sampled_from(list(TaskStatus)), min_size=1, unique=True).map(",".join),
        "priority": st.lists(st.sampled_from(list(TaskPriority)), min_size=1, unique=True).map(",".join),
        "project": st.sampled_from(["GEN", "ops", "GEN,OPS"]),
        "assignee": st.sampled_from(["me", "none", "ada"]),
        "label": words,
        "due_before": st.sampled_from(["2026-03-10", "2026-03-10T12:00:00Z"]),
        "overdue": st.sampled_from(["true", "false", True]),
        "archived": st.sampled_from(["true", "false"]),
        "q": st.sampled_from(["fence", "-paint"]),
        "sort": st.sampled_from(SORT_NAMES),
        "fields": st.sampled_from(["id,title", "title,assignee"]),
    },
)


class TestOpened:
    @given(stored=parameters, beside=parameters)
    @UNHURRIED
    def test_equals_the_query_with_all_parameters(self, stored, beside):
        assert Parameters().deserialize(stored) == stored
        query = TaskListQuery().load({**beside, "view": "7"})

        assert query.view.id == 7
        assert query.view.merged(stored) == TaskListQuery().load({**stored, **beside})

    @given(stored=parameters)
    @UNHURRIED
    def test_an_export_takes_the_filters_alone(self, stored):
        filters = {name: value for name, value in stored.items() if name not in {"sort", "fields"}}

        assert TaskFilters().load({"view": "7"}).view.merged(stored) == TaskFilters().load(filters)

    def test_me_is_whoever_opens_the_view(self, services, service, ann, chief, factories, ops):
        for actor in (ann, chief):
            factories.Task(title=f"Of {actor.username}", project_id=ops.id, assignee_id=actor.user_id)
        view_id = keep(service, ann, PROJECT, query={"assignee": "me"}).id

        assert [titles(services, actor, view=view_id) for actor in (ann, chief)] == [["Of ann"], ["Of chief"]]
        assert service.get(chief, view_id).values["query"] == {"assignee": "me"}

    def test_a_sent_parameter_replaces_that_of_the_view(self, services, service, ann, factories):
        for status in (TaskStatus.TODO, TaskStatus.DONE):
            factories.Task(title=status.value, status=status)
        view_id = keep(service, ann, query={"status": "todo", "sort": "title"}).id

        assert titles(services, ann, view=view_id) == ["todo"]
        assert titles(services, ann, view=view_id, status="done") == ["done"]
        assert titles(services, ann, view=view_id, status="done,todo", sort="-title") == ["todo", "done"]

    @pytest.mark.parametrize("stored", [{"status": "gone"}, {"former": "x"}, {"sort": "title,title"}, {"label": 7}])
    def test_parameters_that_are_no_longer_valid_are_an_error_of_the_view(self, service, factories, ann, stored):
        view = factories.SavedView(owner_id=ann.user_id, query=stored)
        query = TaskListQuery().load({"view": view.id})

        if "former" in stored:
            assert service.opened(ann, query) == TaskListQuery().load({})
        else:
            with pytest.raises(InvalidError, match="view"):
                service.opened(ann, query)

    def test_a_project_that_was_archived_is_shown_if_the_view_names_it(self, services, service, boss, factories, ops):
        factories.Task(title="Old", project_id=ops.id)
        view_id = keep(service, boss, query={"project": "OPS,NOWHERE"}).id
        services.projects.archive(boss, "OPS")

        assert titles(services, boss, view=view_id) == ["Old"]

    def test_a_view_that_one_cannot_see_is_refused_like_one_that_does_not_exist(self, service, ann, chief):
        for view_id in (keep(service, ann).id, 999_999):
            with pytest.raises(InvalidError, match=f"there is no view {view_id}"):
                service.opened(chief, TaskListQuery().load({"view": view_id}))

    def test_a_view_of_deleted_tasks_shows_them_to_nobody_else(self, services, service, chief, ann):
        view_id = keep(service, chief, EVERYONE, query={"deleted": "true"}).id

        assert titles(services, chief, view=view_id) == []
        with pytest.raises(ForbiddenError):
            titles(services, ann, view=view_id)

    def test_no_list_takes_a_view_that_was_not_opened(self, services, ann):
        query = TaskListQuery().load({"view": 7})

        for read in (services.task_views.list_page, services.task_export.write):
            with pytest.raises(RuntimeError, match="not opened"):
                read(ann, query)


def titles(services, actor, **sent):
    query = services.saved_views.opened(actor, TaskListQuery().load(sent))
    page, _was_cached = services.task_views.list_page(actor, query)
    return [item["title"] for item in page.items]
