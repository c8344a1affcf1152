"""A service as it was in another one of its versions: what it looked like, and the way back to it. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from pierhead.core import lifecycle
from pierhead.core.replicas import ReplicaState
from pierhead.core.services import Registration, Seen, Service
from pierhead.core.status import HOPELESS
from pierhead.core.workloads import version_of
from pierhead.dialects.eas import revise
from pierhead.dialects.eas.present import APP, DOCUMENT, compact, time_text
from pierhead.operations.services import GROUP, Decision
from pierhead.operations.versions import Kept, Page

#: Of a service JSON what says to whom the service belongs; an update that leaves it out changes nothing.
_OWNERS = ("workspace_id", "quota_id", "group")
_UNKNOWN, _TRUE, _FALSE = "unknown", "true", "false"


def as_it_was(service: Service, kept: Kept) -> Service:
    """The service with the content of a version; owners, token and number of replicas are today's."""
    held = service.registration
    if kept.version.number == service.current.number:
        return service
    made = kept.registration or Registration(kind=held.kind, type=held.type)
    return replace(
        service,
        current=kept.version,
        origin=kept.origin or _origin(kept.version.submitted),
        registration=replace(
            held, template=made.template, model=made.model, type=made.type, yaml=made.yaml
        ),
    )


def brought_back(service: Service, kept: Kept, now: float) -> Decision:
    """UpdateServiceVersion: the content of another version again, and the owners that it names.

    Token, labels, number of replicas and safety lock stay as they are.

    Raises:
        Invalid: it is the current version.
        Conflict: the service is being deleted.
    """
    before = service.current.number
    back = lifecycle.bring_back(service, kept.version, now)
    was = as_it_was(service, kept)
    owned = replace(back, origin=was.origin, registration=was.registration, **_owners(service, was))
    number = kept.version.number
    message = f"Service [{service.name}] is changing from version {before} to version {number}."
    return Decision(owned, "ServiceVersionChanged", message)


def shown(page: Page, kept: Kept) -> dict[str, Any]:
    """One version as ListServiceVersions tells it, without secrets."""
    service, version = page.service, kept.version
    document = revise.config(as_it_was(service, kept))
    missing = _missing(page, kept)
    return {
        "BuildTime": time_text(kept.created),
        "CallerUid": kept.actor,
        "ImageAvailable": _FALSE if missing else _TRUE,
        "ImageId": version.number,
        "Message": _message(page, kept, missing),
        "ServiceConfig": compact({key: v for key, v in document.items() if key != "token"}),
        "ServiceRunnable": _runnable(version.number, service, page.seen),
    }


def _message(page: Page, kept: Kept, missing: str) -> str:
    current = kept.version.number == page.service.current.number
    parts = [
        "It is the current version." if current else "",
        f"Made by {kept.actor}." if kept.actor else "",
        f"What it was made from is registered no more: {missing}." if missing else "",
    ]
    return " ".join(filter(None, parts))


def _missing(page: Page, kept: Kept) -> str:
    held = kept.registration
    named = (held.template, held.model) if held else ()
    return ", ".join(uuid for uuid in named if uuid in page.gone)


def _runnable(number: int, service: Service, seen: Seen) -> str:
    """Does it run? A version that is not being tried, or not for long enough, is not known to."""
    mine = [one for one in seen.replicas if version_of(one.rollout) == number]
    if any(one.state is ReplicaState.READY for one in mine):
        return _TRUE
    failed = seen.failed_roll and number == service.current.number
    return _FALSE if failed or any(one.failures >= HOPELESS for one in mine) else _UNKNOWN


def _owners(service: Service, was: Service) -> dict[str, str]:
    """Workspace, quota and group, where the version's document tells others than today's does."""
    if was.origin != DOCUMENT:
        return {}
    present = service.current.submitted if service.origin == DOCUMENT else dict[str, Any]()
    now, then = _metadata(present), _metadata(was.current.submitted)
    told = {key: then[key] for key in _OWNERS if then.get(key) and then[key] != now.get(key)}
    names = {"workspace_id": "workspace", "quota_id": "quota", "group": "group"}
    return {names[key]: value for key, value in told.items()}


def _metadata(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", document.get("metadata") or {})


def _origin(submitted: Mapping[str, Any]) -> str:
    """Of a version that an older release stored, by what it holds."""
    if "ServiceSpec" in submitted or "AppType" in submitted:
        return APP
    return DOCUMENT if "containers" in submitted else GROUP
