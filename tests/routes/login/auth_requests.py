"""Requests to register, log in and use a token."""

from tests.factories import PASSWORD

AUTH = "/api/v1/auth"
ME = f"{AUTH}/me"
UNVERIFIED = {"verify_signature": False}


def log_in(client, login, password=PASSWORD, *, address="127.0.0.1"):
    body = {"username": login, "password": password}
    return client.post(f"{AUTH}/login", body, environ_overrides={"REMOTE_ADDR": address})


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def pointers_of(response):
    assert response.content_type == "application/problem+json"
    assert response.json["code"] == "invalid"
    return [problem["pointer"] for problem in response.json["errors"]]
