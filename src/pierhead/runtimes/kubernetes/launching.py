"""What an engine is asked for a pod: places that are known only once the pod is there are stood in for.

An engine's answer is a plain command and environment. The pod's address, its uid and the engine's key
are in it as stand-ins, which become references that the kubelet fills in (`environment.py`): no engine
need know of clusters, and no key is in any manifest but the Secret.
"""

from collections.abc import Callable
from dataclasses import replace
from math import floor

from pierhead.core.launch import Launch, Placement
from pierhead.core.mount_paths import seen_at
from pierhead.core.templates import Template
from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes import members
from pierhead.runtimes.kubernetes.cluster import PORT, Cluster

Ask = Callable[[Workload, Placement], Launch]

#: Stand-ins: of characters that no shell treats in a special way, and that nobody writes by chance.
ADDRESS = "pierhead-stand-in-2c61d3-address"
REPLICA = "pierhead-stand-in-2c61d3-replica"
KEY = "pierhead-stand-in-2c61d3-key"
#: What a replica has of its own: `datasets/` below it holds what its template links to.
FOLDER = "/var/lib/pierhead/replica"


def engine_port(template: Template) -> int:
    """The port that the engine listens on: the first one that the template declares, else ours."""
    return template.ports[0] if template.ports else PORT


def placement(workload: Workload, cluster: Cluster) -> Placement:
    """Where a replica lives, as its engine is told."""
    resources = workload.template.resources
    return Placement(
        service=workload.name,
        replica=REPLICA,
        host=ADDRESS,
        port=engine_port(workload.template),
        key=KEY,
        threads=cluster.threads if resources.cpu is None else max(1, floor(resources.cpu)),
        folder=FOLDER,
        # In its container a replica sees its own devices alone, counted from 0.
        devices=tuple(str(at) for at in range(resources.devices)),
        binds=True,
    )


def launched(ask: Ask, workload: Workload, cluster: Cluster) -> Launch:
    """The engine's answer, with its files where the pod shows them.

    Raises:
        Unsupported: the engine cannot do what the template asks for.
    """
    workload = members.spread(workload)
    path = workload.template.mount_path
    if path and workload.files.folder:
        workload = replace(workload, files=seen_at(workload.files, path))
    return ask(workload, placement(workload, cluster))
