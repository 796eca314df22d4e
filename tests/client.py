"""A JSON client for tests of routes, which can act as any user."""

from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from app.auth.api_tokens import new_token
from app.auth.tokens import Grant
from app.http.identity.bearer import bearer_tokens
from app.models.login.api_token import TokenScope
from app.models.people.user import User
from tests import factories


class Client:
    def __init__(self, app: Flask, headers: dict[str, str] | None = None) -> None:
        self.app = app
        self._client = app.test_client()
        self._headers = headers or {}

    def acting_as(self, user: User) -> "Client":
        return self.sending(self.token_of(user))

    def with_api_token_of(self, user: User, *scopes: TokenScope) -> "Client":
        """A client with a new API token, which has every scope if none is named."""
        token = new_token()
        factories.ApiToken(owner_id=user.id, token=token, scopes=[scope.value for scope in scopes or TokenScope])
        return self.sending(token)

    def sending(self, token: str) -> "Client":
        return Client(self.app, {**self._headers, "Authorization": f"Bearer {token}"})

    def token_of(self, user: User) -> str:
        login_session = factories.LoginSession(user_id=user.id)
        grant = Grant(user.id, login_session.id, login_session.refresh_id, login_session.expires_at)
        with self.app.test_request_context():
            return bearer_tokens().access_token(grant)

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.request("GET", path, **kwargs)

    def post(self, path: str, json: Any = None, **kwargs: Any) -> TestResponse:
        return self.request("POST", path, json=json, **kwargs)

    def put(self, path: str, json: Any = None, **kwargs: Any) -> TestResponse:
        return self.request("PUT", path, json=json, **kwargs)

    def patch(self, path: str, json: Any = None, **kwargs: Any) -> TestResponse:
        return self.request("PATCH", path, json=json, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> TestResponse:
        return self.request("DELETE", path, **kwargs)

    def request(self, method: str, path: str, headers: dict[str, str] | None = None, **kwargs: Any) -> TestResponse:
        return self._client.open(path, method=method, headers={**self._headers, **(headers or {})}, **kwargs)
