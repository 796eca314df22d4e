"""The errors of the domain. `http/error_handlers.py` maps each base to a status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, Self


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One problem with the input. `pointer` is a JSON Pointer (RFC 6901) into it."""

    pointer: str
    detail: str


class TaskTrackerError(Exception):
    """The base of all errors that clients see. `code` is stable: clients may branch on it."""

    code = "error"

    def __init__(self, detail: str, *, problems: Sequence[FieldProblem] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.problems = tuple(problems)


class UnauthenticatedError(TaskTrackerError):
    code = "unauthenticated"


class ForbiddenError(TaskTrackerError):
    code = "forbidden"


class NotFoundError(TaskTrackerError):
    code = "not_found"


class ConflictError(TaskTrackerError):
    code = "conflict"


class GoneError(TaskTrackerError):
    """It was there once, and does not come back."""


class PreconditionFailedError(TaskTrackerError):
    code = "precondition_failed"


class PreconditionRequiredError(TaskTrackerError):
    code = "precondition_required"


class TooLargeError(TaskTrackerError):
    code = "too_large"


class InvalidError(TaskTrackerError):
    code = "invalid"

    @classmethod
    def of(cls, field: str, detail: str) -> Self:
        """An error in a single field, the most common case."""
        return cls(f"{field}: {detail}", problems=[FieldProblem(f"/{field}", detail)])


class RetryLaterError(TaskTrackerError):
    """The same request may succeed after `retry_after_seconds`."""

    def __init__(self, detail: str, *, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class TooManyRequestsError(RetryLaterError):
    code = "too_many_requests"


class UnavailableError(RetryLaterError):
    code = "unavailable"


class OutcomeUnknownError(UnavailableError):
    """The connection was lost during the commit, so it is unknown whether the change was made."""

    code = "outcome_unknown"


class StatementTooSlowError(UnavailableError):
    """PostgreSQL cancelled a statement that took longer than its timeout."""

    code = "too_slow"


class ChangesCollidedError(UnavailableError):
    """PostgreSQL undid this transaction, because it and another one waited for each other."""

    code = "changes_collided"


class TooManyRunningRequestsError(TooManyRequestsError):
    code = "too_many_running_requests"


class WrongCredentialsError(UnauthenticatedError):
    code = "wrong_credentials"


class SessionEndedError(UnauthenticatedError):
    code = "session_ended"


class RefreshTokenReusedError(UnauthenticatedError):
    code = "refresh_token_reused"


class InsufficientScopeError(ForbiddenError):
    """The role allows it, but the scopes of the API token do not."""

    code = "insufficient_scope"


class RegistrationClosedError(ForbiddenError):
    code = "registration_closed"


class UsernameTakenError(ConflictError):
    code = "username_taken"


class EmailTakenError(ConflictError):
    code = "email_taken"


class ProjectKeyTakenError(ConflictError):
    code = "project_key_taken"


class EventsExpiredError(GoneError):
    """The feed has deleted the events after the cursor, or the database was restored since."""

    code = "events_expired"


class ProjectArchivedError(ConflictError):
    """The project and its tasks are read-only."""

    code = "project_archived"


class LastAdminError(ConflictError):
    code = "last_admin"


class NotAServiceAccountError(ConflictError):
    code = "not_a_service_account"


class CannotLogInError(ConflictError):
    code = "cannot_log_in"


class CannotBeMergedError(ConflictError):
    code = "cannot_be_merged"


class AccountMergedError(ConflictError):
    """The account was merged into another one, and nobody can change it any more."""

    code = "account_merged"


class OpenSubtasksError(ConflictError):
    """A task does not close while a task below it is open."""

    code = "open_subtasks"


class HasSubtasksError(ConflictError):
    code = "has_subtasks"


class ParentDeletedError(ConflictError):
    """A task that is not deleted cannot be below one that is."""

    code = "parent_deleted"


@dataclass(frozen=True, slots=True)
class RefusedItem:
    """An item of a request that was refused as a whole. `error` is None if it could have been done."""

    named: Mapping[str, object]
    error: TaskTrackerError | None


class BulkRefusedError(ConflictError):
    """Some items of a request cannot be done, so none was."""

    code = "bulk_refused"

    def __init__(self, detail: str, items: Sequence[RefusedItem]) -> None:
        super().__init__(detail)
        self.items = items


class StatusChangedError(ConflictError):
    """The task does not have the status that the client expected it to have."""

    code = "status_changed"


class TooManyTokensError(ConflictError):
    code = "too_many_tokens"


class TooManyViewsError(ConflictError):
    code = "too_many_views"


class TooManyPinsError(ConflictError):
    code = "too_many_pins"


class ResetTokenInvalidError(InvalidError):
    code = "reset_token_invalid"


class UnreadableCsvError(InvalidError):
    code = "unreadable_csv"


class ImportUnderWayError(RetryLaterError, ConflictError):
    code = "import_under_way"


class RequestUnderWayError(RetryLaterError, ConflictError):
    code = "request_under_way"


class IdempotencyKeyReusedError(InvalidError):
    code = "idempotency_key_reused"


def not_found(kind: str, key: object) -> NoReturn:
    """Raise NotFoundError. The message is the same for a missing row and for one that the actor may not see."""
    raise NotFoundError(f"there is no {kind} {key}")
