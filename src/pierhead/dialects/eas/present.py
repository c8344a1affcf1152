"""Core values as the wire shows them: the service object, instances, events. Pure.

Every field is there and none is null: clients index some, and take null as absent.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from math import ceil
from typing import Any, cast

from pydantic_core import to_json

from pierhead.core.diagnosis import Diagnosis, proof
from pierhead.core.events import Event
from pierhead.core.languages import Language
from pierhead.core.names import ID_DIGITS, by_id
from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.core.resources import MIB
from pierhead.core.services import Seen, Service
from pierhead.core.status import Verdict, verdict
from pierhead.core.why import message, replica_message

APP = "eas.app"  #: Service.origin of app services
DOCUMENT = "eas.service"  #: Service.origin of services made from a service JSON
_SERVICE_ID = re.compile(rf"eas-m-([0-9a-f]{{{ID_DIGITS},32}})")
_LISTED = 1024  #: service objects that lists remember, some kilobytes each

INSTANCE_STATUS = {
    ReplicaState.PENDING: "Pending",
    ReplicaState.STARTING: "Creating",
    ReplicaState.READY: "Running",
    ReplicaState.UNREADY: "NotReady",
    ReplicaState.CRASHED: "Failed",
    ReplicaState.DRAINING: "Terminating",
    ReplicaState.STOPPING: "Terminating",
    ReplicaState.STOPPED: "Terminating",
}


@dataclass(frozen=True, slots=True)
class View:
    """What every answer about a service depends on besides the service."""

    region: str
    gateway: str  #: base URL of the data plane
    clock: Callable[[], float]
    config: Callable[[Service], Mapping[str, Any]]  #: the service JSON of a service

    def endpoint(self, service: Service) -> str:
        """URL under which the service answers."""
        return f"{self.gateway}/api/predict/{service.full_name}"


def created(view: View, service: Service, status: str) -> dict[str, Any]:
    """The answer of a create operation."""
    endpoint = view.endpoint(service)
    return {
        "ServiceId": service_id(service),
        "ServiceName": service.name,
        "Status": status,
        "Region": view.region,
        "InternetEndpoint": endpoint,
        "IntranetEndpoint": endpoint,
    }


class Listed:
    """Service objects of lists, remembered while nothing about them changes: most lists repeat."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._shown: dict[str, tuple[Service, Seen, Verdict, dict[str, Any]]] = {}

    def show(self, item: Service, seen: Seen, language: Language = Language.EN) -> dict[str, Any]:
        """The service object without its token; not to be changed."""
        judged = verdict(item, seen, self._view.clock())
        shown = self._shown_as(item, seen, judged)
        if language is Language.EN:
            return shown
        return {**shown, "Message": message(judged, language)}

    def _shown_as(self, item: Service, seen: Seen, judged: Verdict) -> dict[str, Any]:
        known = self._shown.get(item.id)
        if known and known[0] is item and known[1] is seen and known[2] == judged:
            return known[3]
        shown = _service(self._view, item, seen, judged, secrets=False)
        if len(self._shown) >= _LISTED:
            self._shown.clear()
        self._shown[item.id] = (item, seen, judged, shown)
        return shown


def service(
    view: View, item: Service, seen: Seen, language: Language = Language.EN
) -> dict[str, Any]:
    """The service object with its AccessToken."""
    judged = verdict(item, seen, view.clock())
    shown = _service(view, item, seen, judged, secrets=True)
    return {**shown, "Message": message(judged, language)}


def _service(
    view: View, item: Service, seen: Seen, judged: Verdict, *, secrets: bool
) -> dict[str, Any]:
    ready = sum(replica.state is ReplicaState.READY for replica in seen.replicas)
    running = min(ready, item.wanted_replicas) if item.wanted_replicas else ready
    resources = item.current.template.resources
    endpoint, uid, pool = view.endpoint(item), service_id(item), _pool(item)
    # One literal: a list has a hundred of these, and merging dicts costs as much as making them.
    return {
        "ServiceId": uid,
        "ServiceName": item.name,
        "Status": judged.status,
        "Region": view.region,
        "InternetEndpoint": endpoint,
        "IntranetEndpoint": endpoint,
        **_app(item),
        "AccessToken": item.token if secrets else "",
        "CallerUid": item.caller,
        "Cpu": ceil(resources.cpu or 0),
        "CreateTime": time_text(item.created),
        "CurrentVersion": item.current.number,
        "ExtraData": "",
        "Gateway": "",
        "Gpu": resources.gpu,
        "Image": image(item),
        "Labels": [{"LabelKey": key, "LabelValue": value} for key, value in item.labels.items()],
        "LatestVersion": item.latest,
        "Memory": ceil((resources.memory or 0) / MIB),
        "Message": judged.message,
        "Namespace": item.name,
        "ParentUid": item.account,
        "PendingInstance": max(0, item.wanted_replicas - running),
        "QuotaId": item.quota,
        "Reason": judged.reason,
        "Resource": pool,
        "ResourceAlias": view.region if pool else "",
        "Role": "Standard",
        "RoleAttrs": "",
        "RunningInstance": running,
        "SafetyLock": str(item.registration.lock),
        "SecondaryInternetEndpoint": "",
        "SecondaryIntranetEndpoint": "",
        "ServiceConfig": compact(_config(view, item, secrets=secrets)),
        "ServiceGroup": item.group,
        "ServiceType": "Standard",
        "ServiceUid": uid,
        "Source": "",
        "TotalInstance": item.replicas,
        "TrafficState": traffic_state(item),
        "UpdateTime": time_text(item.updated),
        "Weight": item.registration.share.weight,
        "WorkspaceId": item.workspace,
    }


def _pool(item: Service) -> str:
    """Id of the pool of machines, if the service asked for it by name; every service runs in it."""
    if item.origin != DOCUMENT:
        return ""
    metadata = cast("dict[str, Any]", item.current.submitted.get("metadata") or {})
    return str(metadata.get("resource") or "")


def _config(view: View, item: Service, *, secrets: bool) -> Mapping[str, Any]:
    """The service JSON; the token in it is a secret."""
    document = view.config(item)
    if secrets or "token" not in document:
        return document
    return {key: value for key, value in document.items() if key != "token"}


def diagnosis(found: Diagnosis | None, language: Language = Language.EN) -> dict[str, Any]:
    """A diagnosis; the evidence is told after the causes. None = nothing is wrong."""
    if found is None:
        return {"Error": "", "Causes": [], "Advices": []}
    return {
        "Error": found.error,
        "Causes": [*found.causes, *filter(None, [proof(found, language)])],
        "Advices": [*found.advices],
    }


def instance(
    view: View, replica: ReplicaStatus, language: Language = Language.EN
) -> dict[str, Any]:
    """One replica as an instance."""
    started = time_text(replica.started) if replica.started else ""
    address = replica.host
    return {
        "ExternalIP": "",
        "ExternalInstancePort": 0,
        "HostIP": address,
        "HostName": replica.node,
        "InnerIP": address,
        "InstanceName": replica.id,
        "InstancePort": replica.port,
        "InstanceType": "",
        "IsSpot": False,
        "Isolated": False,
        "LastState": [_last_state(replica)] if replica.last_exit else [],
        "Namespace": replica.service,
        "ReadyProcesses": int(replica.state is ReplicaState.READY),
        "Reason": replica_message(replica, language),
        "ResourceType": "DedicatedResource",
        "RestartCount": max(0, replica.runs - 1),
        "Role": "Standard",
        "StartAt": started,
        "StartTime": started,
        "Status": INSTANCE_STATUS[replica.state],
        "TenantHostIP": "",
        "TenantInstanceIP": "",
        "TotalProcesses": 1,
        "Zone": view.region,
    }


def event(item: Event) -> dict[str, str]:
    """One event; what a person did names the person."""
    return {
        "Type": item.type,
        "Reason": item.reason,
        "Message": item.message,
        "Time": time_text(item.at),
    }


def traffic_state(item: Service) -> str:
    """Does the endpoint of its group lead to it?"""
    return "grouping" if item.group and not item.registration.share.standalone else "standalone"


def service_id(item: Service) -> str:
    """`eas-m-` and the first digits of the id: letters and digits, as the vendor's."""
    return f"eas-m-{item.id[:ID_DIGITS]}"


def core_id(name: str) -> str:
    """A name from a path as it is; an id of the vendor's shape as `names.by_id` gives it."""
    found = _SERVICE_ID.fullmatch(name)
    return by_id(found[1]) if found else name


def image(item: Service) -> str:
    """The first container's image, as far as a process has one."""
    template = item.current.template
    if item.origin == DOCUMENT:
        containers = cast("list[dict[str, Any]]", item.current.submitted.get("containers") or [{}])
        return str(containers[0].get("image") or "")
    return next(iter(template.images.values()), f"pierhead/{template.name}")


def time_text(at: float) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return _second(int(at))


@lru_cache(2048)  # a list shows the same times again and again
def _second(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC).isoformat()[:19]}Z"


def compact(document: Mapping[str, Any]) -> str:
    """A JSON object as text."""
    return to_json(document).decode()


def _app(item: Service) -> dict[str, str]:
    facts: Mapping[str, Any] = item.current.submitted if item.origin == APP else {}
    config = facts.get("Config")
    return {
        "AppType": facts.get("AppType", ""),
        "AppVersion": facts.get("AppVersion", ""),
        "AppSpecName": facts.get("ServiceSpec", ""),
        "AppConfig": compact(config) if config else "",
    }


def _last_state(replica: ReplicaStatus) -> dict[str, Any]:
    end = replica.last_exit
    if end is None:
        return {}
    return {
        "Reason": replica.reason or "Exited",
        "Message": replica.message or str(end),
        "ExitCode": -1 if end.code is None else end.code,
        "Signal": end.signal or 0,
        "FinishedAt": time_text(end.at),
    }
