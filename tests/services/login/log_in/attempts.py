"""Attempts to log in, and the requests that a session allows."""

import pytest

from app.errors import WrongCredentialsError
from app.settings import RateLimit

LIMIT = RateLimit(3, 60)
HOME = "192.0.2.1"


def fail(service, *, times, address, login="nobody"):
    for _ in range(times):
        with pytest.raises(WrongCredentialsError):
            service.log_in(login=login, password="wrong", address=address)


def fail_from_everywhere(service, login, *, times, network="203.0.113"):
    for number in range(times):
        fail(service, times=1, address=f"{network}.{number}", login=login)


def refresh(service, grant):
    return service.refresh(session_id=grant.session_id, refresh_id=grant.refresh_id)
