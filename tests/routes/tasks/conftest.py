"""A task with every field at its default, and one with none."""

import pytest


@pytest.fixture
def task(factories):
    return factories.Task()


@pytest.fixture
def full_task(factories):
    """A task that has no field at its default."""
    return factories.Task(
        title="Old",
        description="long",
        status="in_progress",
        priority="high",
        labels=["x", "y"],
        assignee_id=factories.User().id,
        due_at="2031-01-01T00:00:00Z",
        external_ref="JIRA-42",
        started_at="2030-01-01T00:00:00Z",
        position=42.0,
    )
