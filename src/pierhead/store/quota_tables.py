"""The tables of quotas and workspaces. Services name both by their ids, whether there are such or not."""

from sqlalchemy import BigInteger, Column, Float, Index, Table

from pierhead.store.columns import dates, metadata, text, word

#: Bounds are NULL where there is none.
quotas = Table(
    "quotas",
    metadata,
    Column("id", word(255), primary_key=True),
    Column("cpu", Float),  # cores
    Column("memory", BigInteger),  # bytes
    Column("gpus", Float),
    Column("replicas", BigInteger),
    *dates(),
)

workspaces = Table(
    "workspaces",
    metadata,
    Column("id", word(255), primary_key=True),
    text("name"),
    Column("quota", word(255), nullable=False),  # "" = none
    *dates(),
    Index("workspaces_by_quota", "quota"),
)
