"""Promise 8: no input gives a 500, and every answer is as the OpenAPI document describes it."""

from http import HTTPStatus

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from app.factory import create_app
from app.models.health.sighting import BackgroundProcess
from app.settings import read_settings
from tests.fakes import FakeJobQueue


def described_api():
    """Read the document without contacting the servers that these settings name."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATABASE_URL", "postgresql://nobody@localhost:1/nowhere")
        environment.setenv("REDIS_URL", "redis://localhost:1/0")
        environment.setenv("JWT_SECRET_KEY", "a secret that signs nothing whatsoever")
        environment.setenv("RATE_LIMIT_ENABLED", "false")
        app = create_app(read_settings(), job_queue=FakeJobQueue())
    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)


API = described_api()


@API.parametrize()
@settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    # One transaction for each operation is enough: its examples may see the leftovers of each other.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_every_operation_answers_as_documented(case, app, client, admin, services):
    # A tracker that is not ready rightly answers 503.
    for part in BackgroundProcess:
        services.health.see(part)
    # Each example gets a token of its own, because some operations end the session.
    response = case.call(app=app, headers={"Authorization": f"Bearer {client.token_of(admin)}"})

    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
        unsupported_method,
    ]
    # A query contains only text: a null or a list arrives as text, which may be valid. The check does not know that 413
    # refuses a body, too.
    if not case.query and response.status_code != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        checks.append(negative_data_rejection)
    case.validate_response(response, checks=checks)
