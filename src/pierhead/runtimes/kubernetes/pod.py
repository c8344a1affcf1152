"""One replica as a pod: the engine's container, what runs before it, and what both may do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from pierhead.core.events import Notice
from pierhead.core.launch import Launch
from pierhead.core.resources import Resources
from pierhead.core.templates import Template
from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes import names, places, probes
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.environment import command, variables
from pierhead.runtimes.kubernetes.launching import engine_port
from pierhead.runtimes.kubernetes.objects import Manifest
from pierhead.runtimes.kubernetes.volumes import SCRATCH, Storage, quantity, size, storage

#: Seconds between the end of a pod's wait for its last request and its end by force.
MARGIN = 2
_OWN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: From here on a pod may wait without a program of its image.
_SLEEPS_ITSELF = (1, 30)
#: From here on the kubelet lets a pod listen on low ports without a privilege.
_LOW_PORTS = (1, 22)
_LOW = 1024
_USUAL = {"HOME": SCRATCH, "LANG": "C.UTF-8", "TMPDIR": SCRATCH}
#: Images for GPUs show all of a node's devices to a container that asks for none.
_NO_DEVICES = {"CUDA_VISIBLE_DEVICES": "", "NVIDIA_VISIBLE_DEVICES": "void"}


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod's template, and what must be there for it."""

    template: Manifest
    secret: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    objects: tuple[Manifest, ...] = ()
    boot: int = 0  #: seconds from its engine's start to ready


def pod(workload: Workload, launch: Launch, cluster: Cluster, key: str) -> Pod:
    """The pod of a replica; `key` opens its engine.

    Raises:
        Unsupported: the template asks for what a cluster cannot give.
    """
    template = workload.template
    own = {} if template.resources.devices else _NO_DEVICES
    first = {"PATH": ":".join((*launch.path_first, _OWN_PATH))} if launch.path_first else {}
    secret_name = names.object_name(workload.service, "keys")
    env = variables({**_USUAL, **own, **first, **launch.env}, secret_name, key)
    seen = storage(workload, launch, cluster)
    engine: Manifest = {
        "name": names.ENGINE_CONTAINER,
        "image": places.image(template, cluster).name,
        **_runs(template, launch),
        "env": [*env.entries],
        "ports": _ports(template),
        "resources": _resources(template, cluster),
        "volumeMounts": [*seen.mounts],
        **probes.probes(template, launch, workload.files.bytes),
        **_wait(template, cluster),
    }
    if cluster.image_pull_policy:
        engine["imagePullPolicy"] = cluster.image_pull_policy
    manifest = {
        "metadata": _metadata(workload, launch),
        "spec": {**_spec(workload, cluster), **_containers(engine, seen, cluster)},
    }
    boot = probes.boot_seconds(template, launch, workload.files.bytes)
    return Pod(manifest, {**env.secret, **seen.secret}, seen.objects, boot)


def _runs(template: Template, launch: Launch) -> Manifest:
    """What a container executes, and where; an image that says that itself gets our flags alone."""
    argv = command(launch.argv)
    if template.engine == "custom" and not (template.command or template.script):
        return {"args": argv} if argv else {}
    return {"command": argv, "workingDir": launch.cwd or SCRATCH}


def _metadata(workload: Workload, launch: Launch) -> Manifest:
    """What a runtime reads back from a pod."""
    deadline = probes.deadline(workload.template, launch)
    said = {
        names.SERVICE_NAME: workload.name,
        names.ENGINE: workload.template.engine,
        names.KEYED: str(launch.keyed).lower(),
        names.API: launch.api,
        names.MODEL: launch.model,
        names.PORT: str(engine_port(workload.template)),
        names.DEADLINE: "" if deadline is None else f"{deadline:g}",
        names.GRACE: str(grace(workload.template)),
        names.NODES: "" if workload.template.nodes == 1 else str(workload.template.nodes),
    }
    labels = {**names.labels(workload.service, workload.name), names.ROLLOUT: workload.rollout}
    return {"labels": labels, "annotations": {name: text for name, text in said.items() if text}}


def _spec(workload: Workload, cluster: Cluster) -> Manifest:
    template = workload.template
    spec: Manifest = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace(template),
        "securityContext": _security(template, cluster),
        **places.scheduling(workload.service, template, cluster),
    }
    if cluster.service_account:
        spec["serviceAccountName"] = cluster.service_account
    if cluster.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in cluster.image_pull_secrets]
    return spec


def grace(template: Template) -> int:
    """Seconds from a pod's deletion until it is killed; the second delete of a drained one needs 1."""
    return max(1, ceil(template.stop_grace))


def _containers(engine: Manifest, seen: Storage, cluster: Cluster) -> Manifest:
    every: Manifest = {
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": cluster.read_only_root,
        },
        # What it wrote last stands in its status then: its log may be that of the next run already.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    found: Manifest = {"containers": [{**engine, **every}], "volumes": [*seen.volumes]}
    if seen.init:
        found["initContainers"] = [{**each, **every} for each in seen.init]
    return found


def _security(template: Template, cluster: Cluster) -> Manifest:
    found: Manifest = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if cluster.run_as_user:
        found |= {
            "runAsUser": cluster.run_as_user,
            "runAsGroup": cluster.run_as_user,
            "fsGroup": cluster.run_as_user,
        }
    ports = (engine_port(template), *template.side_ports.values())
    if min(ports) < _LOW and cluster.version >= _LOW_PORTS:
        found["sysctls"] = [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]
    return found


def _ports(template: Template) -> list[Manifest]:
    """Always with their protocol: by it a server tells the entries apart."""
    numbers = dict.fromkeys((engine_port(template), *template.side_ports.values()))
    return [
        {"name": "engine" if at == 0 else f"side-{at}", "containerPort": port, "protocol": "TCP"}
        for at, port in enumerate(numbers)
    ]


def _resources(template: Template, cluster: Cluster) -> Manifest:
    resources = template.resources
    limits = _cores_and_memory(resources.cpu, resources.memory)
    asked = _cores_and_memory(
        resources.cpu if resources.cpu_request is None else resources.cpu_request,
        resources.memory if resources.memory_request is None else resources.memory_request,
    )
    devices = _devices(template, resources, cluster)
    found = {"limits": {**limits, **devices}, "requests": {**asked, **devices}}
    return {name: values for name, values in found.items() if values}


def _cores_and_memory(cores: float | None, memory: int | None) -> dict[str, str]:
    found = {} if cores is None else {"cpu": quantity(cores)}
    return found if memory is None else {**found, "memory": size(memory)}


def _devices(template: Template, resources: Resources, cluster: Cluster) -> dict[str, str]:
    """GPUs under their vendor's resource, which knows no other amount for a request than for a limit."""
    if not resources.devices:
        return {}
    gpu = cluster.gpu(places.vendor(template, cluster))
    if resources.gpu_memory is None:
        return {gpu.whole: str(resources.gpu)}
    return {gpu.parts(): str(ceil(resources.gpu_memory / gpu.part_bytes))}


def _wait(template: Template, cluster: Cluster) -> Manifest:
    """A pod that is deleted ends its requests first: a drained one is deleted again, which ends the wait."""
    seconds = grace(template) - MARGIN
    if seconds <= 0:
        return {}
    waits: dict[str, Any] = {"exec": {"command": ["sleep", str(seconds)]}}
    if cluster.version >= _SLEEPS_ITSELF:
        waits = {"sleep": {"seconds": seconds}}
    return {"lifecycle": {"preStop": waits}}


def told(template: Template, cluster: Cluster) -> list[Notice]:
    """What a pod cannot be given as the template says it."""
    found: list[Notice] = []
    if template.workdir:
        found.append(
            Notice(
                "WorkingFolder",
                f"The working folder [{template.workdir}] is its image's, and nothing can be written "
                f"there; {SCRATCH} can be written to.",
                warning=False,
            )
        )
    if min((engine_port(template), *template.side_ports.values())) < _LOW and (
        cluster.version < _LOW_PORTS
    ):
        why = "replicas run without the privilege that it takes on this cluster"
        found.append(
            Notice("LowPort", f"Nothing can listen on port {engine_port(template)}: {why}.")
        )
    if template.environment is not None and not template.images:
        why = "no such environment is built in a pod; an image that has it can be named"
        found.append(Notice("EnvironmentNotBuilt", f"The Python environment is not there: {why}."))
    return found
