from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.models.people.user import Role
from app.queries.tasks import TaskQuery
from tests.services.tasks.as_of.looking_back import HOUR, NOON, body_of, changes, create, items_as_of, titles
from tests.services.tasks.sorting import sorts

which = st.integers(0, 9)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("create"), titles, changes),
        st.tuples(st.just("change"), which, changes),
        st.tuples(st.just("delete"), which, st.none()),
        st.tuples(st.just("restore"), which, st.none()),
    ),
    max_size=12,
)
queries = st.builds(
    TaskQuery,
    sort=sorts,
    deleted=st.booleans(),
    overdue=st.sampled_from([None, None, True, False]),
    q=st.sampled_from([None, None, "fence", "gre", "green OR wat", '"paint the"', "-fence"]),
    assignee=st.sampled_from([None, None, "ann", "none", "me"]),
    external_ref=st.sampled_from([None, None, "A"]),
    statuses=st.sampled_from([(), (), ("todo", "blocked"), ("done",)]),
    labels=st.sampled_from([(), (), ("red",), ("green", "blue")]),
    projects=st.sampled_from([(), (), ("OPS",), ("GEN", "OPS")]),
    include_total=st.just(True),
    limit=st.just(200),
)


class TestNowAndThen:
    @pytest.mark.slow
    @hypothesis_settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(steps=steps, query=queries)
    def test_the_list_as_of_an_instant_equals_the_list_at_that_instant(
        self, services, factories, acting_as, boss, clock, steps, query
    ):
        """Each example has an author of its own, because earlier examples leave their tasks behind."""
        author = acting_as(factories.User(role=Role.ADMIN))
        query = replace(query, creator="me")
        ids: list[int] = []
        seen = {clock(): body_of(services, author, query)}
        for step in steps:
            clock.advance(hours=1)
            take(services, author, step, ids)
            seen[clock()] = body_of(services, author, query)
            assert body_of(services, author, replace(query, as_of=clock())) == seen[clock()]
        clock.advance(days=1)

        listed = {instant: body_of(services, author, replace(query, as_of=instant)) for instant in seen}

        # A task is overdue if it was due before the instant.
        assert listed == seen

    def test_a_move_on_the_board_makes_no_version(self, services, boss, clock):
        task = create(services, boss, position=1.0)
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, {"position": 2.0})
        clock.advance(hours=1)
        services.tasks.change(boss, task.id, {"title": "New"})

        listed = [items_as_of(services, boss, NOON + n * HOUR)[0] for n in range(3)]

        assert [(item["position"], item["version"]) for item in listed] == [(1.0, 1), (1.0, 1), (2.0, 3)]


def take(services, actor, step, ids):
    """Take one step of a story; a step that does not fit its task does nothing."""
    verb, subject, values = step
    if verb == "create":
        ids.append(services.tasks.create(actor, {"title": subject, **values}).id)
        return
    if not ids:
        return
    task_id = ids[subject % len(ids)]
    is_deleted = services.task_views.get(actor, task_id).values["deleted_at"] is not None
    if verb == "restore" and is_deleted:
        services.tasks.restore(actor, task_id)
    elif verb == "delete" and not is_deleted:
        services.tasks.delete(actor, task_id)
    elif verb == "change" and not is_deleted:
        services.tasks.change(actor, task_id, values)
