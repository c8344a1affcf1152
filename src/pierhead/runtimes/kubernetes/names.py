"""What our objects are called, and what their labels and annotations say.

Everything is named by the service's id, which never changes: names are found again after a restart
without a book, and no service's name, however odd, makes an illegal one.
"""

import hashlib
import json
import re
from typing import Any

MANAGER = "pierhead"  #: fieldManager, and the value of MANAGED_BY
#: Field manager that keeps a count from falling to its default when MANAGER leaves it out.
COUNTER = "pierhead-count"

# Labels: what is selected by.
MANAGED_BY = "app.kubernetes.io/managed-by"
NAME = "app.kubernetes.io/name"
COMPONENT = "app.kubernetes.io/component"
SERVICE_ID = "pierhead.dev/service-id"
ROLLOUT = "pierhead.dev/rollout"  #: of a pod: `<version>.<epoch>`
SHOWN = "pierhead.dev/service"  #: the service's name, as far as a label can say it
PLATFORM = "pierhead.dev/platform"  #: the platform's account id: several may share a namespace

# Annotations of an object.
APPLIED = "pierhead.dev/applied"  #: digest of the object as it was sent
#: Of what makes pods: kind and digest of the object that sets its count; "" = one did, once.
SCALED_BY = "pierhead.dev/scaled-by"
TEMPLATE = "pierhead.dev/template"  #: of what makes pods: digest of their template as it was sent
# Annotations of a pod: what a runtime tells of it, so that no book need be kept.
SERVICE_NAME = "pierhead.dev/service-name"
ENGINE = "pierhead.dev/engine"
KEYED = "pierhead.dev/keyed"  #: `true` or `false`
API = "pierhead.dev/api"
MODEL = "pierhead.dev/model"  #: name that the engine knows its model by; missing = the service's
PORT = "pierhead.dev/port"
DEADLINE = "pierhead.dev/start-deadline"  #: seconds; missing = it may take its time
GRACE = "pierhead.dev/grace"  #: seconds from a pod's deletion until it is killed
NODES = "pierhead.dev/nodes"  #: that its replica is on; missing = one

# Labels that a LeaderWorkerSet's controller gives to its pods.
SET = "leaderworkerset.sigs.k8s.io/name"
GROUP_INDEX = "leaderworkerset.sigs.k8s.io/group-index"  #: which of its replicas: `0`, `1`
WORKER_INDEX = (
    "leaderworkerset.sigs.k8s.io/worker-index"  #: rank of a pod in its replica; `0` leads
)

#: Value of COMPONENT: a pod that takes requests, and one that only computes for it.
REPLICA, MEMBER = "replica", "member"

ENGINE_CONTAINER = "engine"
FETCH_CONTAINER = "fetch"
TURN_CONTAINER = "turn"  #: of a member that waits for its leader before anything else is done

#: Where an object has the templates of its pods.
_MADE = frozenset({"spec", "template", "leaderWorkerTemplate", "leaderTemplate", "workerTemplate"})
_LONGEST = 63
_DIGEST = 8  #: bytes
_PREFIX = "ph-"


def object_name(service: str, *parts: str) -> str:
    """Name of an object of a service (its id): a DNS label of at most 63 characters.

    `3f…` -> `ph-3f…`, its Secret with `parts=("keys",)` -> `ph-3f…-keys`.
    """
    return bounded(_PREFIX + "-".join((service, *parts)))


def set_name(service: str, nodes: int) -> str:
    """Name of the LeaderWorkerSet of a service whose replicas are on so many nodes; it is the same for good."""
    return object_name(service, "nodes", str(nodes))


def service_of_set(name: str) -> str:
    """The id of the service of which a set, or a part of it, has that name; "" = it is none of ours."""
    service, found, _ = name.removeprefix(_PREFIX).partition("-nodes-")
    return service if found and name.startswith(_PREFIX) else ""


def set_of(pod: dict[str, Any]) -> str:
    """Name of the LeaderWorkerSet that made a pod; "" = none did."""
    labels: dict[str, str] = pod.get("metadata", {}).get("labels") or {}
    return labels.get(SET, "")


def bounded(text: str) -> str:
    """`text` as a DNS label: what it is not, or is too much of it, is made up for by a digest."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if plain == text and 0 < len(plain) <= _LONGEST:
        return plain
    tail = hashlib.blake2b(text.encode(), digest_size=_DIGEST).hexdigest()
    return f"{plain[: _LONGEST - len(tail) - 1].strip('-') or 'x'}-{tail}"


def label_value(text: str) -> str:
    """`text` as a label's value, for people: letters, digits, `-`, `_` and `.`, at most 63."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:_LONGEST].strip("-_.")


def identity(service: str) -> dict[str, str]:
    """Labels that select a service's own pods and objects; they never change."""
    return {MANAGED_BY: MANAGER, SERVICE_ID: service}


def labels(service: str, name: str) -> dict[str, str]:
    """Labels of every object of a service."""
    return {**identity(service), NAME: "pierhead", COMPONENT: REPLICA, SHOWN: label_value(name)}


def ours(platform: str) -> str:
    """A list's labelSelector for all that is a platform's own; another's objects are not touched."""
    return f"{MANAGED_BY}={MANAGER}" + (f",{PLATFORM}={platform}" if platform else "")


def others(platform: str) -> str:
    """The same for all that other platforms have."""
    return f"{MANAGED_BY}={MANAGER},{PLATFORM},{PLATFORM}!={platform}"


def owned(manifest: dict[str, Any], platform: str) -> dict[str, Any]:
    """`manifest`, and the pods that it makes, with the label that makes them the platform's own."""
    if not platform:
        return manifest
    found = dict(manifest)
    for part in _MADE & manifest.keys():
        found[part] = owned(manifest[part], platform)
    labels = found.get("metadata", {}).get("labels", {})
    if MANAGED_BY in labels:
        found["metadata"] = {**found["metadata"], "labels": {**labels, PLATFORM: platform}}
    return found


def digest(manifest: dict[str, Any]) -> str:
    """What changes when, and only when, an object that is sent changes."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def stamped(manifest: dict[str, Any]) -> dict[str, Any]:
    """`manifest` with its digest, which `applied` reads from the object in the cluster."""
    meta = manifest["metadata"]
    annotations = {key: text for key, text in meta.get("annotations", {}).items() if key != APPLIED}
    bare = {**manifest, "metadata": {**meta, "annotations": annotations}}
    annotations = {**annotations, APPLIED: digest(bare)}
    return {**manifest, "metadata": {**meta, "annotations": annotations}}


def scaled_by(owner: dict[str, Any] | None) -> str | None:
    """What sets the count of what makes pods, as `SCALED_BY` tells it; None = nothing but us ever did."""
    meta: dict[str, Any] = (owner or {}).get("metadata", {})
    annotations: dict[str, str] = meta.get("annotations") or {}
    return annotations.get(SCALED_BY)


def applied(manifest: dict[str, Any]) -> str:
    """The digest that an object carries; "" = it was not stamped."""
    return manifest.get("metadata", {}).get("annotations", {}).get(APPLIED, "")
