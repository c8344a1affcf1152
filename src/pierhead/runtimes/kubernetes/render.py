"""A service as Kubernetes objects: a pure function of what is wanted, its launch and the cluster."""

from dataclasses import dataclass, field

from pierhead.core.events import Notice
from pierhead.core.launch import Launch
from pierhead.core.scalers import AutoScaler
from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes import (
    names,
    owners,
    places,
    probes,
    scaling,
    surroundings,
    volumes,
)
from pierhead.runtimes.kubernetes import pod as pods
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.objects import Manifest
from pierhead.runtimes.kubernetes.pod import Pod, pod


@dataclass(frozen=True, slots=True)
class Extras:
    """What belongs to a service's objects and is in no workload."""

    key: str = field(default="", repr=False)  #: of its engines; "" = none of them is asked for one
    #: What the cluster itself shall follow, where it can: `replicas` is then not ours.
    scaler: AutoScaler | None = None


NO_EXTRAS = Extras()


def manifests(
    workload: Workload, launch: Launch, cluster: Cluster, extras: Extras = NO_EXTRAS
) -> tuple[Manifest, ...]:
    """Every object of a service, in the order in which they are to be applied; the pods' owner is last.

    `launch` is what `launching.launched` gives. The same arguments give the same objects, each stamped
    with its digest (`names.applied`).

    Raises:
        Unsupported: the template asks for what a cluster cannot give.
    """
    made = pod(workload, launch, cluster, extras.key)
    owner = _owner(workload, made, cluster)
    scaler = _scaler(workload, cluster, extras, owner)
    found = [*made.objects, surroundings.service(workload, cluster)]
    if made.secret:
        found.insert(0, surroundings.secret(workload, made.secret, cluster))
    if cluster.network_policy:
        found.append(surroundings.policy(workload, cluster))
    if cluster.pdb and _several(workload, scaler, extras):
        found.append(surroundings.budget(workload, cluster))
    if scaler is not None:
        # Who alone owns a field and leaves it out sets it back to its default: see the driver.
        owner["spec"].pop("replicas")
        found.append(scaler)
    return tuple(names.stamped(names.owned(each, cluster.platform)) for each in (*found, owner))


def _owner(workload: Workload, made: Pod, cluster: Cluster) -> Manifest:
    if workload.template.nodes > 1:
        return owners.group(workload, made.template, cluster)
    return owners.deployment(workload, made.template, cluster, made.boot)


def _scaler(
    workload: Workload, cluster: Cluster, extras: Extras, owner: Manifest
) -> Manifest | None:
    """None as well while the service is stopped: no scaler may start it."""
    if extras.scaler is None or not workload.replicas:
        return None
    return scaling.scaling(workload, extras.scaler, cluster, owner)


def _several(workload: Workload, scaler: Manifest | None, extras: Extras) -> bool:
    """Is there more than one replica at any time? A budget for a lone one would keep nodes from draining."""
    if scaler is not None and extras.scaler is not None:
        return extras.scaler.low > 1
    return workload.replicas > 1


def notices(
    workload: Workload, launch: Launch, cluster: Cluster, extras: Extras = NO_EXTRAS
) -> tuple[Notice, ...]:
    """What its owner should know: by name, all that a cluster does not give as it was asked for."""
    found = [
        *places.told(workload.template, cluster),
        *owners.told(workload),
        *probes.told(launch),
        *pods.told(workload.template, cluster),
        *volumes.told(workload, cluster),
    ]
    if extras.scaler is not None and workload.replicas:
        cores = scaling.asks_cores(workload.template.resources)
        found += scaling.told(extras.scaler, cluster, cores=cores)
    return tuple(found)
