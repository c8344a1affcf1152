"""A service as an instance group, its replicas as instances: computed from wanted and seen.

A field is computed when it is asked for: a list of a thousand groups that is filtered by name
judges the status of those on the page only.
"""

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pierhead.core.ids import fixed_id
from pierhead.core.languages import Language
from pierhead.core.principals import Principal
from pierhead.core.replicas import LEAVING, ReplicaState, ReplicaStatus
from pierhead.core.services import Seen, Service, Wanted
from pierhead.core.status import HOPELESS, Status, Verdict, verdict
from pierhead.core.why import message
from pierhead.dialects.zstack.times import time_text
from pierhead.operations import rights

#: Statuses under which the service may serve on while something changes.
_SERVES_ON = {Status.UPDATING, Status.SCALING}
_STATUS = {
    Status.CREATING: "Deploying",
    Status.CLONING: "Deploying",
    Status.WAITING: "Deploying",
    Status.STARTING: "Deploying",
    Status.PENDING: "Deploying",
    Status.UPDATING: "Deploying",
    Status.SCALING: "Deploying",
    Status.RUNNING: "Running",
    Status.STOPPING: "Stopping",
    Status.STOPPED: "Stopped",
    Status.FAILED: "Error",
    Status.DELETING: "Deleting",
    Status.DELETE_FAILED: "Error",
}
#: There is no call to start one here.
_STOPPED = (
    "No replica is wanted: give it the system tag ai::replicas::1, or another number, "
    "or start it through the EAS door."
)
_STOPPED_ZH = {
    "zh-CN": "不需要任何副本：给它系统标签 ai::replicas::1 或其他数量，或者通过 EAS 接口启动它。",
    "zh-TW": "不需要任何副本：給它系統標籤 ai::replicas::1 或其他數量，或者透過 EAS 介面啟動它。",
}
#: How an effective YAML begins; to parse all of it for a name would take a list a second.
_FIRST_NAME = re.compile(r"services:\n- +name: (.+)")
#: What the frameworks tell about themselves on their metrics page.
METRICS: Mapping[str, tuple[str, ...]] = {
    "vLLM": (
        "vllm:num_requests_running",
        "vllm:num_requests_waiting",
        "vllm:time_to_first_token_seconds",
        "vllm:e2e_request_latency_seconds",
        "vllm:prompt_tokens_total",
        "vllm:generation_tokens_total",
    ),
    "llama.cpp": (
        "llamacpp:requests_processing",
        "llamacpp:requests_deferred",
        "llamacpp:prompt_tokens_total",
        "llamacpp:tokens_predicted_total",
    ),
    "BentoML": (
        "bentoml_service_request_in_progress",
        "bentoml_service_request_total",
        "bentoml_service_request_duration_seconds",
    ),
}


@dataclass(frozen=True, slots=True)
class View:
    """What every group depends on besides its service, and who looks at it."""

    gateway: str  #: base URL of the data plane
    hub: str  #: base URL of the control plane
    now: float
    zone: str  #: uuid of the default zone
    reader: Principal
    #: an account's 16 digits -> its uuid
    account: Callable[[str], str]
    #: How times are written; rows to be searched have them as they are.
    time: Callable[[float], Any] = time_text
    language: str = "en"  #: of the message

    def may_read(self, service: Service) -> bool:
        """May the reader know token and inner addresses?"""
        return rights.reads_service(self.reader, service)


class Group(Mapping[str, Any]):
    """A ModelServiceInstanceGroupInventory; `dict(group)` computes all of it."""

    def __init__(self, view: View, service: Service, seen: Seen) -> None:
        self.view, self.service, self.seen = view, service, seen
        self._shown: dict[str, Any] = {}

    def __getitem__(self, field: str) -> Any:
        if field not in self._shown:
            self._shown[field] = _FIELDS[field](self)
        return self._shown[field]

    def __iter__(self) -> Iterator[str]:
        return iter(_FIELDS)

    def __len__(self) -> int:
        return len(_FIELDS)

    @cached_property
    def verdict(self) -> Verdict:
        """Status and why."""
        return verdict(self.service, self.seen, self.view.now)

    @property
    def stopped(self) -> bool:
        """Nothing shall run: stopped through the EAS door, or `ai::replicas::0` was asked for."""
        return self.service.wanted is Wanted.STOPPED

    @property
    def message(self) -> str:
        """The cause of the status; a stopped group says what this door can do about it."""
        if self.verdict.status is Status.STOPPED:
            return _STOPPED if self.view.language == "en" else _STOPPED_ZH[self.view.language]
        return message(self.verdict, Language(self.view.language))

    @cached_property
    def ready(self) -> int:
        """Replicas that take requests."""
        return sum(replica.state is ReplicaState.READY for replica in self.seen.replicas)

    @cached_property
    def endpoint(self) -> str:
        """URL under which the service answers."""
        return f"{self.view.gateway}/api/predict/{self.service.full_name}"

    @cached_property
    def yaml(self) -> str:
        """The effective YAML; of a service made through another door, one that says the same."""
        return self.service.registration.yaml or synthesized(self.service)


def status(group: Group) -> str:
    """The group's status: one table over the engine's."""
    judged = group.verdict.status
    return "Running" if judged in _SERVES_ON and group.ready else _STATUS[judged]


def instance(group: Group, replica: ReplicaStatus) -> dict[str, Any]:
    """A ModelServiceInstanceInventory."""
    service = group.service
    inner = f"http://{replica.address}" if replica.address else None
    return {
        "uuid": instance_uuid(replica.id),
        "name": replica.id,
        "modelServiceGroupUuid": service.id,
        "yaml": group.yaml,
        "k8sResourceYaml": None,  # replicas are processes
        "status": instance_status(replica),
        "url": group.endpoint,
        "urlMaps": _urls(group, replica),
        "internalUrl": inner if group.view.may_read(service) else None,
        "jupyterUrl": None,
        "vmInstanceUuid": None,
        "createDate": group.view.time(replica.created),
        "lastOpDate": group.view.time(_moved(replica)),
        "nodeRank": 0,
        "clusterId": None,
        "namespace": service.name,
        "accountUuid": group.view.account(service.account),
        "launchCommand": shlex.join(replica.command) if replica.command else None,
    }


def instance_uuid(replica: str) -> str:
    """The uuid of a replica, made from its name."""
    return fixed_id("replica", replica)


def instance_status(replica: ReplicaStatus) -> str:
    """Deploying also covers one that has lost its readiness and may find it again."""
    if replica.state is ReplicaState.READY:
        return "Running"
    if replica.state in LEAVING:
        return "Deleting"
    hopeless = replica.failures >= HOPELESS
    return "Error" if replica.state is ReplicaState.CRASHED or hopeless else "Deploying"


def synthesized(service: Service) -> str:
    """The YAML of a service that came without one. JSON strings are YAML strings."""
    template = service.current.template
    lines = [
        "services:",
        f"- name: {json.dumps(service.name)}",
        f"  ports: {json.dumps(list(template.ports))}",
        f"  serviceBootupTime: {round(template.start_deadline)}",
    ]
    if template.readiness.kind in {"http", "http-any"}:
        lines.append(f"  readyz: {json.dumps(template.readiness.path)}")
    if template.liveness is not None and template.liveness.kind in {"http", "http-any"}:
        lines.append(f"  livez: {json.dumps(template.liveness.path)}")
    return "\n".join(lines) + "\n"


def _instances(group: Group) -> list[dict[str, Any]]:
    """Each replica, and after one over several nodes its members."""
    found: list[dict[str, Any]] = []
    for replica in group.seen.replicas:
        leader = instance(group, replica)
        found.append(leader)
        found += [_member(leader, replica, rank) for rank in range(1, len(replica.places))]
    return found


def _member(leader: dict[str, Any], replica: ReplicaStatus, rank: int) -> dict[str, Any]:
    """A part of a replica on another node: it computes for the one of rank 0, and nobody calls it."""
    own = {
        "uuid": instance_uuid(f"{replica.id}/{rank}"),
        "name": f"{replica.id}-{rank}",
        "nodeRank": rank,
        "internalUrl": None,
        "launchCommand": None,
    }
    placed = leader["status"] != "Running" or replica.members[rank - 1]
    return {**leader, **own, **({} if placed else {"status": "Deploying"})}


def _datasets(group: Group) -> list[dict[str, Any]]:
    service = group.service
    return [
        {
            "uuid": fixed_id("dataset-ref", f"{service.id}:{dataset}"),
            "datasetUuid": dataset,
            "modelServiceInstanceGroupUuid": service.id,
        }
        for dataset in service.registration.datasets
    ]


def _urls(group: Group, replica: ReplicaStatus) -> dict[str, str]:
    """The first service of the YAML leads to the gateway, further ones to the port that they declare."""
    named = _FIRST_NAME.match(group.yaml)
    urls = {named[1].strip("'\"") if named else group.service.name: group.endpoint}
    if replica.host and group.view.may_read(group.service):
        for name, port in group.service.current.template.side_ports.items():
            urls[name] = f"http://{replica.host}:{port}"
    return urls


def _moved(replica: ReplicaStatus) -> float:
    """When something about it changed last, as far as it is known."""
    ended = replica.last_exit.at if replica.last_exit else None
    return max(replica.created, *(at for at in (replica.started, replica.ready_at, ended) if at), 0)


def _token(group: Group) -> str | None:
    return group.service.token if group.view.may_read(group.service) else None


_FIELDS: Mapping[str, Callable[[Group], Any]] = {
    "uuid": lambda group: group.service.id,
    "name": lambda group: group.service.registration.title or group.service.name,
    "description": lambda group: group.service.registration.description,
    "modelServiceUuid": lambda group: group.service.registration.template or None,
    "modelUuid": lambda group: group.service.registration.model or None,
    "instances": _instances,
    "datasetRefInventories": _datasets,
    "status": status,
    "modelServiceType": lambda group: group.service.registration.type,
    "type": lambda group: group.service.registration.kind,
    "createDate": lambda group: group.view.time(group.service.created),
    "lastOpDate": lambda group: group.view.time(group.service.updated),
    "yaml": lambda group: group.yaml,
    "supportMetrics": lambda group: list(METRICS.get(group.service.current.template.framework, ())),
    "exportPath": lambda _: None,
    "zoneUuid": lambda group: group.service.registration.zone or group.view.zone,
    "businessEndpoint": lambda group: group.endpoint,
    "businessEndpointStatus": lambda group: "Active" if group.ready else "Inactive",
    "managementEndpoint": lambda group: group.view.hub or None,
    "developerEndpoint": lambda _: None,
    "serviceName": lambda group: group.service.name,
    "accessToken": _token,
    "replicas": lambda group: 0 if group.stopped else group.service.replicas,
    "readyReplicas": lambda group: group.ready,
    "message": lambda group: group.message,
}
