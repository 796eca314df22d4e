"""How the services of log-ins, sessions and tokens are made."""

from datetime import timedelta
from functools import cached_property

from app.composition.use_cases.base import UseCases
from app.repositories.login.api_tokens import ApiTokenRepository
from app.repositories.login.attempts import LoginAttemptRepository
from app.repositories.login.password_resets import PasswordResetRepository
from app.repositories.login.sessions import SessionRepository
from app.repositories.people import UserRepository
from app.services.login.actors import ActorService
from app.services.login.api_tokens import ApiTokenService
from app.services.login.limits import LogInLimits
from app.services.login.log_in import AuthenticationPolicy, AuthenticationService
from app.services.login.password_resets import PasswordResetService, ResetPolicy
from app.services.login.sessions import SessionService


class LoginUseCases(UseCases):
    @cached_property
    def login(self) -> AuthenticationService:
        settings = self._settings
        policy = AuthenticationPolicy(
            session_lifetime=timedelta(days=settings.session_days),
            is_registration_open=settings.self_registration_enabled,
            password_rules=self._password_rules,
        )
        return AuthenticationService(
            self._uow,
            UserRepository(self._session),
            SessionRepository(self._session),
            ApiTokenRepository(self._session),
            self._log_in_limits,
            self._resources.clock,
            policy,
        )

    @cached_property
    def _log_in_limits(self) -> LogInLimits:
        limits = self._settings.rate_limits
        return LogInLimits(
            self._uow,
            LoginAttemptRepository(self._session),
            self._resources.clock,
            limits.login if limits.enabled else None,
            self._key_for(b"networks that users are known from"),
        )

    @cached_property
    def password_resets(self) -> PasswordResetService:
        return PasswordResetService(
            self._uow,
            PasswordResetRepository(self._session),
            UserRepository(self._session),
            SessionRepository(self._session),
            self._log_in_limits,
            self._resources.clock,
            ResetPolicy(timedelta(hours=self._settings.password_reset_hours), self._password_rules),
        )

    @cached_property
    def sessions(self) -> SessionService:
        return SessionService(self._uow, SessionRepository(self._session), self._resources.clock)

    @cached_property
    def actors(self) -> ActorService:
        return ActorService(
            self._uow,
            SessionRepository(self._session),
            ApiTokenRepository(self._session),
            self._cache,
            self._resources.clock,
        )

    @cached_property
    def api_tokens(self) -> ApiTokenService:
        return ApiTokenService(
            self._uow, ApiTokenRepository(self._session), UserRepository(self._session), self._resources.clock
        )
