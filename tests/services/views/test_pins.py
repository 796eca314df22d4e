"""Pins: per user, ordered, and limited."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import InvalidError, NotFoundError, TooManyPinsError, TooManyViewsError
from app.services.views import MAX_PINS, MAX_VIEWS
from tests.services.views.keeping import EVERYONE, PROJECT, keep, pins, seen
from tests.unhurried import UNHURRIED


class TestPins:
    def test_a_pinned_view_comes_last_and_keeps_its_place(self, service, uwe):
        first, second = (keep(service, uwe).id for _ in range(2))
        for view_id in (second, first, second):
            service.pin(uwe, view_id)

        assert pins(service, uwe) == [second, first]
        positions = {item["id"]: item["pinned_position"] for item in listed(service, uwe)}
        assert positions == {second: 1, first: 2}

    def test_everybody_has_pins_of_their_own(self, service, mia, uwe):
        view_id = keep(service, mia, EVERYONE).id
        service.pin(uwe, view_id)

        assert (pins(service, uwe), pins(service, mia)) == ([view_id], [])
        assert listed(service, mia)[0]["pinned_position"] is None

    def test_unpinning_closes_the_gap(self, service, uwe):
        ids = [keep(service, uwe).id for _ in range(3)]
        service.replace_pins(uwe, ids)

        service.unpin(uwe, ids[1])
        service.unpin(uwe, ids[1])

        assert [item["pinned_position"] for item in listed(service, uwe)] == [1, None, 2]

    def test_a_pin_does_not_change_the_view(self, service, uwe):
        view = keep(service, uwe)
        service.pin(uwe, view.id)

        assert service.get(uwe, view.id).json == view.json

    def test_a_deleted_view_loses_its_pins(self, service, mia, uwe):
        view_id = keep(service, mia, EVERYONE).id
        service.pin(uwe, view_id)
        service.delete(mia, view_id)

        assert pins(service, uwe) == []

    def test_a_view_that_one_no_longer_sees_takes_no_place(self, service, mia, uwe, factories):
        hidden = [keep(service, mia, PROJECT).id for _ in range(MAX_PINS)]
        service.replace_pins(uwe, hidden)
        for view_id in hidden:
            service.change(mia, view_id, {"visibility": "private"})
        own = keep(service, uwe).id

        service.pin(uwe, own)

        assert pins(service, uwe) == [own]

    def test_nobody_has_too_many(self, service, uwe):
        ids = [keep(service, uwe).id for _ in range(MAX_PINS + 1)]
        service.replace_pins(uwe, ids[:-1])

        service.pin(uwe, ids[0])
        with pytest.raises(TooManyPinsError):
            service.pin(uwe, ids[-1])

    def test_an_unknown_view_pins_nothing(self, service, uwe, mia):
        own, hidden = keep(service, uwe).id, keep(service, mia).id

        with pytest.raises(InvalidError) as caught:
            service.replace_pins(uwe, [own, hidden])
        assert [problem.pointer for problem in caught.value.problems] == ["/views/1"]
        for act in (service.pin, service.unpin):
            with pytest.raises(NotFoundError):
                act(uwe, hidden)
        assert pins(service, uwe) == []

    def test_pages_join_without_gaps_or_duplicates(self, service, uwe):
        ids = [keep(service, uwe).id for _ in range(7)]
        service.replace_pins(uwe, ids[::-1])

        assert seen(service, uwe, limit=3) == ids
        assert seen(service, uwe, pinned=True, limit=3) == ids[::-1]

    @given(data=st.data())
    @settings(UNHURRIED, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_the_order_is_what_the_steps_say(self, service, uwe, data):
        ids = seen(service, uwe) or [keep(service, uwe).id for _ in range(4)]
        service.replace_pins(uwe, [])
        expected = []
        for _ in range(data.draw(st.integers(1, 6))):
            view_id = data.draw(st.sampled_from(ids))
            match data.draw(st.sampled_from(["pin", "unpin", "replace"])):
                case "pin":
                    service.pin(uwe, view_id)
                    expected += [] if view_id in expected else [view_id]
                case "unpin":
                    service.unpin(uwe, view_id)
                    expected = [each for each in expected if each != view_id]
                case "replace":
                    expected = data.draw(st.permutations(ids))[: data.draw(st.integers(0, 4))]
                    service.replace_pins(uwe, expected)

        assert pins(service, uwe) == expected


class TestLimit:
    def test_of_the_views_of_one_owner(self, service, uwe, mia, factories):
        for _ in range(MAX_VIEWS):
            factories.SavedView(owner_id=uwe.user_id)

        with pytest.raises(TooManyViewsError):
            keep(service, uwe)
        assert keep(service, mia).id


def listed(service, actor):
    return service.list_page(actor, cursor=None, limit=50).items
