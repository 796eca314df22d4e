"""How PostgreSQL comes to know soon that a table has changed much, as it has after a large import."""

import logging

from app.database.unit_of_work import UnitOfWork
from app.repositories.health.statistics import StatisticsRepository

logger = logging.getLogger(__name__)

# Plans for a smaller table are good enough for as many rows more.
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
