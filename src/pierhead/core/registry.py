"""What is registered before anything runs: zones, model centers, models, templates, datasets, tags.

Values only; `operations/` changes them, `store/` keeps them. A uuid is 32 lower-case hex digits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class ResourceType(StrEnum):
    """What a tag may hang on (the names are the wire's)."""

    TEMPLATE = "ModelServiceVO"
    MODEL = "ModelVO"
    CENTER = "ModelCenterVO"
    GROUP = "ModelServiceInstanceGroupVO"
    DATASET = "DatasetVO"


class DeleteMode(StrEnum):
    """Permissive: what depends on the object refuses. Enforcing: it is detached."""

    PERMISSIVE = "Permissive"
    ENFORCING = "Enforcing"


@dataclass(frozen=True, slots=True)
class Zone:
    """A label for placement; the default one is the region."""

    uuid: str
    name: str
    created: float
    updated: float
    description: str | None = None
    default: bool = False


@dataclass(frozen=True, slots=True)
class Capacity:
    """Bytes under a center's root, by kind."""

    models: int = 0
    templates: int = 0
    datasets: int = 0
    cache: int = 0
    available: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class ModelCenter:
    """A storage root: paths of models, templates and datasets are relative to it."""

    uuid: str
    name: str
    url: str  #: `file:///path` (ours), or `host:/export`
    management_ip: str
    management_port: int
    created: float
    updated: float
    description: str | None = None
    parameters: str | None = None
    storage_network: str | None = None
    service_network: str | None = None
    container_registry: str | None = None
    container_network: str | None = None
    container_storage_network: str | None = None
    zone: str | None = None
    default: bool = False
    connected: bool = True  #: the last probe found the root
    capacity: Capacity = Capacity()


@dataclass(frozen=True, slots=True)
class Model:
    """Weights in a center."""

    uuid: str
    name: str
    install_path: str
    center: str  #: uuid
    owner: str  #: principal id
    created: float
    updated: float
    description: str | None = None
    parameters: str | None = None
    logo: str | None = None
    vendor: str | None = None
    model_id: str = ""  #: defaults to the uuid
    introduction: str | None = None
    size: int | None = None  #: bytes; None = not measured yet
    size_given: bool = False  #: the client named it, so it is not measured
    version: str | None = None
    kind: str = "Custom"  #: `System` or `Custom`
    share_mode: str | None = None
    recommended_gpu_num: str | None = None
    gpu_constraint: str | None = None
    classifications: tuple[str, ...] = ()
    fine_tuning: Mapping[str, str] = field(default_factory=dict[str, str])  #: wire name -> text
    #: Read from the files' headers by GenerateModelMetadata.
    architecture: str | None = None
    pipeline_tag: str | None = None
    framework_version: str | None = None
    accelerator: str | None = None
    min_gpu_memory: int | None = None
    checksum: str | None = None
    measured_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """This model may be served by this template; `default` marks the model's one default template."""

    uuid: str
    model: str
    template: str
    default: bool = False


@dataclass(frozen=True, slots=True)
class ArchitectureImage:
    """The image of a template for one CPU architecture (`X86_64`, `AARCH64`, or as it came)."""

    uuid: str
    architecture: str | None
    docker_image: str | None = None
    vm_image: str | None = None
    created: float = 0.0
    updated: float = 0.0


@dataclass(frozen=True, slots=True)
class RegisteredTemplate:
    """A ModelService: everything is kept as it was given; `operations/effective.py` interprets it."""

    uuid: str
    name: str
    yaml: str
    request_cpu: int  #: cores
    request_memory: int  #: as given; see `memory_bytes`
    center: str
    install_path: str
    start_command: str
    owner: str  #: principal id
    created: float
    updated: float
    description: str | None = None
    zone: str | None = None
    gpu_capability: str | None = None
    system: bool = False
    shipped: bool = False  #: a built-in spec: never deleted, never changed
    python_version: str | None = None
    conda_version: str | None = None
    type: str = "Endpoint"
    framework: str = "Other"
    source: str = "Other"
    images: tuple[ArchitectureImage, ...] = ()
    support_distributed: bool = False
    container_command: str | None = None
    container_args: str | None = None
    #: GPU vendor -> spec uuids; an empty list means any GPU of that vendor.
    vendor_specs: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    startup_parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    inference_params: Mapping[str, str] = field(default_factory=dict[str, str])
    cpu_architectures: tuple[str, ...] = ()  #: of a copy that names no images
    readme: str | None = None  #: of the files, or as Clone gave it
    readme_given: bool = False
    size: int = 0  #: bytes under the install path, counted in the background
    size_given: bool = False
    version: str | None = None  #: x.y.z of the path or the YAML name

    @property
    def architectures(self) -> tuple[str, ...]:
        """Distinct architectures of the images; none = any."""
        named = [image.architecture for image in self.images if image.architecture]
        return tuple(dict.fromkeys(named)) or self.cpu_architectures


@dataclass(frozen=True, slots=True)
class Dataset:
    """Data that a deployment may mount read-only."""

    uuid: str
    name: str
    url: str
    center: str
    owner: str
    created: float
    updated: float
    description: str | None = None
    install_path: str | None = None  #: where it lies; from the url
    size: int | None = None
    system: bool = False
    usage_scenarios: tuple[str, ...] = ()
    data_type: str | None = None


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag on one object. System tags are `name::token::...`; user tags are free text."""

    uuid: str
    resource: str  #: uuid of the object; of a group it is the service id
    resource_type: ResourceType
    tag: str
    system: bool
    created: float
    updated: float
    inherent: bool = False  #: the platform's own: read-only
    pattern: str | None = None  #: uuid of the tag pattern it was made from


@dataclass(frozen=True, slots=True)
class TagPattern:
    """A named tag to be attached to objects; `withToken` patterns have `{token}` places in `value`."""

    uuid: str
    name: str
    value: str
    created: float
    updated: float
    description: str | None = None
    color: str | None = None
    type: str = "simple"


@dataclass(frozen=True, slots=True)
class Extras:
    """What every creation may carry besides the object itself."""

    uuid: str = ""  #: wanted uuid; "" = a new one
    tag_patterns: tuple[str, ...] = ()
    system_tags: tuple[str, ...] = ()
    user_tags: tuple[str, ...] = ()


MIB_BELOW = 1024 * 1024


def memory_bytes(given: int) -> int:
    """Bytes of a memory figure; below 1,048,576 it was meant in MiB (published samples say 1024)."""
    return given * 1024 * 1024 if given < MIB_BELOW else given
