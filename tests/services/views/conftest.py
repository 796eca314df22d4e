"""The service of views."""

import pytest


@pytest.fixture
def service(services):
    return services.saved_views
