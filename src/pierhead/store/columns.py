"""The schema's `MetaData`, and short ways to write the columns that many tables have."""

from sqlalchemy import BigInteger, Boolean, Column, Float, MetaData, String, Text
from sqlalchemy.types import TypeEngine

metadata = MetaData()


def word(length: int | None = None) -> TypeEngine[str]:
    """Text that is ordered by code point in every database, whatever locale PostgreSQL was set up with."""
    if length is None:
        return Text().with_variant(Text(collation="C"), "postgresql")
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def key() -> Column[str]:
    """A uuid as the primary key."""
    return Column("uuid", word(32), primary_key=True)


def uuid(of: str) -> Column[str]:
    """The uuid of another object."""
    return Column(of, word(32), nullable=False)


def text(name: str, *, null: bool = False) -> Column[str]:
    """Text of any length."""
    return Column(name, word(), nullable=null)


def name() -> Column[str]:
    """A display name."""
    return Column("name", word(255), nullable=False)


def count(name: str, *, null: bool = False) -> Column[int]:
    """A large number: bytes, mostly."""
    return Column(name, BigInteger, nullable=null)


def flag(name: str) -> Column[bool]:
    """True or False."""
    return Column(name, Boolean, nullable=False)


def dates() -> tuple[Column[float], Column[float]]:
    """When a row was made and last changed, in epoch seconds."""
    return Column("created", Float, nullable=False), Column("updated", Float, nullable=False)
