"""Strict limits of log-ins, and a session of Ada's."""

from dataclasses import replace

import pytest

from app.composition.services import serving
from tests.factories import PASSWORD
from tests.services.login.log_in.attempts import LIMIT


@pytest.fixture
def settings(base_settings):
    return replace(base_settings, rate_limits=replace(base_settings.rate_limits, login=LIMIT))


@pytest.fixture
def grant(resources, ada):
    """The grant of an earlier log-in, made in a request of its own."""
    with serving(resources) as services:
        return services.login.log_in(login="ada", password=PASSWORD, address="192.0.2.200")
