"""How the planner's statistics are refreshed soon after a table has changed much, as in a large import."""

import logging

from app.database.unit_of_work import UnitOfWork
from app.repositories.health.statistics import StatisticsRepository

logger = logging.getLogger(__name__)

# Up to this many changed rows, the existing plans are good enough.
MIN_CHANGED_ROWS = 5_000
CHANGED_SHARE = 0.1


class StatisticsService:
    def __init__(self, uow: UnitOfWork, statistics: StatisticsRepository) -> None:
        self._uow = uow
        self._statistics = statistics

    def refresh(self) -> list[str]:
        """Analyze each table that has changed much, in a transaction of its own; return their names."""
        with self._uow.transaction():
            tables = list(self._statistics.list_outdated_tables(min_rows=MIN_CHANGED_ROWS, share=CHANGED_SHARE))
        for table in tables:
            with self._uow.transaction():
                self._statistics.analyze(table)
            logger.info("%s has changed much and was analyzed", table)
        return tables
