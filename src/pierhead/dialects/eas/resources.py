"""The one pool of machines as the wire shows it: a resource, its machines, the replicas on them. Pure."""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any

from pierhead.core.capacity import Pool, held, there
from pierhead.core.quotas import Amount
from pierhead.core.replicas import Node, ReplicaState, ReplicaStatus
from pierhead.core.resources import MIB
from pierhead.core.services import Service
from pierhead.dialects.eas.present import INSTANCE_STATUS, time_text

#: What every pool here is.
KIND, READY, _VENDOR = "SelfManaged", "ResourceReady", "BareMetal"
_MACHINE_READY = "Ready"
#: Sort fields of ListResourceInstances; unknown ones, and times, which are the same here, sort by name.
_BY_USE: Mapping[str, Callable[[Mapping[str, Any]], float]] = {
    "CpuUsed": lambda one: one["InstanceUsedCpu"],
    "GpuUsed": lambda one: one["InstanceUsedGpu"],
    "MemoryUsed": lambda one: int(one["InstanceUsedMemory"]),
}


def listed(pool: Pool) -> dict[str, Any]:
    """The pool in ListResources."""
    total = there(pool.nodes)
    at = time_text(pool.created)
    return {
        "ClusterId": pool.region,
        "CpuCount": int(total.cpu),
        "CreateTime": at,
        "ExtraData": {},
        "GpuCount": int(total.gpus),
        "InstanceCount": len(pool.nodes),
        "Message": "The machines that this installation runs on.",
        "PostPaidInstanceCount": 0,
        "PrePaidInstanceCount": 0,
        "ResourceId": pool.id,
        "ResourceName": pool.region,
        "ResourceType": KIND,
        "Status": READY,
        "UpdateTime": at,
        "Vendor": _VENDOR,
    }


def described(pool: Pool) -> dict[str, Any]:
    """The pool in DescribeResource, with what is in use."""
    total, used = there(pool.nodes), held(pool.found)
    shown = {key: value for key, value in listed(pool).items() if key != "Vendor"}
    return {
        **shown,
        "CpuUsed": ceil(used.cpu),
        "ExtraData": "",
        "GpuUsed": used.gpus,
        "Memory": total.memory // MIB,
        "MemoryUsed": ceil(used.memory / MIB),
        "OwnerUid": pool.account,
    }


def matches(pool: Pool, query: Mapping[str, Any]) -> bool:
    """Does the pool pass the filters of ListResources?"""
    facts = {
        "ResourceId": pool.id,
        "ResourceName": pool.region,
        "ResourceStatus": READY,
        "ResourceType": KIND,
        "UsageMode": "",
    }
    return all(query.get(name) in (None, fact) for name, fact in facts.items())


def machines(pool: Pool, query: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The machines of the pool that pass the filters of ListResourceInstances, in the order asked for."""
    shown = [_machine(pool, node) for node in pool.nodes]
    shown = [one for one in shown if _passes(one, query)]
    by = _BY_USE.get(query.get("Sort", ""))
    descending = query.get("Order", "desc").lower() != "asc"
    shown.sort(key=lambda one: one["InstanceName"], reverse=descending)
    if by is not None:
        shown.sort(key=by, reverse=descending)
    return shown


def _machine(pool: Pool, node: Node) -> dict[str, Any]:
    used = held(pool.found, node.name)
    devices = sum(device.memory for device in node.accelerators)
    return {
        "Arch": node.architecture,
        "CreateTime": time_text(pool.created),
        "InstanceCpuCount": node.cpu,
        "InstanceGpuCount": node.gpus,
        "InstanceGpuMemory": str(devices // MIB),
        "InstanceId": node.name,
        "InstanceIp": "",
        "InstanceMemory": str(node.memory // MIB),
        "InstanceName": node.name,
        "InstanceStatus": _MACHINE_READY,
        "InstanceType": "",
        "InstanceUsedCpu": used.cpu,
        "InstanceUsedGpu": used.gpus,
        "InstanceUsedMemory": str(ceil(used.memory / MIB)),
        "Labels": [],
        "Region": pool.region,
        "ResourceId": pool.id,
        "Zone": pool.region,
    }


def _passes(machine: Mapping[str, Any], query: Mapping[str, Any]) -> bool:
    exact = {
        "InstanceIP": "InstanceIp",
        "InstanceId": "InstanceId",
        "InstanceName": "InstanceName",
        "InstanceStatus": "InstanceStatus",
        "Zone": "Zone",
    }
    # Nothing is charged for a machine here, and none has labels.
    if query.get("ChargeType") or query.get("Label"):
        return False
    if any(query.get(name) not in (None, machine[field]) for name, field in exact.items()):
        return False
    return query.get("Filter", "") in machine["InstanceName"]


def worker(service: Service, replica: ReplicaStatus, amount: Amount) -> dict[str, Any]:
    """One replica on a machine, in ListResourceInstanceWorker."""
    resources = service.current.template.resources
    asked = resources.cpu_request, resources.memory_request
    return {
        "CpuLimit": ceil(amount.cpu),
        "CpuRequest": ceil(amount.cpu if asked[0] is None else asked[0]),
        "GpuLimit": ceil(amount.gpus),
        "GpuRequest": ceil(amount.gpus),
        "MemoryLimit": ceil(amount.memory / MIB),
        "MemoryRquest": ceil((amount.memory if asked[1] is None else asked[1]) / MIB),
        "Name": replica.id,
        "Ready": replica.state is ReplicaState.READY,
        "RestartCount": max(0, replica.runs - 1),
        "ServiceName": service.name,
        "StartTime": time_text(replica.started) if replica.started else "",
        "Status": INSTANCE_STATUS[replica.state],
    }


def workers(shown: Sequence[dict[str, Any]], query: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those that pass the filters of ListResourceInstanceWorker, in the order asked for."""
    exact = {
        "WorkerName": "Name",
        "ServiceName": "ServiceName",
        "Status": "Status",
        "Ready": "Ready",
    }
    found = [
        one
        for one in shown
        if all(query.get(name) in (None, one[field]) for name, field in exact.items())
    ]
    by = {"Name": "Name", "ServiceName": "ServiceName", "RestartCount": "RestartCount"}
    field = by.get(query.get("Sort", ""), "StartTime")
    found.sort(
        key=lambda one: (one[field], one["Name"]),
        reverse=query.get("Order", "desc").lower() != "asc",
    )
    return found
