"""Pins: per user, ordered, and limited."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import InvalidError, NotFoundError, TooManyPinsError, TooManyViewsError
from app.services.views import MAX_PINS, MAX_VIEWS
from tests.services.views.keeping import EVERYONE, PROJECT, keep, pins, seen
from tests.unhurried import UNHURRIED


class TestPins:
    def test_a_pinned_view_comes_last_and_keeps_its_place(self, service, ann):
        first, second = (keep(service, ann).id for _ in range(2))
        for view_id in (second, first, second):
            service.pin(ann, view_id)

        assert pins(service, ann) == [second, first]
        positions = {item["id"]: item["pinned_position"] for item in listed(service, ann)}
        assert positions == {second: 1, first: 2}

    def test_everybody_has_pins_of_their_own(self, service, chief, ann):
        view_id = keep(service, chief, EVERYONE).id
        service.pin(ann, view_id)

        assert (pins(service, ann), pins(service, chief)) == ([view_id], [])
        assert listed(service, chief)[0]["pinned_position"] is None

    def test_unpinning_closes_the_gap(self, service, ann):
        ids = [keep(service, ann).id for _ in range(3)]
        service.replace_pins(ann, ids)

        service.unpin(ann, ids[1])
        service.unpin(ann, ids[1])

        assert [item["pinned_position"] for item in listed(service, ann)] == [1, None, 2]

    def test_a_pin_does_not_change_the_view(self, service, ann):
        view = keep(service, ann)
        service.pin(ann, view.id)

        assert service.get(ann, view.id).json == view.json

    def test_a_deleted_view_loses_its_pins(self, service, chief, ann):
        view_id = keep(service, chief, EVERYONE).id
        service.pin(ann, view_id)
        service.delete(chief, view_id)

        assert pins(service, ann) == []

    def test_a_view_that_one_no_longer_sees_takes_no_place(self, service, chief, ann, factories):
        hidden = [keep(service, chief, PROJECT).id for _ in range(MAX_PINS)]
        service.replace_pins(ann, hidden)
        for view_id in hidden:
            service.change(chief, view_id, {"visibility": "private"})
        own = keep(service, ann).id

        service.pin(ann, own)

        assert pins(service, ann) == [own]

    def test_nobody_has_too_many(self, service, ann):
        ids = [keep(service, ann).id for _ in range(MAX_PINS + 1)]
        service.replace_pins(ann, ids[:-1])

        service.pin(ann, ids[0])
        with pytest.raises(TooManyPinsError):
            service.pin(ann, ids[-1])

    def test_an_unknown_view_pins_nothing(self, service, ann, chief):
        own, hidden = keep(service, ann).id, keep(service, chief).id

        with pytest.raises(InvalidError) as caught:
            service.replace_pins(ann, [own, hidden])
        assert [problem.pointer for problem in caught.value.problems] == ["/views/1"]
        for act in (service.pin, service.unpin):
            with pytest.raises(NotFoundError):
                act(ann, hidden)
        assert pins(service, ann) == []

    def test_pages_join_without_gaps_or_duplicates(self, service, ann):
        ids = [keep(service, ann).id for _ in range(7)]
        service.replace_pins(ann, ids[::-1])

        assert seen(service, ann, limit=3) == ids
        assert seen(service, ann, pinned=True, limit=3) == ids[::-1]

    @given(data=st.data())
    @settings(UNHURRIED, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_the_order_is_what_the_steps_say(self, service, ann, data):
        ids = seen(service, ann) or [keep(service, ann).id for _ in range(4)]
        service.replace_pins(ann, [])
        expected = []
        for _ in range(data.draw(st.integers(1, 6))):
            view_id = data.draw(st.sampled_from(ids))
            match data.draw(st.sampled_from(["pin", "unpin", "replace"])):
                case "pin":
                    service.pin(ann, view_id)
                    expected += [] if view_id in expected else [view_id]
                case "unpin":
                    service.unpin(ann, view_id)
                    expected = [each for each in expected if each != view_id]
                case "replace":
                    expected = data.draw(st.permutations(ids))[: data.draw(st.integers(0, 4))]
                    service.replace_pins(ann, expected)

        assert pins(service, ann) == expected


class TestLimit:
    def test_of_the_views_of_one_owner(self, service, ann, chief, factories):
        for _ in range(MAX_VIEWS):
            factories.SavedView(owner_id=ann.user_id)

        with pytest.raises(TooManyViewsError):
            keep(service, ann)
        assert keep(service, chief).id


def listed(service, actor):
    return service.list_page(actor, cursor=None, limit=50).items
