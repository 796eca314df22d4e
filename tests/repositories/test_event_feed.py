"""The feed under many writers at once, on a database of its own."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from app.repositories.events import EventRepository
from tests.servers import migrated_database

WRITERS = 4
TASKS = 30
TRANSACTIONS = 60
BULK = 2_000


class TestManyWriters:
    def test_a_reader_misses_nothing_and_sees_each_task_in_order(self, database):
        is_written = threading.Event()
        with ThreadPoolExecutor() as threads:
            readers = [threads.submit(read_until, database, is_written) for _ in range(2)]
            writers = [threads.submit(write, database, seed) for seed in range(WRITERS)]
            threads.submit(add_many, database).result()
            for writer in writers:
                writer.result()
            is_written.set()
            feeds = [reader.result() for reader in readers]

        with Session(database) as session:
            written = session.execute(
                text("SELECT task_id, revision FROM task_history WHERE revision > 1 ORDER BY task_id, revision")
            ).all()
        for feed in feeds:
            changes = [(event.task.id, event.task.version) for event in feed if event.kind == "task.changed"]
            assert [event.position for event in feed] == list(range(feed[0].position, feed[0].position + len(feed)))
            # A stable sort keeps the events of a task in the order of the feed.
            assert sorted(changes, key=lambda change: change[0]) == written

    def test_an_open_transaction_does_not_hold_up_the_others(self, database):
        with database.connect() as slow, Session(database) as session:
            slow.execute(text("UPDATE tasks SET title = 'Slow', version = version + 1 WHERE id = 1"))
            session.execute(text("UPDATE tasks SET title = 'Quick', version = version + 1 WHERE id = 2"))
            session.commit()
            events = EventRepository(session)

            before = events.get_feed().head
            assert [event.task.id for event in numbered(session, before)] == [2]
            slow.commit()
            assert [event.task.id for event in numbered(session, before + 1)] == [1]

    def test_a_poll_without_news_writes_nothing(self, database):
        with Session(database) as session:
            EventRepository(session).number(batch=10)

            assert session.scalar(text("SELECT pg_current_xact_id_if_assigned()")) is None

    def test_a_reader_does_not_wait_for_a_session_that_numbers(self, database):
        with Session(database) as one, Session(database) as other:
            one.execute(text("INSERT INTO event_outbox (kind) VALUES ('tasks.changed')"))
            one.commit()
            one.execute(text("SELECT number_events(10)"))

            assert EventRepository(other).number(batch=10) is None


def write(engine, seed):
    """Change a few tasks in each transaction, in the order of their ids, and roll some back."""
    chooser = random.Random(seed)  # noqa: S311
    with engine.connect() as connection:
        for number in range(TRANSACTIONS):
            for task_id in sorted(chooser.sample(range(1, TASKS + 1), chooser.choice([1, 1, 3]))):
                connection.execute(
                    text("UPDATE tasks SET title = :title, version = version + 1 WHERE id = :id"),
                    {"title": f"{seed}-{number}", "id": task_id},
                )
            if chooser.random() < 0.1:
                connection.rollback()
            else:
                connection.commit()


def add_many(engine):
    with engine.begin() as connection:
        add_tasks(connection, TASKS + 1, TASKS + BULK)


def add_tasks(connection, first, last):
    connection.execute(
        text("""
        INSERT INTO tasks (project_id, number, position, title, description, status, priority, creator_id)
        SELECT 1, n, n, 'Task', '', 'todo', 'medium', 1 FROM generate_series(:first, :last) AS n
        """),
        {"first": first, "last": last},
    )


def read_until(engine, is_written):
    """Read the feed again and again, as clients do. The last time is after everything was written."""
    feed, is_last = [], False
    with Session(engine) as session:
        while not is_last:
            is_last = is_written.is_set()
            while news := numbered(session, feed[-1].position if feed else 0):
                feed += news
    return feed


def numbered(session, position):
    events = EventRepository(session)
    events.number(batch=50)
    session.commit()
    listed = events.list_after(position, limit=100)
    session.commit()
    return listed


@pytest.fixture
def database(postgres_url):
    with migrated_database(postgres_url) as url:
        engine = create_engine(url, pool_size=10)
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO users (username, role, is_active) VALUES ('one', 'user', false)"))
            add_tasks(connection, 1, TASKS)
            connection.execute(text("SELECT number_events(1000)"))
        yield engine
        engine.dispose()
