"""Endpoint tokens, and what was used with them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0007"
down_revision = "0006"


def _word(length: int) -> TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=null)


def upgrade() -> None:
    """Make the tables; secrets of services that lie open are sealed by the first start."""
    op.create_table(
        "endpoint_tokens",
        sa.Column(
            "service",
            sa.String(32),
            sa.ForeignKey("services.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("name", _word(64), primary_key=True),
        sa.Column("user_id", _word(32), sa.ForeignKey("users.id", ondelete="CASCADE")),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("previous_until", sa.Float, nullable=False),
        *(_number(name, null=True) for name in ("rpm", "tpm", "concurrency", "monthly_tokens")),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("updated", sa.Float, nullable=False),
        sa.Index("endpoint_tokens_by_user", "user_id"),
    )
    op.create_table(
        "token_usage",
        sa.Column("gateway", _word(64), primary_key=True),
        sa.Column("service", _word(32), primary_key=True),
        sa.Column("token", _word(64), primary_key=True),
        sa.Column("month", sa.String(7), primary_key=True),
        *(_number(name) for name in ("requests", "prompt", "completion", "estimated")),
        sa.Column("updated", sa.Float, nullable=False),
        sa.Index("token_usage_by_service", "service", "month"),
    )


def downgrade() -> None:
    """Drop them. The release before takes what is sealed for the tokens themselves."""
    op.drop_table("token_usage")
    op.drop_table("endpoint_tokens")
    facts = sa.table("facts", sa.column("key"))
    sealed = facts.c.key.in_(("service_secrets_sealed", "service_secrets_scrubbed"))
    op.execute(sa.delete(facts).where(sealed))
