from contextlib import ExitStack

import pytest

from tests.promises.stage import Stage


@pytest.fixture
def stage(bare_stage):
    """Servers with the schema and an admin, and no process of the tracker."""
    bare_stage.prepare()
    return bare_stage


@pytest.fixture
def bare_stage(tmp_path_factory):
    """Servers without a schema."""
    with ExitStack() as stack:
        yield Stage(tmp_path_factory.mktemp("stage"), stack)
