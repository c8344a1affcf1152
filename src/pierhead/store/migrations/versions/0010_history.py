"""Versions of services tell who made them, in which form, and from what that was registered.

Logins and temporary keys may end with the login that they were made for, and with what opened it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_ENDINGS = (("access_keys", "login", 64), ("logins", "parent", 64), ("logins", "key", 128))


def upgrade() -> None:
    """Of those that are there only the first one's maker is known; their form shows in them."""
    for name, kind in (
        ("actor", sa.String(128)),
        ("origin", sa.String(32)),
        ("registration", sa.Text),
    ):
        op.add_column(
            "versions", sa.Column(name, kind, nullable=False, server_default=sa.text("''"))
        )
    for table, column, length in _ENDINGS:
        op.add_column(
            table,
            sa.Column(column, sa.String(length), nullable=False, server_default=sa.text("''")),
        )
    op.execute(
        "UPDATE versions SET actor = coalesce("
        "(SELECT caller FROM services WHERE services.id = versions.service), '') WHERE number = 1"
    )


def downgrade() -> None:
    """Forget it."""
    for name in ("actor", "origin", "registration"):
        op.drop_column("versions", name)
    for table, column, _length in reversed(_ENDINGS):
        op.drop_column(table, column)
