"""The tables of endpoint tokens, and of what was used with them."""

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, LargeBinary, String, Table

from pierhead.store.columns import dates, metadata, word

#: Tokens of a service besides its own. The row `default` is about the service's own, whose secret is
#: in `services`: what it was before it was rotated, and how much it may be used.
endpoint_tokens = Table(
    "endpoint_tokens",
    metadata,
    Column("service", String(32), ForeignKey("services.id", ondelete="CASCADE"), primary_key=True),
    Column("name", word(64), primary_key=True),
    Column("user_id", word(32), ForeignKey("users.id", ondelete="CASCADE")),  # NULL = nobody's own
    Column("sealed", LargeBinary, nullable=False),  # the secret, and what it was before
    Column("previous_until", Float, nullable=False),
    Column("rpm", BigInteger),
    Column("tpm", BigInteger),
    Column("concurrency", BigInteger),
    Column("monthly_tokens", BigInteger),
    *dates(),
    Index("endpoint_tokens_by_user", "user_id"),
)

#: All that one gateway process counted of a token in a month. It outlives service and token.
token_usage = Table(
    "token_usage",
    metadata,
    Column("gateway", word(64), primary_key=True),  # "" = of processes that are no more
    Column("service", word(32), primary_key=True),
    Column("token", word(64), primary_key=True),
    Column("month", String(7), primary_key=True),  # 2026-11, UTC
    Column("requests", BigInteger, nullable=False),
    Column("prompt", BigInteger, nullable=False),
    Column("completion", BigInteger, nullable=False),
    Column("estimated", BigInteger, nullable=False),
    Column("updated", Float, nullable=False),
    Index("token_usage_by_service", "service", "month"),
)
