"""The base of all models: naming of constraints, and types of columns."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, Date, DateTime, Enum, LargeBinary, MetaData, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    # Constraints have fixed names, by which repositories turn a violation into a domain error.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        int: BigInteger,
        str: Text,
        datetime: DateTime(timezone=True),
        date: Date,
        UUID: Uuid,
        bytes: LargeBinary,
        list[str]: ARRAY(Text),
    }


def word_enum(enum: type[StrEnum], name: str) -> Enum:
    """A PostgreSQL enum with the values of a Python enum. SQLAlchemy would use the names of its members."""
    return Enum(enum, name=name, values_callable=lambda members: [member.value for member in members])
