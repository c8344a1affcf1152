"""Several hubs on one database: who is the active one, and what the others ask it to look at."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0011"
down_revision = "0010"


def _word(length: int | None = None) -> TypeEngine[str]:
    if length is None:
        return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables; whoever comes first makes the row."""
    op.create_table(
        "leases",
        sa.Column("name", _word(32), primary_key=True),
        sa.Column("holder", _word(), nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
    )
    op.create_table(
        "calls",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("subject", _word(), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
    )
    op.create_index("calls_by_age", "calls", ["created"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("calls")
    op.drop_table("leases")
