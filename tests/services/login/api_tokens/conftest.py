"""The service of API tokens, Ada with a session, and a service account."""

import pytest

from app.models.login.api_token import TokenScope
from app.models.people.user import Role


@pytest.fixture
def service(services):
    return services.api_tokens


@pytest.fixture
def ada_herself(ada, acting_as):
    return acting_as(ada)


@pytest.fixture
def robot(factories):
    return factories.ServiceAccount(username="robot", role=Role.MANAGER)


@pytest.fixture
def make(service, ada_herself):
    """Makes a token, by default one of Ada's with every scope."""

    def make_token(actor=ada_herself, owner_id=None, **values):
        values = {"name": "Report", "scopes": list(TokenScope), **values}
        return service.create(actor, actor.user_id if owner_id is None else owner_id, **values)

    return make_token
