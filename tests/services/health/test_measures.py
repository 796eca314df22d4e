from datetime import UTC, datetime, timedelta

import pytest

from app.job_queue import JobName
from app.models.health.sighting import BackgroundProcess, JobResult
from app.models.imports.task_import import ImportMode, ImportState, TaskImport
from app.repositories.health.checks import ImportRows
from app.services.health.checks import UNSEEN_SECONDS, CheckName
from tests.factories import general_project
from tests.fakes import SilentJobQueue
from tests.services.health.checking import OLDER, failed_checks

JOB = JobName.LOG_DUE_DAYS.value


class TestCountJob:
    def test_jobs_add_up_by_name_and_result(self, service):
        service.count_job(JOB, JobResult.SUCCEEDED, seconds=0.25)
        service.count_job(JOB, JobResult.SUCCEEDED, seconds=0.5)
        service.count_job(JOB, JobResult.FAILED, seconds=4.0)
        service.count_job("another", JobResult.SUCCEEDED, seconds=1.0)

        assert job_counts(service) == [
            ("another", JobResult.SUCCEEDED, 1, 1.0),
            (JOB, JobResult.SUCCEEDED, 2, 0.75),
            (JOB, JobResult.FAILED, 1, 4.0),
        ]

    @pytest.mark.parametrize("result", list(JobResult))
    def test_the_worker_that_ran_the_job_counts_as_seen(self, service, seen, result):
        seen(BackgroundProcess.WORKER, seconds_ago=UNSEEN_SECONDS + 1)

        service.count_job(JOB, result, seconds=0.1)

        assert set(failed_checks(service)) == {CheckName.BEAT}

    def test_no_count_exists_before_the_first_job(self, service):
        assert job_counts(service) == []


class TestMeasure:
    def test_the_checks_are_those_of_readiness(self, service, all_processes_seen):
        assert service.measure().checks == service.check()

    def test_waiting_jobs_are_counted(self, service, job_queue):
        for _ in range(3):
            job_queue.enqueue(JobName.RUN_IMPORTS)

        assert service.measure().queue_length == 3

    def test_the_number_of_waiting_jobs_is_unknown_without_a_broker(self, service_with):
        figures = service_with(job_queue=SilentJobQueue()).measure()

        assert figures.queue_length is None
        assert figures.work is not None

    def test_the_figures_of_the_database_are_unknown_while_the_schema_is_outdated(self, service, migrate_to):
        migrate_to(OLDER)

        assert service.measure().work is None

    def test_sightings_have_their_times(self, service, seen):
        seen(BackgroundProcess.BEAT, seconds_ago=30)

        sightings = service.measure().work.sightings

        assert set(sightings) == {BackgroundProcess.BEAT}
        assert sightings[BackgroundProcess.BEAT].seconds_ago == 30
        assert abs(datetime.now(UTC) - sightings[BackgroundProcess.BEAT].at - timedelta(seconds=30)) < timedelta(
            seconds=20
        )


class TestImportRows:
    def test_are_none_before_the_first_file(self, service):
        assert import_rows(service) == ImportRows(0, 0, 0, 0)

    def test_add_up_over_files(self, service, upload):
        upload(created_count=1, updated_count=20, skipped_count=300, refused_count=4000)
        upload(created_count=5, updated_count=60, skipped_count=700, refused_count=8000)

        assert import_rows(service) == ImportRows(6, 80, 1000, 12000)

    def test_of_a_dry_run_do_not_count(self, service, upload):
        upload(is_dry_run=True, created_count=7)

        assert import_rows(service) == ImportRows(0, 0, 0, 0)

    @pytest.mark.parametrize("state", list(ImportState))
    def test_that_are_loaded_one_by_one_count_at_once(self, service, upload, state):
        upload(state=state, mode=ImportMode.SKIP_BAD, created_count=7)

        assert import_rows(service).created == 7

    @pytest.mark.parametrize("state", [state for state in ImportState if state is not ImportState.FINISHED])
    def test_of_an_all_or_nothing_import_count_at_its_end(self, service, upload, state):
        upload(state=state, mode=ImportMode.ALL_OR_NOTHING, created_count=7)

        assert import_rows(service).created == 0

    def test_never_decrease_when_an_import_starts_again(self, service, upload, session):
        task_import = upload(state=ImportState.LOADING, mode=ImportMode.ALL_OR_NOTHING, created_count=5)
        created_counts = [import_rows(service).created]
        for state, count in ((ImportState.LOADING, 0), (ImportState.LOADING, 6), (ImportState.FINISHED, 9)):
            task_import.state, task_import.created_count = state, count
            session.flush()
            created_counts.append(import_rows(service).created)

        assert created_counts == [0, 0, 0, 9]


class TestUnfinishedImports:
    def test_each_state_is_reported_even_if_it_is_empty(self, service):
        assert service.measure().work.unfinished_imports == {
            ImportState.STAGING: 0,
            ImportState.CHECKING: 0,
            ImportState.LOADING: 0,
        }

    def test_are_counted_by_state_without_those_that_ended(self, service, upload):
        for state in (ImportState.STAGING, ImportState.LOADING, ImportState.LOADING):
            upload(state=state)
        for state in (ImportState.FINISHED, ImportState.FAILED):
            upload(state=state)

        assert service.measure().work.unfinished_imports == {
            ImportState.STAGING: 1,
            ImportState.CHECKING: 0,
            ImportState.LOADING: 2,
        }


def job_counts(service):
    counts = service.measure().work.job_counts
    return [(counted.job, counted.result, counted.count, counted.seconds) for counted in counts]


def import_rows(service):
    return service.measure().work.import_rows


@pytest.fixture
def upload(session, factories):
    def make(*, state=ImportState.FINISHED, **values):
        ended = {"finished_at": datetime.now(UTC)} if state in {ImportState.FINISHED, ImportState.FAILED} else {}
        task_import = TaskImport(
            creator_id=factories.User().id,
            project_id=general_project(session).id,
            filename="rows.csv",
            state=state,
            **ended,
            **values,
        )
        session.add(task_import)
        session.flush()
        return task_import

    return make
