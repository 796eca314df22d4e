"""One api after the other is replaced while people write."""

import signal
import time

import pytest

from tests.promises.journal import writing
from tests.servers import wait_for

REPLACEMENTS = 10
STOP_SECONDS = 60

pytestmark = pytest.mark.deep


class TestRollingReplacement:
    def test_replacing_ten_apis_in_turn_fails_no_request(self, stage):
        """The next api listens on the same port before the current one gets the signal to drain."""
        api = stage.start_api()
        drains = []

        with writing(stage, writers=4) as journal:
            for _ in range(REPLACEMENTS):
                following = stage.start_api()
                signalled_at = time.monotonic()
                api.send_signal(signal.SIGTERM)
                assert wait_for(lambda api=api: api.poll() is not None, seconds=STOP_SECONDS)
                drains.append(time.monotonic() - signalled_at)
                assert api.returncode == 0
                assert journal.goes_on(), journal.problems
                api = following

        print(f"\n{REPLACEMENTS} replacements, each drained within {max(drains):.1f} s")
        journal.ensure_kept(stage)
        assert journal.statuses() == {}
        assert journal.problems == []
