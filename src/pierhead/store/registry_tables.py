"""The tables of what is registered: one per noun. Maps and lists are JSON text, None is NULL."""

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, UniqueConstraint

from pierhead.store.columns import count, dates, flag, key, metadata, name, text, uuid, word

zones = Table(
    "zones",
    metadata,
    key(),
    name(),
    text("description", null=True),
    flag("default"),
    *dates(),
    Index("zones_by_created", "created", "uuid"),
)

centers = Table(
    "centers",
    metadata,
    key(),
    name(),
    text("url"),
    text("management_ip"),
    count("management_port"),
    text("description", null=True),
    text("parameters", null=True),
    text("storage_network", null=True),
    text("service_network", null=True),
    text("container_registry", null=True),
    text("container_network", null=True),
    text("container_storage_network", null=True),
    text("zone", null=True),
    flag("default"),
    flag("connected"),
    # Bytes under the root, by kind.
    count("models"),
    count("templates"),
    count("datasets"),
    count("cache"),
    count("available"),
    count("total"),
    *dates(),
    Index("centers_by_created", "created", "uuid"),
)

models = Table(
    "models",
    metadata,
    key(),
    name(),
    text("install_path"),
    uuid("center"),
    Column("owner", String(128), nullable=False),
    text("description", null=True),
    text("parameters", null=True),
    text("logo", null=True),
    text("vendor", null=True),
    text("model_id"),
    text("introduction", null=True),
    count("size", null=True),
    flag("size_given"),
    text("version", null=True),
    # The version where it is `x.y.z`; it follows from it.
    text("semver", null=True),
    text("kind"),
    text("share_mode", null=True),
    text("recommended_gpu_num", null=True),
    text("gpu_constraint", null=True),
    text("classifications"),  # JSON list
    text("fine_tuning"),  # JSON object
    text("architecture", null=True),
    text("pipeline_tag", null=True),
    text("framework_version", null=True),
    text("accelerator", null=True),
    count("min_gpu_memory", null=True),
    text("checksum", null=True),
    count("measured_bytes", null=True),
    *dates(),
    Index("models_by_created", "created", "uuid"),
    Index("models_by_name", "name"),
    Index("models_by_center", "center"),
)

templates = Table(
    "templates",
    metadata,
    key(),
    name(),
    # Short ones first: SQLite reads a row only as far as it must.
    flag("system"),
    flag("shipped"),
    Column("owner", String(128), nullable=False),
    uuid("center"),
    *dates(),
    text("yaml"),
    count("request_cpu"),
    count("request_memory"),
    text("install_path"),
    text("start_command"),
    text("description", null=True),
    text("zone", null=True),
    text("gpu_capability", null=True),
    text("python_version", null=True),
    text("conda_version", null=True),
    text("type"),
    text("framework"),
    text("source"),
    flag("support_distributed"),
    text("container_command", null=True),
    text("container_args", null=True),
    text("vendor_specs"),  # JSON objects, and a list
    text("environment"),
    text("startup_parameters"),
    text("inference_params"),
    text("cpu_architectures"),
    text("readme", null=True),
    flag("readme_given"),
    count("size"),
    flag("size_given"),
    text("version", null=True),
    # The version so written that it sorts; it follows from it.
    text("rank", null=True),
    Index("templates_by_created", "created", "uuid"),
    Index("templates_by_name", "name"),
    # It holds all that is needed to count what one principal sees.
    Index("templates_by_owner", "system", "owner"),
    Index("templates_by_center", "center"),
)

template_images = Table(
    "template_images",
    metadata,
    key(),
    Column("template", word(32), ForeignKey("templates.uuid", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    text("architecture", null=True),
    text("docker_image", null=True),
    text("vm_image", null=True),
    *dates(),
    Index("template_images_by_template", "template", "position"),
)

# What a template's `architectures` says, so that it can be asked for.
template_architectures = Table(
    "template_architectures",
    metadata,
    Column(
        "template", word(32), ForeignKey("templates.uuid", ondelete="CASCADE"), primary_key=True
    ),
    Column("position", Integer, primary_key=True),
    text("architecture"),
)

bindings = Table(
    "bindings",
    metadata,
    key(),
    Column("model", word(32), ForeignKey("models.uuid", ondelete="CASCADE"), nullable=False),
    Column("template", word(32), ForeignKey("templates.uuid", ondelete="CASCADE"), nullable=False),
    flag("default"),
    UniqueConstraint("model", "template", name="bindings_once"),
    Index("bindings_by_template", "template"),
)

datasets = Table(
    "datasets",
    metadata,
    key(),
    name(),
    text("url"),
    uuid("center"),
    Column("owner", String(128), nullable=False),
    text("description", null=True),
    text("install_path", null=True),
    count("size", null=True),
    flag("system"),
    text("usage_scenarios"),  # JSON list
    text("data_type", null=True),
    *dates(),
    Index("datasets_by_created", "created", "uuid"),
    Index("datasets_by_center", "center"),
)

tags = Table(
    "tags",
    metadata,
    key(),
    uuid("resource"),
    Column("resource_type", word(64), nullable=False),
    text("tag"),
    flag("system"),
    flag("inherent"),
    Column("pattern", word(32)),
    # SHA-256 of pattern and text: PostgreSQL keeps no long texts in an index.
    Column("digest", String(64), nullable=False),
    *dates(),
    UniqueConstraint("resource", "system", "digest", name="tags_once"),
    Index("tags_by_created", "created", "uuid"),
    Index("tags_by_digest", "digest"),
    Index("tags_by_pattern", "pattern"),
)

patterns = Table(
    "patterns",
    metadata,
    key(),
    name(),
    text("value"),
    text("description", null=True),
    text("color", null=True),
    text("type"),
    *dates(),
    Index("patterns_by_created", "created", "uuid"),
)
