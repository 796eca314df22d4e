"""A repeated request finds its import by a hash, which must be the same in every release."""

import pytest
from sqlalchemy import select

from app.models.imports.task_import import DateFormat, ImportMode, TaskImport
from app.models.tasks.fields import TaskStatus
from app.services.imports.options import ImportOptions, content_hash_of
from tests.services.imports.uploading import upload

# As a release from before `date_format` and the maps computed them, for the file of this test.
OF_DEFAULTS = "6bcedb564c22b79e680faf2013dac785c98f3cdeddfe88afe965d08d1bd7aa82"
OF_OTHERS = "9b8edd015812d7fef7aab728d9fca9f5817eae2357ff2f25da4351d6e13e77d6"
OTHERS = {"project": "OPS", "mode": ImportMode.ALL_OR_NOTHING, "date_format": DateFormat.DAY_FIRST}


class TestContentHash:
    @pytest.mark.parametrize(("options", "expected"), [({}, OF_DEFAULTS), (OTHERS, OF_OTHERS)])
    def test_is_the_one_of_earlier_releases(self, options, expected):
        assert content_hash(**options) == expected

    def test_finds_the_import_of_an_earlier_release(self, service, manager, session):
        upload(service, manager, "task_name", "One", key="once")

        assert session.scalars(select(TaskImport.content_hash)).one().hex() == OF_DEFAULTS

    @pytest.mark.parametrize(
        "options",
        [
            {"date_format": DateFormat.ISO},
            {"status_map": {}},
            {"status_map": {"a": TaskStatus.DONE}},
            {"people_map": {"a": None}},
        ],
    )
    def test_holds_later_options_that_are_named(self, options):
        assert content_hash(**options) != OF_DEFAULTS

    def test_does_not_depend_on_the_order_of_words(self):
        words = {"a": TaskStatus.DONE, "b": TaskStatus.TODO}

        assert content_hash(status_map=words) == content_hash(status_map=dict(reversed(words.items())))


def content_hash(**options):
    content = content_hash_of(ImportOptions(**options), ",", ["task_name"])
    content.update(b"One\n")
    return content.hexdigest()
