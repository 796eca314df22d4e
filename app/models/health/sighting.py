"""Who of the processes behind the api was seen at work, and what jobs came to."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, word_enum


class Part(StrEnum):
    WORKER = "worker"
    BEAT = "beat"


class JobResult(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Sighting(Base):
    """When a part last did what it is there for; by the database's clock, since those of hosts differ."""

    __tablename__ = "sightings"

    part: Mapped[Part] = mapped_column(word_enum(Part, "part"), primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())

    # Written every few seconds: with room in its page, a new version needs no new index entry.
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)


class JobCount(Base):
    """How many jobs of a name ended so, and what time they took together."""

    __tablename__ = "job_counts"

    job: Mapped[str] = mapped_column(primary_key=True)
    result: Mapped[JobResult] = mapped_column(word_enum(JobResult, "job_result"), primary_key=True)
    count: Mapped[int] = mapped_column(server_default=text("0"))
    seconds: Mapped[float] = mapped_column(server_default=text("0"))

    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)
