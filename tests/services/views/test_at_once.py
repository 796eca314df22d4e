"""Views that are kept, pinned and deleted at the same moment. The database is the test's own, where requests commit."""

from contextlib import suppress

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.errors import NotFoundError, TooManyPinsError, TooManyViewsError
from app.models.views import SavedView, ViewPin
from app.services.views import MAX_PINS, MAX_VIEWS
from tests import factories as all_factories
from tests.at_once import at_once

CALLERS = 4


class TestAtOnce:
    def test_nobody_passes_the_limit_of_views(self, own_resources, own_boss):
        fill(own_resources, own_boss, MAX_VIEWS - 1)

        def keep(services, _number):
            try:
                return services.saved_views.create(own_boss, {"name": "One more"}).id
            except TooManyViewsError:
                return None

        made = at_once(own_resources, keep, count=CALLERS)

        assert len([view_id for view_id in made if view_id is not None]) == 1

    def test_nobody_passes_the_limit_of_pins(self, own_resources, own_boss):
        ids = fill(own_resources, own_boss, MAX_PINS + CALLERS - 1)

        def pin(services, number):
            if number == 0:
                services.saved_views.replace_pins(own_boss, ids[: MAX_PINS - 1])
            with suppress(TooManyPinsError):
                services.saved_views.pin(own_boss, ids[MAX_PINS - 1 + number])

        at_once(own_resources, pin, count=CALLERS)

        with own_resources.new_session() as session:
            positions = session.scalars(select(ViewPin.position).order_by(ViewPin.position)).all()
        assert len(positions) <= MAX_PINS
        assert positions == list(range(1, len(positions) + 1))

    def test_a_view_that_is_pinned_while_it_is_deleted_is_no_server_error(self, own_resources, own_boss):
        for view_id in fill(own_resources, own_boss, 15):

            def act(services, number, view_id=view_id):
                with suppress(NotFoundError):
                    (services.saved_views.delete if number == 0 else services.saved_views.pin)(own_boss, view_id)

            at_once(own_resources, act, count=2)

        with own_resources.new_session() as session:
            assert session.scalar(select(func.count()).select_from(ViewPin)) == 0
            assert session.scalar(select(func.count()).select_from(SavedView)) == 0


def fill(resources, actor, count):
    with Session(resources.engine) as session:
        all_factories.bind(session)
        views = [all_factories.SavedView(owner_id=actor.user_id) for _ in range(count)]
        session.commit()
        return [view.id for view in views]
