"""The metrics of the whole tracker for Prometheus. Every api reports the same values."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from app.services.health.checks import Figures, Work


def families_of(figures: Figures) -> Iterator[Metric]:
    """A number that could not be measured is left out: a gap says more than a zero."""
    up = GaugeMetricFamily("tasktrackerpro_up", "Whether what is needed answers, works or was seen", labels=["check"])
    for check in figures.checks:
        up.add_metric([check.name.value], float(check.ok))
    yield up
    if figures.queue_length is not None:
        yield GaugeMetricFamily(
            "tasktrackerpro_job_queue_length", "Jobs that no worker has taken yet", figures.queue_length
        )
    if figures.work is not None:
        yield from _families_of_work(figures.work)


def _families_of_work(work: Work) -> Iterator[Metric]:
    jobs = CounterMetricFamily("tasktrackerpro_jobs", "Jobs that ended", labels=["name", "result"])
    seconds = CounterMetricFamily(
        "tasktrackerpro_job_seconds", "What jobs took, all of a kind together", labels=["name", "result"]
    )
    for counted in work.job_counts:
        jobs.add_metric([counted.job, counted.result.value], counted.count)
        seconds.add_metric([counted.job, counted.result.value], counted.seconds)
    yield jobs
    yield seconds

    rows = CounterMetricFamily("tasktrackerpro_import_rows", "Rows of CSV files, by their fate", labels=["result"])
    for result in ("created", "updated", "skipped", "refused"):
        rows.add_metric([result], getattr(work.import_rows, result))
    yield rows
    imports = GaugeMetricFamily("tasktrackerpro_imports", "Imports that are not done yet", labels=["state"])
    for state, count in work.unfinished_imports.items():
        imports.add_metric([state.value], count)
    yield imports

    seen = GaugeMetricFamily(
        "tasktrackerpro_part_last_seen_timestamp_seconds", "When a part last did its work", labels=["part"]
    )
    for part, sighting in work.sightings.items():
        seen.add_metric([part.value], sighting.at.timestamp())
    yield seen
    if work.logged_until is not None:
        yield GaugeMetricFamily(
            "tasktrackerpro_logged_until_timestamp_seconds",
            "The end of the newest day that is logged for good",
            work.logged_until.timestamp(),
        )
    yield GaugeMetricFamily(
        "tasktrackerpro_overdue_days", "Days that are over and have not been logged", work.overdue_days
    )
