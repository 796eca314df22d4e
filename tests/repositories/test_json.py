"""The JSON that PostgreSQL makes."""

import orjson
import pytest
from sqlalchemy import Integer, Text, case, column, literal, null, select, values
from sqlalchemy.dialects.postgresql import JSONB

from app.queries.pages import Shape
from app.repositories.pages import json_object, json_text, shaped_text

ROWS = values(column("id", Integer), column("name", Text), name="rows").data([(1, 'a "b" : c'), (2, None)])
FIELDS = {
    "id": ROWS.c.id,
    "name": ROWS.c.name,
    "column": case((ROWS.c.id == 1, json_object({"key": ROWS.c.name, "of": literal("x, y")}))),
    "nothing": null(),
}


class TestJsonText:
    def test_is_what_orjson_prints(self, session):
        rows = session.scalars(select(json_text(FIELDS)).select_from(ROWS).order_by(ROWS.c.id)).all()

        expected = [
            {"id": 1, "name": 'a "b" : c', "column": {"key": 'a "b" : c', "of": "x, y"}, "nothing": None},
            {"id": 2, "name": None, "column": None, "nothing": None},
        ]
        assert [row.encode() for row in rows] == [orjson.dumps(row) for row in expected]

    @pytest.mark.parametrize("path", ["tasks", "projects", "users", "imports", "task-logs", "task-logs/runs"])
    def test_no_list_has_blanks_between_its_values(self, client, admin, factories, services, boss, path):
        factories.Task(title="x", creator_id=admin.id)
        services.daily_log.request_day(boss, None)
        services.daily_log.log_due_days()

        response = client.acting_as(admin).get(f"/api/v1/{path}?limit=1")

        assert response.data == orjson.dumps(response.json)

    def test_nor_has_a_value_that_is_stored_as_json(self, session):
        value = {"a b": 'x: y, "z"', "list": [1, 2.5, None, {"deep": [True, []]}], "empty": {}}
        stored = literal(value, JSONB).label("stored")

        row = session.scalar(select(json_text({"stored": stored, "nothing": literal(None, JSONB(none_as_null=True))})))

        assert orjson.loads(row) == {"stored": value, "nothing": None}
        assert len(row) == len(orjson.dumps(orjson.loads(row)))

    def test_no_project_or_view_has_blanks_between_its_values(self, client, admin, factories):
        factories.Project(key="OPS", wip_limits={"todo": 3, "in_progress": 2})
        view = factories.SavedView(owner_id=admin.id, query={"status": "todo,done", "deleted": True})

        for path in ("projects/OPS", f"views/{view.id}", "views"):
            response = client.acting_as(admin).get(f"/api/v1/{path}")
            assert response.data == orjson.dumps(response.json)


class TestShapedText:
    def test_has_the_blanks_that_its_clients_have_always_received(self, session):
        shape = Shape.of(log_id="id", status=True, task=Shape.of(task_name="name"))

        row = session.scalar(select(shaped_text(shape, FIELDS)).where(ROWS.c.id == 1))

        assert row == '{"log_id" : 1, "status" : true, "task" : {"task_name" : "a \\"b\\" : c"}}'
