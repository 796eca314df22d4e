import pytest

from app.errors import ProjectArchivedError


class TestArchivedProject:
    @pytest.mark.parametrize("act", ["create", "edit", "delete"])
    def test_its_comments_are_read_only(self, services, service, listed, boss, ann, task, commented, act):
        services.projects.archive(boss, "OPS")
        deeds = {
            "create": lambda: service.create(ann, task.id, body="Two"),
            "edit": lambda: service.edit(ann, task.id, commented.id, body="Two"),
            "delete": lambda: service.delete(ann, task.id, commented.id),
        }

        with pytest.raises(ProjectArchivedError, match="the project OPS is archived"):
            deeds[act]()

        assert listed(ann) == ["One"]

    def test_are_written_again_when_it_is_restored(self, services, service, listed, boss, ann, task, commented):
        services.projects.archive(boss, "OPS")
        services.projects.restore(boss, "OPS")

        service.create(ann, task.id, body="Two")

        assert listed(ann) == ["One", "Two"]
