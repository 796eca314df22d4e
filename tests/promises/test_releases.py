"""An upgrade and a rollback while people write: two releases take turns on one database."""

import signal
import subprocess
import tarfile
from io import BytesIO

import pytest

from tests.promises.journal import writing
from tests.servers import ROOT, wait_for

# Installations upgrade from this release; this is its last commit.
RELEASE_BEFORE = "92e3b4b"
STOP_SECONDS = 60

pytestmark = pytest.mark.deep


class TestUpgrade:
    def test_an_upgrade_and_a_rollback_under_writers_lose_nothing(self, bare_stage, release_before):
        stage = bare_stage
        stage.prepare(release_before)
        old = stage.start_api(release=release_before)

        with writing(stage, writers=4) as journal:
            # The schema comes first; the old code works with the new schema.
            stage.prepare()
            assert journal.goes_on(), journal.problems
            # The new release runs beside the old one, and then by itself.
            new = stage.start_api()
            assert journal.goes_on(), journal.problems
            stop(old)
            assert journal.goes_on(), journal.problems
            # Go back to the old release, on the new schema.
            old = stage.start_api(release=release_before)
            stop(new)
            assert journal.goes_on(), journal.problems
            new = stage.start_api()
            stop(old)
            assert journal.goes_on(), journal.problems

        assert stage.count_listening() == 2
        assert journal.problems == []
        journal.ensure_kept(stage)


def stop(api):
    api.send_signal(signal.SIGTERM)
    assert wait_for(lambda: api.poll() is not None, seconds=STOP_SECONDS)
    assert api.returncode == 0


@pytest.fixture(scope="module")
def release_before(tmp_path_factory):
    archive = subprocess.run(["git", "archive", RELEASE_BEFORE], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode != 0:
        pytest.skip(f"the commit {RELEASE_BEFORE} is not here: a clone with its history is needed")
    directory = tmp_path_factory.mktemp("release-before")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(directory, filter="data")
    return directory
