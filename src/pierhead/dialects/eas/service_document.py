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
from pierhead.core.services import Service
from pierhead.core.templates import Rolling, Template
from pierhead.dialects.eas.containers import (
    Mounted,
    Templates,
    mounted,
    shown_container,
    template_of,
)
from pierhead.dialects.eas.document_part import Part

_PROCESS = "replicas are plain processes on this host"
_PROCESSOR = "there are no processor runtimes; give containers with a script or a template's image"
_GATEWAY = "the built-in gateway queues nothing and limits nothing per service in this release"
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
    notices: tuple[Notice, ...]


def translate(
    document: Mapping[str, Any], templates: Templates, *, name: str = "", pool: str = ""
) -> DocumentSpec:
    """A whole service JSON (after merging) in the domain's words.

    `name` is the service's present name (an update; "" = a new service), `pool` the id of the
    built-in pool.

    Raises:
        Missing, Invalid, Unsupported: a key is absent, not legal, or asks for what is not there.
        NotFound: metadata.resource names another pool.
    """
    notices: list[Notice] = []
    top = Part("", document, notices)
    _refuse_processors(top)
    top.refuse(
        "auto-scaling is not part of this release; set metadata.instance instead", "autoscaler"
    )
    metadata = top.part("metadata")
    chosen = _name(top, metadata, name)
    mount = mounted(top.parts("storage"))
    template = _template(top, metadata, chosen, mount, templates)
    rolling, timeout = _rolling(metadata.part("rolling_strategy")), _timeout(metadata.part("rpc"))
    _place(top, metadata, pool)
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
        request_timeout=timeout,
        notices=(),
    )
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


def _template(
    top: Part, metadata: Part, name: str, mount: Mounted, templates: Templates
) -> Template:
    kind = metadata.text("type")
    if kind not in {"", "Standard"}:
        raise Unsupported(f"metadata.type [{kind[:80]}]", "only Standard services run here")
    containers = top.parts("containers")
    if not containers:
        raise Missing("containers", "a script or command, or the image of a template")
    if len(containers) > 1:
        raise Unsupported("containers[1]", "a replica is one process here; give one container")
    template = template_of(containers[0], name, mount, templates)
    grace = _grace(top.part("runtime"))
    return replace(
        template,
        resources=_resources(top, metadata, template.resources),
        stop_grace=template.stop_grace if grace is None else grace,
    )


def _grace(runtime: Part) -> float | None:
    grace = runtime.number("termination_grace_period")
    runtime.rest()
    return grace


def _resources(top: Part, metadata: Part, usual: Resources) -> Resources:
    cpu, memory = metadata.number("cpu", 0.01), metadata.integer("memory", 1)
    gpu, gpu_memory = _gpus(metadata, usual)
    _computing(top.part("cloud"), sized=cpu is not None and memory is not None)
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


def _computing(cloud: Part, *, sized: bool) -> None:
    computing = cloud.part("computing")
    types = [(computing.name("instance_type"), computing.text("instance_type"))]
    for entry in computing.parts("instances"):
        types.append((entry.name("type"), entry.text("type")))
        entry.rest()
    for field, name in types:
        if name and not (sized and name.startswith("ecs.")):
            raise Invalid(
                field,
                f"[{name[:80]}] is no size of this host",
                "an ecs.* type beside metadata.cpu and metadata.memory, or these two alone",
            )
    why = "the size is metadata.cpu and metadata.memory; no cloud machine is rented"
    computing.report(why, "instance_type", "instances")
    computing.rest()
    network = cloud.part("networking")
    network.report(
        "there are no cloud networks here; replicas use this host's network",
        *("vpc_id", "vswitch_id", "security_group_id"),
    )
    network.rest()
    cloud.rest()


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


def _timeout(rpc: Part) -> float | None:
    keepalive = rpc.integer("keepalive", 1)
    rpc.report(_GATEWAY, "max_queue_size", "rate_limit")
    rpc.report("the engine has no such option", "worker_threads", "max_batch_size", "io_threads")
    rpc.rest()
    return None if keepalive is None else keepalive / 1000


def _place(top: Part, metadata: Part, pool: str) -> None:
    """What says where and beside what replicas run."""
    resource = metadata.text("resource")
    if resource and resource != pool:
        raise NotFound("resource", resource, "There is one pool; leave metadata.resource out.")
    metadata.report(_PROCESS, "disk", "shm_size", "rdma", "enable_webservice", "enable_grpc")
    networking = top.part("networking")
    networking.report("every service is reached through the built-in gateway", "gateway", "nlb")
    networking.rest()
    features = top.part("features")
    features.rest()
    top.report("no image is pulled, so it is not used", "dockerAuth")


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
    """Do two documents differ in metadata.instance and in nothing else?"""
    return old != new and _without_instance(old) == _without_instance(new)


def _without_instance(document: Mapping[str, Any]) -> dict[str, Any]:
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        return {**document, "metadata": metadata or {}}
    entries = cast(dict[str, Any], metadata)
    return {**document, "metadata": {k: v for k, v in entries.items() if k != "instance"}}


def shown(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document as ServiceConfig tells it: dockerAuth is write-only."""
    return {key: value for key, value in document.items() if key != "dockerAuth"}


def derive(
    name: str, replicas: int, template: str, source: Source | None, owners: Mapping[str, str]
) -> dict[str, Any]:
    """The service JSON of an app service; CreateService takes it and makes the same service.

    `owners` may hold workspace_id, quota_id and group.
    """
    metadata = {"name": name, "instance": replicas, **{k: v for k, v in owners.items() if v}}
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
    document["containers"] = [shown_container(template, current.env)]
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
