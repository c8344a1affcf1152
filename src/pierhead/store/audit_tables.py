"""The table of the audit trail. Rows are appended; none is ever changed, and only age removes them."""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table, Text

from pierhead.store.columns import metadata, word

audit = Table(
    "audit",
    metadata,
    # Given by us, without a gap: a missing number is a missing entry.
    Column(
        "number",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("at", Float, nullable=False),
    Column("actor", word(128), nullable=False),
    Column("actor_arn", Text, nullable=False),
    Column("door", String(16), nullable=False),
    Column("action", word(128), nullable=False),
    Column("resource", Text, nullable=False),
    Column("outcome", String(8), nullable=False),
    Column("code", String(64), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("source_ip", String(64), nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("detail", Text, nullable=False),  # JSON object, "" = nothing
    Column("digest", String(64), nullable=False),
    Index("audit_by_time", "at"),
    Index("audit_by_actor", "actor", "number"),
)
