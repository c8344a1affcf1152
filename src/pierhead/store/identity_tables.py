"""The tables of users, groups, roles and policies. Names are kept as given; they are unique as RAM has it.

`folded` is the name in lower case: RAM knows no two users, groups or roles that differ in case only.
"""

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text

from pierhead.store.columns import dates, metadata, word


def _named(kind: str, *columns: Column[str] | Column[int]) -> Table:
    return Table(
        kind,
        metadata,
        Column("id", word(32), primary_key=True),
        Column("name", word(64), nullable=False),
        Column("folded", word(64), nullable=False, unique=True),
        *columns,
        *dates(),
    )


users = Table(
    "users",
    metadata,
    Column("id", word(32), primary_key=True),
    Column("name", word(64), nullable=False),
    Column("folded", word(64), nullable=False, unique=True),
    Column("display_name", Text, nullable=False),
    Column("comments", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("mobile", Text, nullable=False),
    Column("last_login", Float),
    *dates(),
)

groups = _named("groups", Column("comments", Text, nullable=False))

members = Table(
    "group_members",
    metadata,
    Column("group_id", word(32), ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", word(32), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("created", Float, nullable=False),
    Index("group_members_by_user", "user_id"),
)

roles = _named(
    "roles",
    Column("trust", Text, nullable=False),  # AssumeRolePolicyDocument
    Column("description", Text, nullable=False),
    Column("max_session", Integer, nullable=False),  # seconds
)

policies = Table(
    "policies",
    metadata,
    Column("name", word(128), primary_key=True),
    Column("description", Text, nullable=False),
    Column("next_version", Integer, nullable=False),
    *dates(),
)

policy_versions = Table(
    "policy_versions",
    metadata,
    Column("policy", word(128), ForeignKey("policies.name", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("document", Text, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("created", Float, nullable=False),
)

#: Who has which policy. The target is a user's, group's or role's id.
attachments = Table(
    "attachments",
    metadata,
    Column("target_kind", String(8), primary_key=True),  # User, Group, Role
    Column("target", word(32), primary_key=True),
    Column("policy_kind", String(8), primary_key=True),  # Custom, System
    Column("policy", word(128), primary_key=True),
    Column("workspace", word(255), primary_key=True),  # "" = everywhere
    Column("created", Float, nullable=False),
    Index("attachments_by_policy", "policy_kind", "policy"),
)
