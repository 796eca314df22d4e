"""How values are printed."""

from datetime import UTC, date, datetime, timedelta, timezone

import orjson
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import DateTime, literal, select

from app.http.responses import items_response, value_response
from app.models.tasks.fields import TaskStatus
from app.repositories.pages import json_text

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


class TestTimes:
    @given(moment=st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
    @example(NOON)
    @example(NOON + timedelta(microseconds=250_000))
    @example(NOON + timedelta(microseconds=1))
    @hypothesis_settings(
        deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    )
    def test_are_printed_as_by_postgresql(self, session, moment):
        printed_by_postgresql = session.scalar(select(json_text({"at": literal(moment, DateTime(timezone=True))})))

        assert value_response({"at": moment}).data.decode() == printed_by_postgresql

    def test_are_in_utc(self):
        moment = NOON.astimezone(timezone(timedelta(hours=-3)))

        assert value_response({"at": moment}).json == {"at": "2026-03-10T12:00:00.000000+00:00"}

    def test_of_a_history_are_those_of_the_task(self, client, factories, admin, clock):
        clock.now = NOON + timedelta(milliseconds=120)
        as_admin = client.acting_as(admin)

        task = as_admin.post("/api/v1/tasks", {"title": "One"}).json
        (version,) = as_admin.get(f"/api/v1/tasks/{task['id']}/history").json["items"]

        assert version["at"] == task["created_at"] == "2026-03-10T12:00:00.120000+00:00"

    def test_dates_and_words_are_as_usual(self):
        assert value_response({"on": date(2026, 3, 10), "status": TaskStatus.TODO}).data == (
            b'{"on":"2026-03-10","status":"todo"}'
        )

    def test_a_value_that_is_not_json_is_an_error(self):
        with pytest.raises(orjson.JSONEncodeError):
            value_response({"value": object()})

    def test_a_list_of_values_is_printed_the_same(self, app):
        with app.test_request_context():
            response = items_response([{"at": NOON + timedelta(milliseconds=500)}], None)

        assert response.data == b'{"items":[{"at":"2026-03-10T12:00:00.500000+00:00"}],"next_cursor":null}'
