"""Users, groups, roles, policies and who has them; what is new about access keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0004"
down_revision = "0003"


def _word(length: int) -> TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _dates() -> tuple[sa.Column[float], sa.Column[float]]:
    return sa.Column("created", sa.Float, nullable=False), sa.Column(
        "updated", sa.Float, nullable=False
    )


def _named() -> tuple[sa.Column[str], sa.Column[str], sa.Column[str]]:
    return (
        sa.Column("id", _word(32), primary_key=True),
        sa.Column("name", _word(64), nullable=False),
        sa.Column("folded", _word(64), nullable=False, unique=True),
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _part(name: str, length: int, of: str) -> sa.Column[str]:
    """A part of a primary key that goes with the row it refers to."""
    return sa.Column(name, _word(length), sa.ForeignKey(of, ondelete="CASCADE"), primary_key=True)


def upgrade() -> None:
    """Make the tables, and the new columns of access keys; their secrets are sealed by the first start."""
    op.create_table(
        "users",
        *_named(),
        *map(_text, ("display_name", "comments", "email", "mobile")),
        sa.Column("last_login", sa.Float),
        *_dates(),
    )
    op.create_table("groups", *_named(), _text("comments"), *_dates())
    op.create_table(
        "group_members",
        _part("group_id", 32, "groups.id"),
        _part("user_id", 32, "users.id"),
        sa.Column("created", sa.Float, nullable=False),
        sa.Index("group_members_by_user", "user_id"),
    )
    op.create_table(
        "roles",
        *_named(),
        *map(_text, ("trust", "description")),
        sa.Column("max_session", sa.Integer, nullable=False),
        *_dates(),
    )
    _policies()
    _access_keys()


def _policies() -> None:
    op.create_table(
        "policies",
        sa.Column("name", _word(128), primary_key=True),
        _text("description"),
        sa.Column("next_version", sa.Integer, nullable=False),
        *_dates(),
    )
    op.create_table(
        "policy_versions",
        _part("policy", 128, "policies.name"),
        sa.Column("number", sa.Integer, primary_key=True),
        _text("document"),
        sa.Column("is_default", sa.Boolean, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
    )
    op.create_table(
        "attachments",
        sa.Column("target_kind", sa.String(8), primary_key=True),
        sa.Column("target", _word(32), primary_key=True),
        sa.Column("policy_kind", sa.String(8), primary_key=True),
        sa.Column("policy", _word(128), primary_key=True),
        sa.Column("workspace", _word(255), primary_key=True),
        sa.Column("created", sa.Float, nullable=False),
        sa.Index("attachments_by_policy", "policy_kind", "policy"),
    )


def _access_keys() -> None:
    op.add_column("access_keys", sa.Column("sealed", sa.LargeBinary))
    for name in ("session", "session_policy"):
        empty = sa.Column(name, sa.Text, nullable=False, server_default=sa.text("''"))
        op.add_column("access_keys", empty)
    op.add_column("access_keys", sa.Column("last_used", sa.Float))
    op.create_index("access_keys_by_principal", "access_keys", ["principal"])


def downgrade() -> None:
    """Drop them. Keys that were sealed are dropped too: the release before cannot open them."""
    keys = sa.table("access_keys", sa.column("sealed"))
    op.execute(sa.delete(keys).where(keys.c.sealed.is_not(None)))
    op.drop_index("access_keys_by_principal", "access_keys")
    for name in ("sealed", "session", "session_policy", "last_used"):
        op.drop_column("access_keys", name)
    for table in (
        "attachments",
        "policy_versions",
        "policies",
        "roles",
        "group_members",
        "groups",
        "users",
    ):
        op.drop_table(table)
