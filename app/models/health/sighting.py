"""When worker and beat were last seen at work, and how jobs ended."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, word_enum


class BackgroundProcess(StrEnum):
    WORKER = "worker"
    BEAT = "beat"


class JobResult(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Sighting(Base):
    """When a process last did its work, by the database's clock, since the clocks of hosts differ."""

    __tablename__ = "sightings"

    process: Mapped[BackgroundProcess] = mapped_column("part", word_enum(BackgroundProcess, "part"), primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())

    # Rows are updated every few seconds. With free space in the page, an update needs no new index entry.
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)


class JobCount(Base):
    """How many jobs with this name had this result, and how long they took in total."""

    __tablename__ = "job_counts"

    job: Mapped[str] = mapped_column(primary_key=True)
    result: Mapped[JobResult] = mapped_column(word_enum(JobResult, "job_result"), primary_key=True)
    count: Mapped[int] = mapped_column(server_default=text("0"))
    seconds: Mapped[float] = mapped_column(server_default=text("0"))

    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)
