"""Which volumes a hollow node can give its processes: they see the machine's own file system.

So a volume must lie where it is mounted. What cannot be given is a FailedMount, as with a kubelet.
"""

from pathlib import Path
from typing import Any

Json = dict[str, Any]


#: Where every pod that does not refuse it gets a token; processes on a hollow node do without.
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


class MountRefusedError(Exception):
    """A volume that a process on this machine cannot see at its place; the text goes into the event."""


def mount(spec: Json) -> None:
    """Make the volumes of a pod visible to its processes.

    Raises:
        MountRefusedError: one of them cannot be.
    """
    volumes = {volume["name"]: volume for volume in spec.get("volumes", ())}
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        for wanted in container.get("volumeMounts", ()):
            if wanted["mountPath"] != _ACCOUNT:
                _mount(volumes[wanted["name"]], wanted)


def _mount(volume: Json, wanted: Json) -> None:
    name, place = wanted["name"], Path(wanted["mountPath"])
    if "hostPath" in volume:
        _host_path(name, volume["hostPath"], place, wanted.get("subPath", ""))
    elif "emptyDir" in volume:
        if not place.is_dir():
            raise _refused(
                name, f"{place} is no folder of this machine; an emptyDir cannot be put there"
            )
    else:
        kind = next((key for key in volume if key != "name"), "?")
        raise _refused(name, f"a hollow node has no volumes of the kind {kind}")


def _host_path(name: str, source: Json, place: Path, below: str) -> None:
    path = Path(source["path"]) / below
    if path != place:
        raise _refused(name, f"hostPath {path} must be mounted at the same path, not at {place}")
    kind = source.get("type", "")
    if kind == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    if kind.startswith("Directory") and not path.is_dir():
        raise _refused(name, f"hostPath type check failed: {path} is not a directory")
    if kind.startswith("File") and not path.is_file():
        raise _refused(name, f"hostPath type check failed: {path} is not a file")


def _refused(name: str, why: str) -> MountRefusedError:
    return MountRefusedError(f'MountVolume.SetUp failed for volume "{name}" : {why}')
