"""Storage connections."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0003"
down_revision = "0002"


def _word(length: int | None = None) -> TypeEngine[str]:
    if length is None:
        return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    texts = ("bucket", "endpoint", "region", "access_key_id")
    op.create_table(
        "connections",
        sa.Column("name", _word(63), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        *(sa.Column(name, _word(), nullable=False) for name in texts),
        sa.Column("allow_private", sa.Boolean, nullable=False),
        sa.Column("mount_target", _word(), nullable=False),
        sa.Column("local_path", _word(), nullable=False),
        sa.Column("nfs", _word(), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("connections")
