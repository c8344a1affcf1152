"""What is registered before anything runs, logins, jobs; and what services and keys know of them."""

import uuid

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0002"
down_revision = "0001"


def _word(length: int | None = None) -> TypeEngine[str]:
    if length is None:
        return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _key() -> sa.Column[str]:
    return sa.Column("uuid", _word(32), primary_key=True)


def _uuid(of: str) -> sa.Column[str]:
    return sa.Column(of, _word(32), nullable=False)


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, _word(), nullable=null)


def _name() -> sa.Column[str]:
    return sa.Column("name", _word(255), nullable=False)


def _count(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=null)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False)


def _dates() -> tuple[sa.Column[float], sa.Column[float]]:
    return sa.Column("created", sa.Float, nullable=False), sa.Column(
        "updated", sa.Float, nullable=False
    )


def upgrade() -> None:
    """Make the tables, and the new columns of services and access keys."""
    _services()
    _access_keys()
    _registry()
    _templates()
    _bound()
    _identity()


def _services() -> None:
    op.add_column(
        "services", sa.Column("registration", sa.Text(), nullable=False, server_default="{}")
    )
    for name in ("template", "model"):
        op.add_column("services", sa.Column(name, sa.String(32)))
        op.create_index(f"services_by_{name}", "services", [name])


def _access_keys() -> None:
    op.add_column("access_keys", sa.Column("uuid", sa.String(32)))
    op.add_column("access_keys", sa.Column("description", sa.Text()))
    op.add_column(
        "access_keys", sa.Column("updated", sa.Float(), nullable=False, server_default="0")
    )
    keys = sa.table("access_keys", *map(sa.column, ("id", "uuid", "created", "updated")))
    connection = op.get_bind()
    for (key,) in connection.execute(sa.select(keys.c.id)).all():
        # The same as `store/keys.py` gives to a key that comes without one.
        found = uuid.uuid5(uuid.NAMESPACE_URL, f"pierhead:access-key:{key}").hex
        connection.execute(
            sa.update(keys).where(keys.c.id == key).values(uuid=found, updated=keys.c.created)
        )
    op.create_index("access_keys_by_uuid", "access_keys", ["uuid"], unique=True)


def _registry() -> None:
    op.create_table(
        "zones",
        _key(),
        _name(),
        _text("description", null=True),
        _flag("default"),
        *_dates(),
        sa.Index("zones_by_created", "created", "uuid"),
    )
    op.create_table(
        "centers",
        _key(),
        _name(),
        _text("url"),
        _text("management_ip"),
        _count("management_port"),
        _text("description", null=True),
        _text("parameters", null=True),
        _text("storage_network", null=True),
        _text("service_network", null=True),
        _text("container_registry", null=True),
        _text("container_network", null=True),
        _text("container_storage_network", null=True),
        _text("zone", null=True),
        _flag("default"),
        _flag("connected"),
        _count("models"),
        _count("templates"),
        _count("datasets"),
        _count("cache"),
        _count("available"),
        _count("total"),
        *_dates(),
        sa.Index("centers_by_created", "created", "uuid"),
    )
    op.create_table(
        "models",
        _key(),
        _name(),
        _text("install_path"),
        _uuid("center"),
        sa.Column("owner", sa.String(128), nullable=False),
        _text("description", null=True),
        _text("parameters", null=True),
        _text("logo", null=True),
        _text("vendor", null=True),
        _text("model_id"),
        _text("introduction", null=True),
        _count("size", null=True),
        _flag("size_given"),
        _text("version", null=True),
        _text("semver", null=True),
        _text("kind"),
        _text("share_mode", null=True),
        _text("recommended_gpu_num", null=True),
        _text("gpu_constraint", null=True),
        _text("classifications"),
        _text("fine_tuning"),
        _text("architecture", null=True),
        _text("pipeline_tag", null=True),
        _text("framework_version", null=True),
        _text("accelerator", null=True),
        _count("min_gpu_memory", null=True),
        _text("checksum", null=True),
        _count("measured_bytes", null=True),
        *_dates(),
        sa.Index("models_by_created", "created", "uuid"),
        sa.Index("models_by_name", "name"),
        sa.Index("models_by_center", "center"),
    )


def _templates() -> None:
    op.create_table(
        "templates",
        _key(),
        _name(),
        _flag("system"),
        _flag("shipped"),
        sa.Column("owner", sa.String(128), nullable=False),
        _uuid("center"),
        *_dates(),
        _text("yaml"),
        _count("request_cpu"),
        _count("request_memory"),
        _text("install_path"),
        _text("start_command"),
        _text("description", null=True),
        _text("zone", null=True),
        _text("gpu_capability", null=True),
        _text("python_version", null=True),
        _text("conda_version", null=True),
        _text("type"),
        _text("framework"),
        _text("source"),
        _flag("support_distributed"),
        _text("container_command", null=True),
        _text("container_args", null=True),
        _text("vendor_specs"),
        _text("environment"),
        _text("startup_parameters"),
        _text("inference_params"),
        _text("cpu_architectures"),
        _text("readme", null=True),
        _flag("readme_given"),
        _count("size"),
        _flag("size_given"),
        _text("version", null=True),
        _text("rank", null=True),
        sa.Index("templates_by_created", "created", "uuid"),
        sa.Index("templates_by_name", "name"),
        sa.Index("templates_by_owner", "system", "owner"),
        sa.Index("templates_by_center", "center"),
    )
    op.create_table(
        "template_images",
        _key(),
        sa.Column(
            "template",
            _word(32),
            sa.ForeignKey("templates.uuid", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("position", sa.Integer, nullable=False),
        _text("architecture", null=True),
        _text("docker_image", null=True),
        _text("vm_image", null=True),
        *_dates(),
        sa.Index("template_images_by_template", "template", "position"),
    )
    op.create_table(
        "template_architectures",
        sa.Column(
            "template",
            _word(32),
            sa.ForeignKey("templates.uuid", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("position", sa.Integer, primary_key=True),
        _text("architecture"),
    )


def _bound() -> None:
    op.create_table(
        "bindings",
        _key(),
        sa.Column(
            "model", _word(32), sa.ForeignKey("models.uuid", ondelete="CASCADE"), nullable=False
        ),
        sa.Column(
            "template",
            _word(32),
            sa.ForeignKey("templates.uuid", ondelete="CASCADE"),
            nullable=False,
        ),
        _flag("default"),
        sa.UniqueConstraint("model", "template", name="bindings_once"),
        sa.Index("bindings_by_template", "template"),
    )
    op.create_table(
        "datasets",
        _key(),
        _name(),
        _text("url"),
        _uuid("center"),
        sa.Column("owner", sa.String(128), nullable=False),
        _text("description", null=True),
        _text("install_path", null=True),
        _count("size", null=True),
        _flag("system"),
        _text("usage_scenarios"),
        _text("data_type", null=True),
        *_dates(),
        sa.Index("datasets_by_created", "created", "uuid"),
        sa.Index("datasets_by_center", "center"),
    )
    op.create_table(
        "tags",
        _key(),
        _uuid("resource"),
        sa.Column("resource_type", _word(64), nullable=False),
        _text("tag"),
        _flag("system"),
        _flag("inherent"),
        sa.Column("pattern", _word(32)),
        sa.Column("digest", sa.String(64), nullable=False),
        *_dates(),
        sa.UniqueConstraint("resource", "system", "digest", name="tags_once"),
        sa.Index("tags_by_created", "created", "uuid"),
        sa.Index("tags_by_digest", "digest"),
        sa.Index("tags_by_pattern", "pattern"),
    )
    op.create_table(
        "patterns",
        _key(),
        _name(),
        _text("value"),
        _text("description", null=True),
        _text("color", null=True),
        _text("type"),
        *_dates(),
        sa.Index("patterns_by_created", "created", "uuid"),
    )


def _identity() -> None:
    op.create_table(
        "api_jobs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("api", sa.String(128), nullable=False),
        sa.Column("principal", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("webhook", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("finished", sa.Float),
        sa.Column("expires", sa.Float, nullable=False),
        sa.Index("api_jobs_by_expiry", "expires"),
    )
    op.create_table(
        "logins",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("account", sa.String(32), nullable=False),
        sa.Column("user", sa.String(32), nullable=False),
        sa.Column("principal", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
        sa.Index("logins_by_principal", "principal"),
        sa.Index("logins_by_expiry", "expires"),
    )
    op.create_table(
        "passwords",
        sa.Column("account_name", sa.String(255), primary_key=True),
        sa.Column("user_name", sa.String(255), primary_key=True),
        sa.Column("account", sa.String(32), nullable=False),
        sa.Column("user", sa.String(32), nullable=False),
        sa.Column("principal", sa.String(128), nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    for table in (
        "passwords",
        "logins",
        "api_jobs",
        "patterns",
        "tags",
        "datasets",
        "bindings",
        "template_architectures",
        "template_images",
        "templates",
        "models",
        "centers",
        "zones",
    ):
        op.drop_table(table)
    op.drop_index("access_keys_by_uuid", "access_keys")
    for name in ("uuid", "description", "updated"):
        op.drop_column("access_keys", name)
    for name in ("template", "model"):
        op.drop_index(f"services_by_{name}", "services")
        op.drop_column("services", name)
    op.drop_column("services", "registration")
