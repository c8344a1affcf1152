"""The tables by which several hubs on one database agree."""

from sqlalchemy import BigInteger, Column, Float, Index, String, Table

from pierhead.store.columns import metadata, text, word

#: One row: which hub is the active one.
leases = Table(
    "leases",
    metadata,
    Column("name", word(32), primary_key=True),
    text("holder"),
    Column("token", BigInteger, nullable=False),  # grows with each holder
    Column("expires", Float, nullable=False),  # by the database's clock
)

#: What hubs that stand by ask the active one to look at.
calls = Table(
    "calls",
    metadata,
    Column("id", String(32), primary_key=True),
    text("subject"),
    Column("created", Float, nullable=False),
    Index("calls_by_age", "created"),
)
