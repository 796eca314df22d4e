from contextlib import ExitStack

import pytest

from tests.promises.stage import Stage


@pytest.fixture
def stage(bare_stage):
    """Servers with the schema and an admin; no part runs."""
    bare_stage.prepare()
    return bare_stage


@pytest.fixture
def bare_stage(tmp_path_factory):
    """Servers alone."""
    with ExitStack() as stack:
        yield Stage(tmp_path_factory.mktemp("stage"), stack)
