"""What our objects are called, and what their labels and annotations say.

Everything is named by the service's id, which never changes: names are found again after a restart
without a book, and no service's name, however odd, makes an illegal one.
"""

import hashlib
import json
import re
from typing import Any

MANAGER = "pierhead"  #: fieldManager, and the value of MANAGED_BY

# Labels: what is selected by.
MANAGED_BY = "app.kubernetes.io/managed-by"
NAME = "app.kubernetes.io/name"
COMPONENT = "app.kubernetes.io/component"
SERVICE_ID = "pierhead.dev/service-id"
ROLLOUT = "pierhead.dev/rollout"  #: of a pod: `<version>.<epoch>`
SHOWN = "pierhead.dev/service"  #: the service's name, as far as a label can say it
#: Selects all that is ours in a namespace.
OURS = f"{MANAGED_BY}={MANAGER}"

# Annotations of an object.
APPLIED = "pierhead.dev/applied"  #: digest of the object as it was sent
# Annotations of a pod: what a runtime tells of it, so that no book need be kept.
SERVICE_NAME = "pierhead.dev/service-name"
ENGINE = "pierhead.dev/engine"
KEYED = "pierhead.dev/keyed"  #: `true` or `false`
API = "pierhead.dev/api"
MODEL = "pierhead.dev/model"  #: name that the engine knows its model by; missing = the service's
PORT = "pierhead.dev/port"
DEADLINE = "pierhead.dev/start-deadline"  #: seconds; missing = it may take its time
GRACE = "pierhead.dev/grace"  #: seconds from a pod's deletion until it is killed

ENGINE_CONTAINER = "engine"
FETCH_CONTAINER = "fetch"

_LONGEST = 63
_DIGEST = 8  #: bytes
_PREFIX = "ph-"


def object_name(service: str, *parts: str) -> str:
    """Name of an object of a service (its id): a DNS label of at most 63 characters.

    `3f…` -> `ph-3f…`, its Secret with `parts=("keys",)` -> `ph-3f…-keys`.
    """
    return bounded(_PREFIX + "-".join((service, *parts)))


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
    return {**identity(service), NAME: "pierhead", COMPONENT: "replica", SHOWN: label_value(name)}


def selector(service: str) -> str:
    """A list's labelSelector for what belongs to a service."""
    return f"{OURS},{SERVICE_ID}={service}"


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


def applied(manifest: dict[str, Any]) -> str:
    """The digest that an object carries; "" = it was not stamped."""
    return manifest.get("metadata", {}).get("annotations", {}).get(APPLIED, "")
