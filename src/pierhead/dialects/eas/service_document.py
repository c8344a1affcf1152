"""The service JSON of CreateService and UpdateService, key by key, in the domain's words and back.

Every key has an effect, or is refused by name, or is reported by name in a notice.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, cast

from pierhead.core.errors import Invalid, Missing, NotFound, Unsupported
from pierhead.core.events import Notice
from pierhead.core.mounts import NasSource, OssSource, Source
from pierhead.core.names import service_name
from pierhead.core.resources import GIB, MIB, Resources
from pierhead.core.scalers import AutoScaler
from pierhead.core.services import Intake, Relaying, Service
from pierhead.core.templates import Rolling, Template
from pierhead.dialects.eas import sizes
from pierhead.dialects.eas.containers import (
    Mounted,
    Templates,
    mounted,
    shown_container,
    template_of,
)
from pierhead.dialects.eas.document_part import Part
from pierhead.dialects.eas.messages import without_effect
from pierhead.dialects.eas.own_part import (
    OWN,
    demand_nodes,
    relaying,
    shown_nodes,
    shown_relaying,
)
from pierhead.dialects.eas.rpc_part import intake, rpc_part, shown_rpc, timeout
from pierhead.dialects.eas.scalers import autoscaler
from pierhead.dialects.eas.sizes import Size

_PROCESS = "replicas are plain processes on this host"
_POD = "every replica has the same of it, as the operator set it"
_NO_IMAGE = "no image is pulled, so it is not used"
_DOCKER_AUTH = "registries are opened by the Secrets of the setting kubernetes.image_pull_secrets"
_PROCESSOR = "there are no processor runtimes; give containers with a script or a template's image"
_SHARE = re.compile(r"\d{1,3}%")
#: Where an app service's files appear in the service JSON that is derived for it.
_MOUNT_PATH = "/mnt/model"


@dataclass(frozen=True, slots=True)
class DocumentSpec:
    """A service JSON in the domain's words."""

    name: str
    instance: int | None  #: replicas; None = not given
    workspace_id: str
    quota_id: str
    group: str
    token: str  #: "" = a generated one
    template: Template
    source: Source | None  #: None = the template's own weights
    rolling: Rolling
    request_timeout: float | None  #: seconds; None = the platform's limit
    relaying: Relaying
    intake: Intake
    autoscaler: AutoScaler | None  #: None = none is given
    notices: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class Here:
    """What a platform has to run services on."""

    pool: str = ""  #: id of the built-in pool
    images: bool = False  #: do commands run in images of their own?


NOWHERE = Here()


def translate(
    document: Mapping[str, Any], templates: Templates, *, name: str = "", here: Here = NOWHERE
) -> DocumentSpec:
    """A whole service JSON (after merging) in the domain's words.

    `name` is the service's present name (an update; "" = a new service).

    Raises:
        Missing, Invalid, Unsupported: a key is absent, not legal, or asks for what is not there.
        NotFound: metadata.resource names another pool.
    """
    notices: list[Notice] = []
    top = Part("", document, notices)
    _refuse_processors(top)
    metadata = top.part("metadata")
    chosen = _name(top, metadata, name)
    mount = mounted(top.parts("storage"))
    template = _template(top, metadata, _Container(chosen, mount, here), templates)
    rolling, rpc = _rolling(metadata.part("rolling_strategy")), rpc_part(metadata)
    _place(top, metadata, here)
    own = top.part(OWN)
    demand_nodes(own, template.nodes)
    spec = DocumentSpec(
        name=chosen,
        instance=metadata.integer("instance", 1),
        workspace_id=metadata.text("workspace_id"),
        quota_id=metadata.text("quota_id"),
        group=_group(metadata),
        token=top.text("token"),
        template=template,
        source=mount.source,
        rolling=rolling,
        request_timeout=timeout(rpc),
        relaying=relaying(own),
        intake=intake(rpc, own=template.engine == "custom"),
        autoscaler=autoscaler(top.part("autoscaler")),
        notices=(),
    )
    rpc.rest()
    metadata.rest()
    top.rest()
    return replace(spec, notices=tuple(notices))


def _refuse_processors(top: Part) -> None:
    keys = [key for key in top.entries if key.startswith(("processor", "model_"))]
    top.refuse(_PROCESSOR, *keys)
    top.report("it belongs to the processor runtimes", "oss_endpoint", "warm_up_data_path")


def _name(top: Part, metadata: Part, present: str) -> str:
    inner, outer = metadata.text("name"), top.text("name")
    if inner and outer and inner != outer:
        raise Invalid("name", f"[{outer[:80]}] is not metadata.name [{inner[:80]}]")
    given = inner or outer
    if present:
        if given and given != present:
            raise Invalid("metadata.name", f"a service's name [{present}] cannot change")
        return present
    if not given:
        raise Missing("metadata.name")
    return service_name(given, "metadata.name")


def _group(metadata: Part) -> str:
    group = metadata.text("group")
    return service_name(group, "metadata.group") if group else ""


@dataclass(frozen=True, slots=True)
class _Container:
    """What its container does not say of a service."""

    name: str
    mount: Mounted
    here: Here


def _template(top: Part, metadata: Part, known: _Container, templates: Templates) -> Template:
    kind = metadata.text("type")
    if kind not in {"", "Standard"}:
        raise Unsupported(f"metadata.type [{kind[:80]}]", "only Standard services run here")
    containers = top.parts("containers")
    if not containers:
        raise Missing("containers", "a script or command, or the image of a template")
    if len(containers) > 1:
        raise Unsupported("containers[1]", "a replica is one process here; give one container")
    images = known.here.images
    template = template_of(containers[0], known.name, known.mount, templates, images=images)
    grace = _grace(top.part("runtime"))
    return replace(
        template,
        resources=_shared(metadata, known.here, _resources(top, metadata, template.resources)),
        stop_grace=template.stop_grace if grace is None else grace,
    )


def _grace(runtime: Part) -> float | None:
    grace = runtime.number("termination_grace_period")
    runtime.rest()
    return grace


def _resources(top: Part, metadata: Part, usual: Resources) -> Resources:
    cpu, memory = metadata.number("cpu", 0.01), metadata.integer("memory", 1)
    told = cpu is not None and memory is not None
    size = _computing(top.part("cloud"), sized=told, gpus=metadata.entries.get("gpu") is not None)
    if size is not None:
        usual = _of_size(size, usual)
    gpu, gpu_memory = _gpus(metadata, usual)
    sized = Resources(
        cpu=usual.cpu if cpu is None else cpu,
        memory=usual.memory if memory is None else memory * MIB,
        gpu=gpu,
        gpu_memory=gpu_memory,
    )
    # A template's requests belong to its own limits; to others they would be out of proportion.
    return replace(
        sized,
        cpu_request=usual.cpu_request if sized.cpu == usual.cpu else None,
        memory_request=usual.memory_request if sized.memory == usual.memory else None,
    )


def _shared(metadata: Part, here: Here, resources: Resources) -> Resources:
    """With the /dev/shm that is asked for, where each replica has one of its own."""
    if not here.images:
        metadata.report(_PROCESS, "shm_size")
        return resources
    size = metadata.integer("shm_size", 1, 1024)
    return resources if size is None else replace(resources, shm=size * GIB)


def _gpus(metadata: Part, usual: Resources) -> tuple[int, int | None]:
    """(whole GPUs, bytes of one that others may share)."""
    count = metadata.integer("gpu", 0, 1024)
    part = metadata.number("gpu_memory", 0.0)
    metadata.report("no device's computing power is divided here", "gpu_core_percentage")
    if count:
        metadata.report("whole GPUs are asked for by metadata.gpu", "gpu_memory")
        return count, None
    if part:
        return 0, round(part * GIB)
    return (usual.gpu, usual.gpu_memory) if count is None and part is None else (0, None)


def _of_size(size: Size, usual: Resources) -> Resources:
    """What a size says; of GPUs a size without any says nothing: a template may need some."""
    gpu, part = (size.gpu, None) if size.gpu else (usual.gpu, usual.gpu_memory)
    return Resources(cpu=float(size.cpu), memory=size.memory * GIB, gpu=gpu, gpu_memory=part)


def _computing(cloud: Part, *, sized: bool, gpus: bool) -> Size | None:
    """The size that is named, unless metadata says all of it: `sized`, and of `gpus`."""
    computing = cloud.part("computing")
    types = [(computing.name("instance_type"), computing.text("instance_type"))]
    for entry in computing.parts("instances"):
        types.append((entry.name("type"), entry.text("type")))
        entry.rest()
    for field, name in types:
        if name and not sizes.named(name) and not (sized and name.startswith("ecs.")):
            raise Invalid(
                field,
                f"[{name[:80]}] is no size of this host",
                "a size of DescribeMachineSpec; or an ecs.* type beside metadata.cpu and "
                "metadata.memory; or these two alone",
            )
    found = [(field, sizes.named(name)) for field, name in types if name]
    used = next(
        ((field, one) for field, one in found if one and not (sized and (gpus or not one.gpu))),
        None,
    )
    if used is None:
        why = "the size is metadata.cpu and metadata.memory; no cloud machine is rented"
        computing.report(why, "instance_type", "instances")
    else:
        why = f"the size is {used[0]}"
        cloud.notices += [without_effect(field, why) for field, _ in found if field != used[0]]
    computing.rest()
    network = cloud.part("networking")
    network.report(
        "there are no cloud networks here; replicas use this host's network",
        *("vpc_id", "vswitch_id", "security_group_id"),
    )
    network.rest()
    cloud.rest()
    return used[1] if used else None


def _rolling(strategy: Part) -> Rolling:
    usual = Rolling()
    surge = _bound(strategy, "max_surge", usual.max_surge)
    unavailable = _bound(strategy, "max_unavailable", usual.max_unavailable)
    strategy.rest()
    if surge in {0, "0%"} and unavailable in {0, "0%"}:
        raise Invalid(strategy.path, "max_surge and max_unavailable are both 0", "one above 0")
    return Rolling(surge, unavailable)


def _bound(strategy: Part, key: str, usual: int | str) -> int | str:
    value = strategy.take(key)
    if value is None:
        return usual
    if isinstance(value, str):
        if _SHARE.fullmatch(value) is None or int(value[:-1]) > 100:
            raise Invalid(strategy.name(key), f"[{value[:80]}]", "a whole number, or 0% to 100%")
        return value
    return strategy.integer(key, 0, 1000) or 0


def _place(top: Part, metadata: Part, here: Here) -> None:
    """What says where and beside what replicas run."""
    resource = metadata.text("resource")
    if resource and resource != here.pool:
        raise NotFound("resource", resource, "There is one pool; leave metadata.resource out.")
    why = _POD if here.images else _PROCESS
    metadata.report(why, "disk", "rdma", "enable_webservice", "enable_grpc")
    networking = top.part("networking")
    networking.report("every service is reached through the built-in gateway", "gateway", "nlb")
    networking.rest()
    features = top.part("features")
    features.rest()
    top.report(_DOCKER_AUTH if here.images else _NO_IMAGE, "dockerAuth")


def merge(document: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The document after a merge patch (RFC 7396): objects merge, lists are replaced, null deletes."""
    merged = dict(document)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            present = merged.get(key)
            inner = cast(dict[str, Any], present) if isinstance(present, dict) else {}
            merged[key] = merge(inner, cast(dict[str, Any], value))
        else:
            merged[key] = value
    return merged


def only_replicas_changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Do two documents differ in metadata.instance, in autoscaler, and in nothing else?"""
    return old != new and _without_counts(old) == _without_counts(new)


def _without_counts(document: Mapping[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in document.items() if key != "autoscaler"}
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        return {**rest, "metadata": metadata or {}}
    entries = cast(dict[str, Any], metadata)
    return {**rest, "metadata": {k: v for k, v in entries.items() if k != "instance"}}


def counted(document: Mapping[str, Any], replicas: int) -> Mapping[str, Any]:
    """The document with the number of replicas that a scaler, or another door, set since it came.

    None at all cannot be written in it: then it says nothing of their number.
    """
    metadata = cast("dict[str, Any]", document.get("metadata") or {})
    if metadata.get("instance", 1) == replicas:
        return document
    rest = {key: value for key, value in metadata.items() if key != "instance"}
    return {**document, "metadata": rest | ({"instance": replicas} if replicas else {})}


def shown(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document as ServiceConfig tells it: dockerAuth is write-only."""
    return {key: value for key, value in document.items() if key != "dockerAuth"}


def derive(
    name: str, replicas: int, template: str, source: Source | None, owners: Mapping[str, str]
) -> dict[str, Any]:
    """The service JSON of an app service; CreateService takes it and makes the same service.

    `owners` may hold workspace_id, quota_id and group. Of one that sleeps it says no number.
    """
    told = {"instance": replicas, **owners}
    metadata = {"name": name, **{key: value for key, value in told.items() if value}}
    document: dict[str, Any] = {"metadata": metadata, "containers": [shown_container(template)]}
    mount = _shown_source(source)
    if mount:
        model = {"resource_type": "model"}
        document["storage"] = [{"mount_path": _MOUNT_PATH, **mount, "properties": model}]
    return document


def synthesized(service: Service, template: str, owners: Mapping[str, str]) -> dict[str, Any]:
    """The service JSON of a deployment that was made through another door, from its snapshot.

    `template` names the snapshot: an update with the same image keeps it.
    """
    current = service.current.template
    resources = current.resources
    document = derive(service.name, service.replicas, template, service.current.source, owners)
    sizes = {
        "cpu": resources.cpu,
        "memory": None if resources.memory is None else ceil(resources.memory / MIB),
        "gpu": resources.gpu,
        "gpu_memory": None if resources.gpu_memory is None else _gib(resources.gpu_memory),
    }
    document["metadata"] |= {key: value for key, value in sizes.items() if value}
    document["metadata"] |= shown_rpc(service.current)
    document["containers"] = [shown_container(template, current.env)]
    own = {**shown_nodes(current.nodes), **shown_relaying(service.current.relaying)}
    if own:
        document[OWN] = own
    return document


def _gib(amount: int) -> float:
    """Whole ones as a whole number, as they were given."""
    return amount // GIB if amount % GIB == 0 else amount / GIB


def _shown_source(source: Source | None) -> dict[str, Any]:
    """Sources of the other kinds come with the template and need no mount."""
    if isinstance(source, OssSource):
        endpoint = {"endpoint": source.endpoint} if source.endpoint else {}
        return {"oss": {"path": str(source), **endpoint, "readOnly": True}}
    if isinstance(source, NasSource):
        return {"nfs": {"server": source.mount_target, "path": source.path, "readOnly": True}}
    return {}
