"""Storage connections may be bound to workspaces."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Those that are there serve everybody, as before."""
    bound = sa.Column("workspaces", sa.Text, nullable=False, server_default="[]")
    op.add_column("connections", bound)


def downgrade() -> None:
    """Forget whom they are bound to."""
    op.drop_column("connections", "workspaces")
