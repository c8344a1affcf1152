"""The tables, as SQLAlchemy Core knows them. Migrations make them; `tests/contract` compares both."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

services = Table(
    "services",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("account", String(32), nullable=False),
    Column("caller", String(128), nullable=False),
    Column("origin", String(32), nullable=False),
    Column("wanted", String(16), nullable=False),
    Column("change", String(16), nullable=False),
    Column("replicas", Integer, nullable=False),
    Column(
        "content", Text, nullable=False
    ),  # the current Version as JSON; versions holds all of them
    Column("latest", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("token", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("workspace", String(255), nullable=False),
    Column("quota", String(255), nullable=False),
    Column("group_name", String(255), nullable=False),
    Column("labels", Text, nullable=False),  # JSON object; the labels table serves the filters
    Index("services_by_created", "created"),
)

labels = Table(
    "labels",
    metadata,
    Column("service", String(32), ForeignKey("services.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("value", Text, nullable=False),
)

versions = Table(
    "versions",
    metadata,
    Column("service", String(32), ForeignKey("services.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("content", Text, nullable=False),
    Column("created", Float, nullable=False),
)

seen = Table(
    "seen",
    metadata,
    Column("service", String(32), ForeignKey("services.id", ondelete="CASCADE"), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("settled", Integer, nullable=False),
    Column("since", Float, nullable=False),
    Column("hold", Text, nullable=False),  # JSON, "" = none
    Column("replicas", Text, nullable=False),  # JSON list
    Column("failed_roll", Boolean, nullable=False),
    Column("served", Boolean, nullable=False),
    Column("broken", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column(
        "id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    Column("at", Float, nullable=False),
    Column("service", String(32), nullable=False),
    Column("name", String(255), nullable=False),
    Column("type", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("message", Text, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("replica", String(128), nullable=False),
    Index("events_by_service", "service", "at"),
    Index("events_by_time", "at"),
)

access_keys = Table(
    "access_keys",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("secret", Text, nullable=False),
    Column("account", String(32), nullable=False),
    Column("principal", String(128), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("session_token", Text, nullable=False),
    Column("expires", Float),
    Column("created", Float, nullable=False),
)

bearer_tokens = Table(
    "bearer_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("account", String(32), nullable=False),
    Column("principal", String(128), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("expires", Float),
)

nonces = Table(
    "nonces",
    metadata,
    Column("key", String(128), primary_key=True),
    Column("nonce", String(128), primary_key=True),
    Column("expires", Float, nullable=False),
    Index("nonces_by_expiry", "expires"),
)

facts = Table(
    "facts",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
