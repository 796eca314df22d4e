"""The resources of a process: its connections, its cache, its job queue and its clock."""

from app.cache import Cache
from app.clock import SYSTEM_CLOCK, Clock
from app.database.engine import REQUEST_LOCK_SECONDS, Timeouts, make_engine, make_session_factory, watch_connections
from app.job_queue import JobQueue
from app.metrics import Metrics
from app.redis_connections import make_redis
from app.settings import Settings


class Resources:
    """Connections open on first use, so a process that forks before that shares none."""

    def __init__(
        self,
        settings: Settings,
        *,
        job_queue: JobQueue,
        cache: Cache | None = None,
        clock: Clock = SYSTEM_CLOCK,
        metrics: Metrics | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        """Only the api passes `metrics`, which all its processes share and which describe the api alone.

        `timeouts` defaults to the timeouts of a request.
        """
        self.settings = settings
        self.metrics = metrics or Metrics()
        self.engine = make_engine(
            settings.database_url,
            pool_size=settings.database_pool_size,
            timeouts=timeouts or Timeouts(settings.request_statement_seconds, REQUEST_LOCK_SECONDS),
        )
        watch_connections(self.engine, self.metrics)
        self.new_session = make_session_factory(self.engine)
        self.cache = cache or Cache(make_redis(settings.redis_url), count_lookup=self.metrics.count_lookup)
        self.job_queue = job_queue
        self.clock = clock

    def after_fork(self) -> None:
        """Forget the parent's connections in a forked child, without closing them."""
        self.engine.dispose(close=False)
        self.cache.after_fork()
