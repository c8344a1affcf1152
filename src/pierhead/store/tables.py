"""The tables, as SQLAlchemy Core knows them. Migrations make them; `tests/contract` compares both."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)
from sqlalchemy import text as sql

from pierhead.store.audit_tables import audit
from pierhead.store.columns import flag, metadata, text, word
from pierhead.store.identity_tables import (
    attachments,
    groups,
    members,
    policies,
    policy_versions,
    roles,
    users,
)
from pierhead.store.lease_tables import calls, leases
from pierhead.store.quota_tables import quotas, workspaces
from pierhead.store.registry_tables import (
    bindings,
    centers,
    datasets,
    models,
    patterns,
    tags,
    template_architectures,
    template_images,
    templates,
    zones,
)
from pierhead.store.token_tables import endpoint_tokens, token_usage

__all__ = [
    "access_keys",
    "api_jobs",
    "attachments",
    "audit",
    "bearer_tokens",
    "bindings",
    "calls",
    "centers",
    "connections",
    "datasets",
    "endpoint_tokens",
    "events",
    "facts",
    "groups",
    "labels",
    "leases",
    "logins",
    "members",
    "metadata",
    "models",
    "nonces",
    "passwords",
    "patterns",
    "policies",
    "policy_versions",
    "quotas",
    "roles",
    "scalers",
    "seen",
    "services",
    "tags",
    "template_architectures",
    "template_images",
    "templates",
    "token_usage",
    "users",
    "versions",
    "workspaces",
    "zones",
]

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
    Column("registration", Text, nullable=False, server_default="{}"),  # JSON
    # Of the registration, for those who ask what hangs on a template or a model; NULL = none.
    Column("template", String(32)),
    Column("model", String(32)),
    Index("services_by_created", "created"),
    Index("services_by_template", "template"),
    Index("services_by_model", "model"),
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
    # Of older releases' versions these may be "": not known.
    Column("actor", String(128), nullable=False, server_default=sql("''")),
    Column("origin", String(32), nullable=False, server_default=sql("''")),
    Column("registration", Text, nullable=False, server_default=sql("''")),  # JSON
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
    Column("granted", Integer, nullable=False, server_default="0"),
)

scalers = Table(
    "scalers",
    metadata,
    Column("service", String(32), ForeignKey("services.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(8), primary_key=True),  # `load` or `cron`
    Column("content", Text, nullable=False),  # JSON: what its owner wants
    Column("state", Text, nullable=False),  # JSON: what it has to remember
    Column("created", Float, nullable=False),
    Column("revision", Integer, nullable=False),
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
    Column("secret", Text, nullable=False),  # of older releases, until the first start seals it
    Column("account", String(32), nullable=False),
    Column("principal", String(128), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("session_token", Text, nullable=False),  # like `secret`
    Column("expires", Float),
    Column("created", Float, nullable=False),
    Column("uuid", String(32)),
    Column("description", Text),
    Column("updated", Float, nullable=False, server_default="0"),
    Column("sealed", LargeBinary),  # secret and session token, encrypted
    Column("session", Text, nullable=False, server_default=sql("''")),  # `<role>/<session name>`
    Column("session_policy", Text, nullable=False, server_default=sql("''")),
    Column("last_used", Float),
    Column("login", String(64), nullable=False, server_default=sql("''")),  # it ends with that
    Index("access_keys_by_principal", "principal"),
    Index("access_keys_by_uuid", "uuid", unique=True),
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

# ---- identity and jobs

api_jobs = Table(
    "api_jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("api", String(128), nullable=False),
    Column("principal", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("object", Text, nullable=False),  # uuids it is about, with commas; "" = nothing yet
    Column("answer", Text, nullable=False),  # JSON, "" = none yet
    Column("webhook", Text, nullable=False),  # who is still to be told of the end; "" = nobody
    Column("created", Float, nullable=False),
    Column("finished", Float),
    Column("expires", Float, nullable=False),
    Index("api_jobs_by_expiry", "expires"),
)

logins = Table(
    "logins",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("account", String(32), nullable=False),
    Column("user", String(32), nullable=False),
    Column("principal", String(128), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("parent", String(64), nullable=False, server_default=sql("''")),  # it ends with that
    Column("key", String(128), nullable=False, server_default=sql("''")),  # what opened it
    Index("logins_by_principal", "principal"),
    Index("logins_by_expiry", "expires"),
)

passwords = Table(
    "passwords",
    metadata,
    Column("account_name", String(255), primary_key=True),
    Column("user_name", String(255), primary_key=True),  # "" = the account itself
    Column("account", String(32), nullable=False),
    Column("user", String(32), nullable=False),
    Column("principal", String(128), nullable=False),
    Column("hash", Text, nullable=False),
    Column("created", Float, nullable=False),
)

# ---- storage

connections = Table(
    "connections",
    metadata,
    Column("name", word(63), primary_key=True),
    Column("kind", String(16), nullable=False),
    text("bucket"),
    text("endpoint"),
    text("region"),
    text("access_key_id"),
    flag("allow_private"),
    text("mount_target"),
    text("local_path"),
    text("nfs"),
    Column("sealed", LargeBinary, nullable=False),  # its secret, encrypted
    Column("created", Float, nullable=False),
    Column(
        "workspaces", Text, nullable=False, server_default="[]"
    ),  # JSON list; empty: everybody's
)
