import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from celery.beat import Scheduler
from sqlalchemy import text

from app.database.engine import JOB_TIMEOUTS
from app.factory import create_celery
from app.job_queue import JobName
from app.jobs.celery_app import VISIBILITY_TIMEOUT_SECONDS, make_celery
from app.jobs.schedule import SCHEDULE, _every
from tests.servers import wait_for


class TestRegisteredJobs:
    def test_every_name_has_a_job_and_every_job_has_a_name(self, celery_app):
        registered = {name for name in celery_app.tasks if not name.startswith("celery.")}

        assert registered == {name.value for name in JobName}

    @pytest.mark.parametrize("name", list(JobName))
    def test_a_job_without_work_may_run_twice(self, celery_app, name):
        for _ in range(2):
            assert celery_app.tasks[name.value]() is None

    @pytest.mark.parametrize("name", list(JobName))
    def test_every_job_comes_back_when_its_worker_dies(self, celery_app, name):
        job = celery_app.tasks[name.value]

        assert (job.acks_late, job.reject_on_worker_lost, job.ignore_result) == (True, True, True)


class TestSchedule:
    def test_every_entry_names_a_job(self):
        assert {entry["task"] for entry in SCHEDULE.values()} <= {name.value for name in JobName}

    def test_due_days_are_logged_at_least_every_ten_minutes(self):
        assert min(seconds_of(entry) for entry in SCHEDULE.values() if entry["task"] == JobName.LOG_DUE_DAYS) <= 600

    def test_a_tick_expires_before_the_next_one(self):
        for entry in SCHEDULE.values():
            assert entry["options"]["expires"] <= seconds_of(entry)

    def test_ticks_carry_no_arguments(self):
        for entry in SCHEDULE.values():
            assert set(entry) == {"task", "schedule", "options"}

    @pytest.mark.parametrize("jump", [timedelta(hours=-2), timedelta(hours=2)])
    def test_setting_the_clock_does_not_disturb_the_ticks(self, scheduler, jump):
        assert wait_for(lambda: scheduler.tick_on() >= 1)

        # Schedules without a clock of their own ask the app for the time.
        scheduler.app.now = lambda: datetime.now(UTC) + jump

        before, started_at = scheduler.tick_on(), time.monotonic()
        assert wait_for(lambda: scheduler.tick_on() >= before + 2)
        # One tick comes half a second after the other; they do not come at once.
        assert time.monotonic() - started_at > 0.5

    def test_beat_reads_the_schedule_in_utc(self, celery_app):
        assert celery_app.conf.beat_schedule == SCHEDULE
        assert celery_app.conf.timezone == "UTC"


class TestSettings:
    def test_a_job_ends_before_its_message_comes_back(self, celery_app):
        conf = celery_app.conf

        assert conf.task_soft_time_limit < conf.task_time_limit <= 60
        assert conf.task_time_limit < VISIBILITY_TIMEOUT_SECONDS
        assert conf.broker_transport_options["visibility_timeout"] == VISIBILITY_TIMEOUT_SECONDS

    def test_jobs_that_cannot_be_cut_get_more_time(self, celery_app):
        for name in (JobName.LOG_DUE_DAYS, JobName.RUN_IMPORTS):
            job = celery_app.tasks[name.value]

            assert JOB_TIMEOUTS.statement_seconds < job.soft_time_limit < job.time_limit

    def test_a_worker_that_dies_gives_its_job_back_at_once(self, celery_app):
        conf = celery_app.conf

        assert conf.task_acks_late
        assert conf.task_reject_on_worker_lost
        assert conf.worker_prefetch_multiplier == 1
        assert conf.broker_transport_options["unacked_restore_interval"] == 1
        assert conf.broker_transport_options["unacked_restore_throttle"] == 1

    def test_only_json_is_written_and_read(self, celery_app):
        assert celery_app.conf.task_serializer == "json"
        assert list(celery_app.conf.accept_content) == ["json"]

    def test_results_are_not_stored(self, celery_app):
        assert celery_app.conf.task_ignore_result
        assert celery_app.conf.result_backend is None

    def test_publishing_does_not_wait_for_a_broker(self, celery_app):
        options = celery_app.conf.broker_transport_options

        assert not celery_app.conf.task_publish_retry
        assert options["max_retries"] == 0
        assert options["socket_timeout"] <= 2
        assert options["socket_connect_timeout"] <= 2

    def test_another_broker_gets_no_options_for_redis(self, settings):
        celery_app = make_celery(replace(settings, celery_broker_url="amqp://rabbit//"))

        assert celery_app.conf.broker_transport_options == {"max_retries": 0, "read_timeout": 2, "write_timeout": 2}
        assert celery_app.conf.broker_url == "amqp://rabbit//"


def seconds_of(entry):
    return entry["schedule"].run_every.total_seconds()


class CountingScheduler(Scheduler):
    """Counts the ticks that it would send."""

    sent = 0
    # The real method would open a connection.
    producer = None

    def apply_async(self, entry, producer=None, advance=True, **kwargs):
        self.sent += 1

    def tick_on(self):
        self.tick()
        return self.sent


@pytest.fixture
def scheduler(settings):
    celery_app = make_celery(settings)
    celery_app.conf.beat_schedule = {"often": _every(0.5, JobName.RUN_IMPORTS)}
    return CountingScheduler(celery_app)


@pytest.fixture
def celery_app(settings, engine):
    """A Celery app whose jobs, and the counts of them, commit for real."""
    yield create_celery(settings)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM job_counts"))
        connection.execute(text("DELETE FROM sightings"))
