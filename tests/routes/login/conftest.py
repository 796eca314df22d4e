"""Ann, and tokens made for her."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import jwt
import pytest

from app.auth.tokens import ISSUER, key_id_of
from tests.routes.login.auth_requests import UNVERIFIED, log_in


@pytest.fixture
def ann(factories):
    return factories.User(username="Ann", email="ann@example.org")


@pytest.fixture
def token(client, ann, settings):
    """A valid access token, and a way to sign invalid ones like it."""
    pair = log_in(client, "ann").json
    claims = jwt.decode(pair["access_token"], options=UNVERIFIED)
    assert claims["iss"] == ISSUER
    assert claims["exp"] < (datetime.now(UTC) + timedelta(minutes=16)).timestamp()

    present_key_id = key_id_of(settings.jwt_secret_key)

    def signed(changes, key=settings.jwt_secret_key, algorithm="HS256", key_id=present_key_id):
        payload = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return jwt.encode(payload, key, algorithm, headers={} if key_id is None else {"kid": key_id})

    return SimpleNamespace(
        good=pair["access_token"],
        refresh=pair["refresh_token"],
        signed=signed,
    )
