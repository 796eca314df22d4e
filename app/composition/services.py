"""The services of one request or job."""

from contextvars import ContextVar
from typing import Self

from app.cache import Glance
from app.composition.resources import Resources
from app.composition.use_cases.comments import CommentUseCases
from app.composition.use_cases.daily_log import DailyLogUseCases
from app.composition.use_cases.events import EventUseCases
from app.composition.use_cases.health import HealthUseCases
from app.composition.use_cases.idempotency import IdempotencyUseCases
from app.composition.use_cases.imports import ImportUseCases
from app.composition.use_cases.login import LoginUseCases
from app.composition.use_cases.people import PeopleUseCases
from app.composition.use_cases.projects import ProjectUseCases
from app.composition.use_cases.reports import ReportUseCases
from app.composition.use_cases.tasks import TaskUseCases
from app.composition.use_cases.views import ViewUseCases


class Services(
    HealthUseCases,
    ReportUseCases,
    EventUseCases,
    ImportUseCases,
    DailyLogUseCases,
    ViewUseCases,
    CommentUseCases,
    TaskUseCases,
    IdempotencyUseCases,
    LoginUseCases,
    ProjectUseCases,
    PeopleUseCases,
):
    """The use cases of one request or job, on one session."""

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        return self

    def __exit__(self, *_error: object) -> None:
        """Roll back a transaction that is still open. A session that nobody needed was never made."""
        _current.reset(self._token)
        if "_session" in self.__dict__ and self._session.in_transaction():
            self._session.close()


_current: ContextVar[Services] = ContextVar("services")


def services() -> Services:
    """The services of the request or job that is running. Raises LookupError outside of one."""
    return _current.get()


def serving(resources: Resources, *, request_id: str | None = None, glance: Glance | None = None) -> Services:
    """Services for one request, job or command, to be used with `with`."""
    return Services(resources, request_id=request_id, glance=glance)
