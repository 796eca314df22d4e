import csv
import io

import pytest

from app.models.people.user import Role
from app.services.comments import export

HEADER = ["task", "external_ref", "author", "created_at", "body"]


class TestExport:
    def test_every_comment_in_the_order_of_ids(self, exported, service, ann, bob, task, clock):
        service.create(ann, task.id, body='One,\n"two"')
        service.create(bob, task.id, body="Three")

        at = clock().isoformat(timespec="microseconds")
        assert exported(ann) == [
            HEADER,
            ["OPS-1", "", "ann", at, 'One,\n"two"'],
            ["OPS-1", "", "Bob", at, "Three"],
        ]

    def test_names_the_task_in_another_system(self, exported, service, boss, factories):
        service.create(boss, factories.Task(external_ref="JIRA-1").id, body="One")

        assert [row[1] for row in exported(boss)] == ["external_ref", "JIRA-1"]

    @pytest.mark.parametrize("body", ["=1+1", "+1", "-1", "@ann", "\t=1"])
    def test_runs_no_formula(self, exported, service, ann, task, body):
        service.create(ann, task.id, body=body)

        assert exported(ann)[1][-1] == f"'{body}"

    def test_has_what_the_actor_sees(self, exported, service, ann, stranger, boss, member, factories, task):
        service.create(ann, task.id, body="In OPS")
        service.create(boss, factories.Task().id, body="In GEN")

        assert bodies(exported(member("vera", Role.VIEWER))) == bodies(exported(boss)) == ["In OPS", "In GEN"]
        assert bodies(exported(stranger)) == ["In GEN"]

    def test_of_some_projects(self, exported, service, boss, factories, task):
        service.create(boss, task.id, body="In OPS")
        service.create(boss, factories.Task().id, body="In GEN")

        assert bodies(exported(boss, projects=("OPS",))) == ["In OPS"]
        assert bodies(exported(boss, projects=("OPS", "GEN"))) == ["In OPS", "In GEN"]
        assert bodies(exported(boss, projects=("NONE",))) == []

    def test_leaves_out_what_is_deleted(self, exported, service, services, boss, factories, task, commented):
        other = factories.Task()
        service.create(boss, other.id, body="Of a deleted task")
        services.tasks.delete(boss, other.id)
        service.delete(boss, task.id, commented.id)

        assert bodies(exported(boss)) == []

    def test_goes_on_page_by_page(self, exported, service, ann, task, monkeypatch):
        monkeypatch.setattr(export, "PAGE_ROWS", 2)
        for number in range(4):
            service.create(ann, task.id, body=str(number))

        assert bodies(exported(ann)) == ["0", "1", "2", "3"]


def bodies(rows):
    return [row[-1] for row in rows[1:]]


@pytest.fixture
def exported(services):
    def exported(actor, **filters):
        content = b"".join(lines.content for lines in services.comment_export.write(actor, **filters))
        return list(csv.reader(io.StringIO(content.decode(), newline="")))

    return exported
