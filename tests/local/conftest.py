"""A tracker that runs, for the tests that look at one and leave it running."""

import pytest

from tests.local.tracker import Tracker


@pytest.fixture(scope="package")
def running(tmp_path_factory):
    """One tracker for all tests; none of them leaves anything that disturbs the next."""
    tracker = Tracker(tmp_path_factory.mktemp("running"))
    try:
        tracker.start(RATE_LIMIT_ENABLED="false").wait_until_ready()
        yield tracker
    finally:
        tracker.stop()
