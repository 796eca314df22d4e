"""PostgreSQL's plans for the feed of events."""

import pytest
from sqlalchemy import text

from app.repositories.events import EventRepository
from tests.repositories.plans.readers import MEMBER

EVENTS = 20_000


class TestEvents:
    def test_a_page_reads_its_events_and_their_versions_by_their_keys(self, session, plans):
        with plans() as seen:
            events = EventRepository(session).list_after(100, limit=200)

        assert len(events) == 200
        assert seen.problems(2 * 200) == []

    def test_the_head_and_the_projects_of_a_reader(self, session, plans):
        with plans() as seen:
            EventRepository(session).get_feed()
            EventRepository(session).list_project_ids(MEMBER.user_id)

        assert seen.problems(10) == []


@pytest.fixture
def session(session):
    """A feed of changes that moved tasks to another project, whose events need both versions."""
    session.execute(
        text("""
        INSERT INTO events (position, kind, project_id, previous_project_id, task_id, revision, occurred_at)
        SELECT n, 'task.changed', 7, 50, n, 2, now() FROM generate_series(1, :count) AS n
        """),
        {"count": EVENTS},
    )
    session.execute(text("ANALYZE events"))
    return session
