"""Quotas, what services have of them, and workspaces; those that services name are made."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0006"
down_revision = "0005"

_FIRST_USE = (
    "INSERT INTO workspaces (id, name, quota, created, updated)"
    " SELECT workspace, '', '', MIN(created), MIN(created) FROM services"
    " WHERE workspace <> '' GROUP BY workspace"
)


def _word(length: int | None = None) -> TypeEngine[str]:
    if length is None:
        return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables and the column."""
    op.add_column("seen", sa.Column("granted", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "quotas",
        sa.Column("id", _word(255), primary_key=True),
        sa.Column("cpu", sa.Float),
        sa.Column("memory", sa.BigInteger),
        sa.Column("gpus", sa.Float),
        sa.Column("replicas", sa.BigInteger),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("updated", sa.Float, nullable=False),
    )
    op.create_table(
        "workspaces",
        sa.Column("id", _word(255), primary_key=True),
        sa.Column("name", _word(), nullable=False),
        sa.Column("quota", _word(255), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("updated", sa.Float, nullable=False),
    )
    op.create_index("workspaces_by_quota", "workspaces", ["quota"])
    op.execute(sa.text(_FIRST_USE))


def downgrade() -> None:
    """Drop them."""
    op.drop_table("workspaces")
    op.drop_table("quotas")
    op.drop_column("seen", "granted")
