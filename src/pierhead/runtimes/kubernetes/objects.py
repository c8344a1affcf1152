"""What all our objects have in common."""

from typing import Any

from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes import names

#: One object, or a part of one, as JSON or YAML would have it.
Manifest = dict[str, Any]


def manifest(api: str, kind: str, workload: Workload, *parts: str, namespace: str = "") -> Manifest:
    """The head of an object of a service; `namespace` "" = it belongs to the whole cluster."""
    metadata: Manifest = {
        "name": names.object_name(workload.service, *parts),
        "labels": names.labels(workload.service, workload.name),
        "annotations": {names.SERVICE_NAME: workload.name},
    }
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api, "kind": kind, "metadata": metadata}
