"""How a replica's files come into its pod, and where it may write.

fetch  an init container runs `pierhead fetch` into a volume: the pod's own, or a folder of the node that
       its pods share; the engine sees its own files alone, read-only
csi    a PersistentVolume that a CSI driver mounts (`drives.py`): what cannot be mounted is fetched
host   folders that lie on every node
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pierhead.core.errors import Unsupported
from pierhead.core.events import Notice
from pierhead.core.fetches import ACCOUNT, Fetch
from pierhead.core.launch import DATASETS, Launch
from pierhead.core.mount_paths import within
from pierhead.core.resources import GIB, MIB
from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes import drives, names
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.environment import command, from_secret, plain
from pierhead.runtimes.kubernetes.launching import FOLDER

Part = dict[str, Any]

SCRATCH = "/tmp"  # noqa: S108 - a volume of the pod's own
#: Key of the Secret with what opens the source of the files.
_ACCOUNT_KEY = "fetch-account"
_OWN_KEY = "fetch.{}"  #: of an operator's variable for what fetches
#: Seconds without a byte for which what fetches for one of several nodes tries again by itself.
_PATIENCE = 600
_FETCHER_MEMORY = 512 * MIB  #: at least: it re-quantizes small files, too


@dataclass(frozen=True, slots=True)
class Storage:
    """What a pod sees besides its image."""

    volumes: tuple[Part, ...]
    mounts: tuple[Part, ...]  #: of the engine's container
    init: tuple[Part, ...] = ()  #: containers that run before it
    secret: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    objects: tuple[Part, ...] = ()  #: volumes of the cluster, and what opens them


def storage(workload: Workload, launch: Launch, cluster: Cluster) -> Storage:
    """The files of a workload, its links, and folders that it may write to.

    Raises:
        Unsupported: something lies where no pod of the cluster can have it.
    """
    files = _files(workload, cluster)
    scratch: list[tuple[str, str, Part]] = [("scratch", SCRATCH, {})]
    resources = workload.template.resources
    if resources.shm or resources.devices or workload.template.engine == "vllm":
        # Processes of one engine talk through it; the usual 64 MiB are too little for that.
        shared = {"medium": "Memory", "sizeLimit": size(resources.shm or cluster.shm_bytes)}
        scratch.append(("shm", "/dev/shm", shared))  # noqa: S108 - the kernel's name for it
    links = _links(workload, cluster) + _binds(launch, cluster)
    return Storage(
        volumes=(
            *({"name": name, "emptyDir": kind} for name, _, kind in scratch),
            *files.volumes,
            *(_host(f"link-{at}", path) for at, (path, _) in enumerate(links)),
        ),
        mounts=(
            *({"name": name, "mountPath": path} for name, path, _ in scratch),
            *files.mounts,
            *(_read_only(f"link-{at}", shown) for at, (_, shown) in enumerate(links)),
        ),
        init=files.init,
        secret=files.secret,
        objects=files.objects,
    )


def _files(workload: Workload, cluster: Cluster) -> Storage:
    files = workload.files
    if not files.folder:
        return Storage((), ())
    path = workload.template.mount_path or files.folder
    fetch = files.fetch
    if fetch is None:
        return Storage((_host("weights", files.folder),), (_read_only("weights", path),))
    drive = drives.drive(workload, fetch, cluster) if cluster.weights == "csi" else None
    if drive is not None:
        volume = {
            "name": "weights",
            "persistentVolumeClaim": {"claimName": drive.claim, "readOnly": True},
        }
        return Storage((volume,), (_read_only("weights", path),), objects=drive.objects)
    return _fetched(workload, fetch, cluster, path)


def _fetched(workload: Workload, fetch: Fetch, cluster: Cluster, path: str) -> Storage:
    root, folder = cluster.weights_root, workload.files.folder
    if not within(fetch.folder, root) or not within(folder, fetch.folder):
        raise Unsupported(f"Files in [{folder}]", f"pods have what they fetch in [{root}]")
    secret = {_OWN_KEY.format(name): text for name, text in cluster.fetch_variables.items() if text}
    secret |= {_ACCOUNT_KEY: fetch.variables[ACCOUNT]} if fetch.variables else {}
    init = _fetcher(workload, fetch, cluster)
    given = (_host("given", fetch.local),) if fetch.local else ()
    if not cluster.cache_path:
        own = _read_only("weights", path)
        if path != folder:
            own["subPath"] = folder.removeprefix(root).lstrip("/")
        else:
            own["mountPath"] = root
        empty: Part = {"name": "weights", "emptyDir": {}}
        return Storage((empty, *given), (own,), (init,), secret)
    # The cache is a whole node's: an engine sees no more of it than its own files.
    shown = folder if path != folder else fetch.folder
    volumes = (
        {"name": "cache", "hostPath": {"path": root, "type": "Directory"}},
        # Its folder is made by the init container, when the volumes are set up already.
        _host("weights", shown),
        *given,
    )
    own = _read_only("weights", path if path != folder else fetch.folder)
    return Storage(volumes, (own,), (init,), secret)


def _fetcher(workload: Workload, fetch: Fetch, cluster: Cluster) -> Part:
    """The container that brings the files; how it ends and what it says is told like an engine's end."""
    keys = names.object_name(workload.service, "keys")
    own = [name for name, text in sorted(cluster.fetch_variables.items()) if text]
    env = [plain("HOME", SCRATCH)] * ("HOME" not in own)
    # Whether an address has a password in it, no name tells: who may list pods sees none of them.
    env += [from_secret(name, keys, _OWN_KEY.format(name)) for name in own]
    if fetch.variables:
        env.append(from_secret(ACCOUNT, keys, _ACCOUNT_KEY))
    shared = "cache" if cluster.cache_path else "weights"
    given = (_read_only("given", fetch.local),) if fetch.local else ()
    # The end of any container of a group ends them all, and with them what the others fetched.
    patience = ("--patience", str(_PATIENCE)) if workload.template.nodes > 1 else ()
    found: Part = {
        "name": names.FETCH_CONTAINER,
        "image": cluster.image,
        "command": command((cluster.python, "-m", "pierhead", *fetch.arguments, *patience)),
        "env": env,
        "resources": _fetcher_resources(workload),
        "volumeMounts": [
            {"name": "scratch", "mountPath": SCRATCH},
            {"name": shared, "mountPath": cluster.weights_root},
            *given,
        ],
    }
    if cluster.image_pull_policy:
        found["imagePullPolicy"] = cluster.image_pull_policy
    return found


def _fetcher_resources(workload: Workload) -> Part:
    """It runs before its engine, never beside it: what the engine has is there for it, too."""
    resources = workload.template.resources
    if resources.memory is None:
        return {"requests": {"cpu": "100m", "memory": size(_FETCHER_MEMORY)}}
    memory = size(max(resources.memory, _FETCHER_MEMORY))
    cores = "100m" if resources.cpu is None else quantity(resources.cpu)
    same = {"cpu": cores, "memory": memory}
    return {"requests": same, "limits": {"memory": memory} if resources.cpu is None else same}


def quantity(cores: float) -> str:
    """Cores as Kubernetes writes them: `2`, `500m`."""
    whole = round(cores * 1000)
    return str(whole // 1000) if whole % 1000 == 0 else f"{whole}m"


def size(count: int) -> str:
    """Bytes as Kubernetes writes them: `64Gi`, `512Mi`, and any other number as it is."""
    for unit, name in ((GIB, "Gi"), (MIB, "Mi")):
        if count and count % unit == 0:
            return f"{count // unit}{name}"
    return str(count)


def _host(name: str, path: str) -> Part:
    return {"name": name, "hostPath": {"path": path, "type": ""}}


def _read_only(name: str, path: str) -> Part:
    return {"name": name, "mountPath": path, "readOnly": True}


def _links(workload: Workload, cluster: Cluster) -> list[tuple[str, str]]:
    """(where it lies, where it is shown) of what the template links to and every node has."""
    return [
        (link.path, f"{FOLDER}/{DATASETS}/{link.name}")
        for link in workload.template.links
        if _on_every_node(link.path, cluster)
    ]


def _binds(launch: Launch, cluster: Cluster) -> list[tuple[str, str]]:
    for bind in launch.binds:
        if not _on_every_node(bind.source, cluster):
            raise Unsupported(f"The folder [{bind.source}]", _NOWHERE)
    return [(bind.source, bind.target) for bind in launch.binds]


_NOWHERE = "it is in no folder that lies on every node (setting kubernetes.host_folders)"


def _on_every_node(path: str, cluster: Cluster) -> bool:
    return any(within(path, folder) for folder in cluster.host_folders)


def told(workload: Workload, cluster: Cluster) -> list[Notice]:
    """Which folders no replica sees."""
    return [
        Notice(
            "DatasetUnreachable",
            f"The dataset [{link.name}] is not shown at [{link.path}]: {_NOWHERE}.",
        )
        for link in workload.template.links
        if not _on_every_node(link.path, cluster)
    ]
