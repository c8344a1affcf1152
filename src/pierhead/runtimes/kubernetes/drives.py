"""Object storage and network file systems as PersistentVolumes, which a CSI driver or the node mounts.

A PersistentVolume cannot be changed once it is there, so its name tells what is in it: another source,
or other keys, is another volume.
"""

import posixpath
import re
from dataclasses import dataclass

from pierhead.core.connections import Account, export
from pierhead.core.errors import Unsupported
from pierhead.core.fetches import Fetch
from pierhead.core.mounts import NasSource, OssSource
from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes import names
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.environment import encoded
from pierhead.runtimes.kubernetes.objects import Manifest, manifest

OSS_DRIVER = "ossplugin.csi.alibabacloud.com"
NAS_DRIVER = "nasplugin.csi.alibabacloud.com"
#: What the volume of a mount says of its size: it must say something, and nobody looks at it.
_SIZE = "1Gi"
_MODES = ["ReadOnlyMany"]
#: Ends of names that are files: a volume is a folder.
_FILES = (".gguf", ".safetensors")
#: What means something to a shell, to which older drivers give a path as it is.
_FOR_A_SHELL = re.compile(r"[^\w@%+=:,./~-]")


@dataclass(frozen=True, slots=True)
class Drive:
    """One source as a volume."""

    claim: str  #: name of its PersistentVolumeClaim
    objects: tuple[Manifest, ...]


def drive(workload: Workload, fetch: Fetch, cluster: Cluster) -> Drive | None:
    """The volume of a source; None = nothing mounts such a source.

    Raises:
        Unsupported: its path has a character that a driver could read as a command.
    """
    match fetch.source:
        case OssSource() as source if fetch.account is not None:
            return _bucket(workload, source, fetch.account, cluster)
        case NasSource() as source:
            return _export(workload, source, fetch.account, cluster)
        case _:
            return None


def _bucket(
    workload: Workload, source: OssSource, account: Account, cluster: Cluster
) -> Drive | None:
    connection = account.connection
    if account.keys.token:  # the driver knows no temporary keys: they would end while it is mounted
        return None
    attributes = {
        "bucket": source.bucket,
        "url": connection.endpoint,
        "path": "/" + _folder(source.prefix),
        "otherOpts": "-o ro",
    }
    if not connection.access_key_id:
        attributes["authType"] = "public"
        return _drive(workload, cluster, {"driver": OSS_DRIVER, "volumeAttributes": attributes})
    keys = {"akId": connection.access_key_id, "akSecret": account.keys.secret}
    parts = ("storage", _digest({**attributes, **keys}))
    secret: Manifest = {
        **manifest("v1", "Secret", workload, *parts, namespace=cluster.namespace),
        "type": "Opaque",
        "data": encoded(keys),
    }
    reference = {"name": secret["metadata"]["name"], "namespace": cluster.namespace}
    csi = {
        "driver": OSS_DRIVER,
        "volumeAttributes": attributes,
        "nodePublishSecretRef": reference,
    }
    found = _drive(workload, cluster, csi)
    return Drive(found.claim, (secret, *found.objects))


def _folder(path: str) -> str:
    bare = path.strip("/")
    folder = posixpath.dirname(bare) if bare.endswith(_FILES) else bare
    odd = _FOR_A_SHELL.search(folder)
    if odd is not None:
        why = (
            f"it has the character [{odd[0]!a}] in it, which the driver that mounts it may give to a shell; "
            "name the folder otherwise, or let weights be fetched (setting kubernetes.weights)"
        )
        raise Unsupported(f"The path [{folder[:200]!a}]", why)
    return folder


def _export(
    workload: Workload, source: NasSource, account: Account | None, cluster: Cluster
) -> Drive:
    """Alibaba Cloud's own by its driver, any other NFS server by what every node has."""
    written = account.connection.nfs if account is not None else ""
    path = _folder(source.path)
    if not written:
        attributes = {"server": source.mount_target, "path": f"/{path}", "vers": "3"}
        return _drive(workload, cluster, {"driver": NAS_DRIVER, "volumeAttributes": attributes})
    server = export(written)
    full = posixpath.join(server.path or "/", path)
    options = [f"vers={server.version}", f"port={server.port}", "ro"]
    nfs = {"server": server.host, "path": full, "readOnly": True}
    return _drive(workload, cluster, None, {"nfs": nfs, "mountOptions": options})


def _drive(
    workload: Workload, cluster: Cluster, csi: Manifest | None, other: Manifest | None = None
) -> Drive:
    parts = ("weights", _digest({"csi": csi, "other": other}))
    name = names.object_name(workload.service, *parts)
    spec: Manifest = {
        "capacity": {"storage": _SIZE},
        "accessModes": _MODES,
        "persistentVolumeReclaimPolicy": "Retain",
        "claimRef": {"name": name, "namespace": cluster.namespace},
        **(other or {}),
    }
    if csi is not None:
        spec["csi"] = {**csi, "volumeHandle": name, "readOnly": True}
    volume = {**manifest("v1", "PersistentVolume", workload, *parts), "spec": spec}
    claim = {
        **manifest("v1", "PersistentVolumeClaim", workload, *parts, namespace=cluster.namespace),
        "spec": {
            "accessModes": _MODES,
            "storageClassName": "",
            "volumeName": name,
            "resources": {"requests": {"storage": _SIZE}},
        },
    }
    return Drive(name, (volume, claim))


def _digest(facts: Manifest) -> str:
    return names.digest(facts)[:8]
