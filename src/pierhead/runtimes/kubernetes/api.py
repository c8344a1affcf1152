"""What we ask of a Kubernetes API server: few verbs over plain dicts, and its refusals in our words."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pierhead.core.errors import Conflict, Refused, Stale

#: One object, as JSON has it.
Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of objects, and where a server has them."""

    api_version: str  #: `v1`, `apps/v1`
    name: str  #: `Deployment`
    plural: str  #: `deployments`
    namespaced: bool = True

    @property
    def group(self) -> str:
        """`apps`; "" for the core."""
        return self.api_version.rpartition("/")[0]

    def path(self, namespace: str = "", name: str = "", part: str = "") -> str:
        """Path of its objects (in a namespace, if one is named), of one of them, or of a part of that."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        where = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        tail = "".join(f"/{each}" for each in (name, part) if each)
        return f"{root}{where}/{self.plural}{tail}"


#: Of a server that was not asked yet.
NOTHING_KNOWN: Mapping[str, frozenset[str]] = {}
POD = Kind("v1", "Pod", "pods")
NODE = Kind("v1", "Node", "nodes", namespaced=False)
EVENT = Kind("v1", "Event", "events")
SECRET = Kind("v1", "Secret", "secrets")
SERVICE = Kind("v1", "Service", "services")
CLAIM = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
VOLUME = Kind("v1", "PersistentVolume", "persistentvolumes", namespaced=False)
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
REPLICA_SET = Kind("apps/v1", "ReplicaSet", "replicasets")
STATEFUL_SET = Kind("apps/v1", "StatefulSet", "statefulsets")
POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
GROUP = Kind("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", "leaderworkersets")
SCALED = Kind("keda.sh/v1alpha1", "ScaledObject", "scaledobjects")
CSI_DRIVER = Kind("storage.k8s.io/v1", "CSIDriver", "csidrivers", namespaced=False)


def autoscaler(version: str) -> Kind:
    """HorizontalPodAutoscalers as a server has them: `autoscaling/v2`, `autoscaling/v2beta2`."""
    return Kind(version, "HorizontalPodAutoscaler", "horizontalpodautoscalers")


def budget(version: str) -> Kind:
    """PodDisruptionBudgets as a server has them: `policy/v1`, `policy/v1beta1`."""
    return Kind(version, "PodDisruptionBudget", "poddisruptionbudgets")


def kind_of(manifest: Mapping[str, Any]) -> Kind:
    """The kind of an object that is to be sent."""
    name, version = str(manifest["kind"]), str(manifest["apiVersion"])
    plural = f"{name.lower()[:-1]}ies" if name.endswith("y") else f"{name.lower()}s"
    known = name in {VOLUME.name, NODE.name, CSI_DRIVER.name, "Namespace", "ClusterRole"}
    return Kind(version, name, plural, namespaced=not known)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a kind: in which namespace ("" = in all), with which labels and fields."""

    namespace: str = ""
    labels: str = ""
    fields: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """What a list found, and the version of the whole collection at which that was so."""

    items: tuple[Manifest, ...]
    version: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a watch tells."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Manifest


@dataclass(frozen=True, slots=True)
class LogWish:
    """Which part of a container's log."""

    container: str = ""
    previous: bool = False  #: of the run before the last restart
    lines: int | None = None  #: the last so many; None = all


@dataclass(frozen=True, slots=True)
class Access:
    """Something that the server may let us do."""

    verb: str
    group: str
    resource: str  #: with its part: `pods/log`
    namespaced: bool = True


class Expired(Stale):
    """The version from which a watch was to go on is no longer kept: list again."""


class Denied(Refused):
    """The cluster does not permit us to do that."""


class OwnedElsewhere(Conflict):
    """Others set fields of an object that we would set; `managers` = who, `fields` = which."""

    def __init__(
        self, kind: str, name: str, managers: tuple[str, ...], fields: tuple[str, ...]
    ) -> None:
        self.managers, self.fields = managers, fields
        others, which = ", ".join(managers) or "somebody else", ", ".join(fields)
        super().__init__(kind, name, f"was changed by {others}: {which or 'unknown fields'}")


class KubeApi(Protocol):
    """The server. All raise `Unavailable` where it does not answer, `Refused` where it will not."""

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Manifest:
        """One object.

        Raises:
            NotFound: there is none.
        """
        ...

    async def list(self, kind: Kind, selection: Selection) -> Listed:
        """All that are selected, asked for in pages."""
        ...

    def watch(
        self, kind: Kind, selection: Selection, version: str, seconds: int
    ) -> AsyncIterator[Change]:
        """What changes after `version`, for so many seconds; ends by itself then.

        Raises:
            Expired: the server does not remember as much.
            Unavailable: the connection broke, or nothing came for too long.
        """
        ...

    async def apply(
        self, manifest: Manifest, *, force: bool = False, dry_run: bool = False, manager: str = ""
    ) -> Manifest:
        """Server-side apply as a field manager ("" = `pierhead`); gives the object as it is then.

        Raises:
            OwnedElsewhere: another manager set one of its fields to something else, and no `force`.
            Invalid: a field is not legal; it is named.
            OverQuota: a quota of the namespace refuses.
        """
        ...

    async def patch(
        self, kind: Kind, name: str, namespace: str, body: Manifest, part: str = ""
    ) -> Manifest:
        """Merge-patch of an object or of its `status` or `scale`.

        Raises:
            NotFound: there is none.
        """
        ...

    async def delete(
        self, kind: Kind, name: str, namespace: str = "", *, grace: int | None = None, uid: str = ""
    ) -> bool:
        """Delete it (`grace` seconds for a pod, what depends on it in the background); False = it is gone.

        `uid`: only the one with this uid, not one that was made since under its name.
        """
        ...

    async def logs(self, pod: str, namespace: str, wish: LogWish) -> str:
        """What a container wrote, each line after its time; "" where it wrote nothing, or did not run.

        Raises:
            NotFound: there is no such pod.
        """
        ...

    async def may(self, access: Access, namespace: str) -> bool:
        """Does the server permit us that (a SelfSubjectAccessReview)?"""
        ...

    async def version(self) -> tuple[int, int, str]:
        """Major and minor number, and what the server calls its version."""
        ...

    async def served(
        self, known: Mapping[str, frozenset[str]] = NOTHING_KNOWN
    ) -> Mapping[str, frozenset[str]]:
        """`<group>/<version>` -> kinds, of the groups that we could use; none of one that is away.

        What is `known` of a version is not asked again.
        """
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...
