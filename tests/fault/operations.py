"""What can be done to services, by either door: each begun, and come to its end, as often as one likes."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from lone_hub import Hub, exactly
from processes import Process
from stage import PROGRAM, document

from pierhead.cli.client import HubRefused

Replicas = Mapping[str, Process]
Act = Callable[[Hub], object]


@dataclass(frozen=True, slots=True)
class Operation:
    """Something to be cut off."""

    name: str
    target: str  #: the service whose replicas may change
    left: int | None  #: how many of them there are at the end; None = `reached` looks itself
    act: Act
    reached: Callable[[Hub, Replicas], object]  #: given the replicas before

    def ended(self, hub: Hub, before: Replicas) -> bool:
        """Is it where it should be, and is there nothing but what belongs to it?"""
        if not self.reached(hub, before):
            return False
        return self.left is None or exactly(hub.stage, f"{self.target}-", self.left)


#: Each the way there and back: what one has reached is where the next begins, the last one's end where
#: the first one does.
Round = tuple[Operation, ...]


#: How each door says that it cannot do that now.
UNAVAILABLE = ("ServiceUnavailable", "SYS.1010")


def again(hub: Hub, operation: Operation) -> None:
    """As a client does that got no answer: what was done already is refused, or no change."""
    try:
        operation.act(hub)
    except HubRefused as refused:
        assert refused.code not in UNAVAILABLE, refused


# ---- the services that they work on -----------------------------------------------------------

UUID, SHORT, TEMPLATE, USED = (f"{each * 12}4{each * 3}a{each * 15}" for each in "abcd")
TAG = "ai::replicas::{}"
GROUPS, TEMPLATES = "ai/model-services/instances/groups", "ai/model-services"
GROUPED, BRIEF = "grouped", "brief"
KIND = "ModelServiceInstanceGroupVO"
#: Those whose clients must not notice anything.
WATCHED = ("steady", "moving", GROUPED)


def make(hub: Hub) -> None:
    """The services that operations work on, and one that none touches; all run at the end."""
    stage = hub.stage
    stage.create("steady", replicas=2)
    stage.create("moving")
    stage.create("resting")
    _register(hub, USED)
    _deploy(hub, UUID, "grouped")
    stage.running("steady", 2)
    for name in ("moving", "resting", GROUPED):
        stage.running(name)


def names(hub: Hub) -> set[str]:
    """All services that there are."""
    listed = hub.stage.client.call("ListServices", "GET", "/api/v2/services")["Services"]
    return {str(each["ServiceName"]) for each in listed}


# ---- by the EAS door --------------------------------------------------------------------------


def _version(hub: Hub) -> int:
    return int(hub.stage.client.describe("moving")["LatestVersion"])


def _update(hub: Hub) -> None:
    env = {"VERSION": str(_version(hub) + 1)}
    hub.stage.update("moving", document("moving", mark=hub.stage.folder, env=env))


def _updated(hub: Hub, _before: Replicas) -> bool:
    """The version that was asked for last answers, and is the only one that runs."""
    if not hub.stage.is_running("moving"):
        return False
    _status, answer = hub.stage.call("moving", hub.stage.token("moving"))
    return f'"version": "{_version(hub)}"' in answer


def _restarted(hub: Hub, before: Replicas) -> bool:
    running = hub.stage.is_running("moving")
    return bool(running) and not hub.stage.replicas("moving").keys() & before.keys()


def _grown(name: str, hub: Hub, before: Replicas) -> bool:
    return bool(hub.stage.is_running(name, 2)) and (
        before.items() <= hub.stage.replicas(name).items()
    )


def _shrunk(name: str, hub: Hub, before: Replicas) -> bool:
    return bool(hub.stage.is_running(name)) and (hub.stage.replicas(name).items() <= before.items())


def _restart(hub: Hub) -> object:
    return hub.stage.client.change("RestartService", "moving", "/restart")


def _issue(hub: Hub) -> object:
    return hub.own.own("AddServiceToken", ServiceName="steady", TokenName="extra")


def _issued(hub: Hub, _before: Replicas) -> bool:
    try:
        found = hub.own.own("GetServiceToken", ServiceName="steady", TokenName="extra")
    except HubRefused:
        return False
    hub.secret = str(found["Token"]["AccessToken"])
    return hub.stage.call("steady", hub.secret)[0] == 200


def _revoke(hub: Hub) -> object:
    return hub.own.own("RevokeServiceToken", ServiceName="steady", TokenName="extra")


def _revoked(hub: Hub, _before: Replicas) -> bool:
    listed = hub.own.own("ListServiceTokens", ServiceName="steady")["Tokens"]["Token"]
    held = {str(token["TokenName"]) for token in listed}
    return "extra" not in held and hub.stage.call("steady", hub.secret)[0] == 401


def _quotas(hub: Hub) -> set[str]:
    found: list[dict[str, Any]] = hub.own.own("ListQuotas")["Quotas"]["Quota"]
    return {str(quota["QuotaId"]) for quota in found}


def _is(name: str, state: str, count: int = 1) -> Callable[[Hub, Replicas], object]:
    def reached(hub: Hub, _before: Replicas) -> object:
        if state == "gone":
            return hub.stage.is_gone(name)
        if state == "stopped":
            return hub.stage.is_stopped(name)
        return hub.stage.is_running(name, count)

    return reached


EAS: tuple[Round, ...] = (
    (
        Operation(
            "scale out",
            "moving",
            2,
            lambda h: h.stage.scale("moving", 2),
            partial(_grown, "moving"),
        ),
        Operation(
            "scale in",
            "moving",
            1,
            lambda h: h.stage.scale("moving", 1),
            partial(_shrunk, "moving"),
        ),
    ),
    (Operation("update", "moving", 1, _update, _updated),),
    (Operation("restart", "moving", 1, _restart, _restarted),),
    (
        Operation(
            "create",
            "fleeting",
            1,
            lambda h: h.stage.create("fleeting"),
            _is("fleeting", "running"),
        ),
        Operation(
            "delete", "fleeting", 0, lambda h: h.stage.delete("fleeting"), _is("fleeting", "gone")
        ),
    ),
    (
        Operation(
            "stop", "resting", 0, lambda h: h.stage.stop("resting"), _is("resting", "stopped")
        ),
        Operation(
            "start",
            "resting",
            1,
            lambda h: h.stage.start_service("resting"),
            _is("resting", "running"),
        ),
    ),
    (
        Operation("issue a token", "steady", 2, _issue, _issued),
        Operation("revoke a token", "steady", 2, _revoke, _revoked),
    ),
    (
        Operation(
            "make a quota",
            "steady",
            2,
            lambda h: h.own.own("CreateQuota", QuotaId="small"),
            lambda h, _: "small" in _quotas(h),
        ),
        Operation(
            "remove a quota",
            "steady",
            2,
            lambda h: h.own.own("DeleteQuota", QuotaId="small"),
            lambda h, _: "small" not in _quotas(h),
        ),
    ),
)


# ---- a service that cannot run ----------------------------------------------------------------

_SICK = ["sh", "-c", "echo no such tensor; exit 3"]


def _create_sick(hub: Hub) -> None:
    body = document("sick", mark=hub.stage.folder, command=_SICK)
    hub.stage.client.call("CreateService", "POST", "/api/v2/services", body=body)


def _is_sick(hub: Hub, _before: Replicas) -> bool:
    """It crashes, the service says so, and there is the one replica that is tried again and again."""
    found = hub.stage.describe("sick")
    if found is None or "exit code 3" not in found["Message"]:
        return False
    folders = [name for name in hub.stage.folders() if name.startswith("sick-")]
    return len(folders) == len(hub.stage.instances("sick")) == 1


def _cure(hub: Hub) -> None:
    hub.stage.update("sick", document("sick", mark=hub.stage.folder))


SICK: tuple[Round, ...] = (
    (
        Operation("create one that crashes", "sick", None, _create_sick, _is_sick),
        Operation(
            "stop one that crashes",
            "sick",
            0,
            lambda h: h.stage.stop("sick"),
            _is("sick", "stopped"),
        ),
        Operation(
            "start one that crashes",
            "sick",
            None,
            lambda h: h.stage.start_service("sick"),
            _is_sick,
        ),
        Operation(
            "delete one that crashes",
            "sick",
            0,
            lambda h: h.stage.delete("sick"),
            _is("sick", "gone"),
        ),
    ),
    (
        Operation("create one to be cured", "sick", None, _create_sick, _is_sick),
        Operation("cure", "sick", 1, _cure, _is("sick", "running")),
        Operation(
            "delete what was cured",
            "sick",
            0,
            lambda h: h.stage.delete("sick"),
            _is("sick", "gone"),
        ),
    ),
)


# ---- by the ZStack door -----------------------------------------------------------------------


def _register(hub: Hub, uuid: str) -> None:
    center = hub.zstack.page("ai/model-centers", ["name=default"])[0]["uuid"]
    param = {
        "resourceUuid": uuid,
        "name": f"template-{uuid[:4]}",
        "yaml": "services: []",
        "requestCpu": 1,
        "requestMemory": 64,
        "modelCenterUuid": center,
        "installPath": "",
        "startCommand": f"{sys.executable} -I -S {PROGRAM} {hub.stage.folder}",
    }
    hub.zstack.post(TEMPLATES, "param", param)


def _registered(hub: Hub, uuid: str) -> int:
    return len(hub.zstack.page(TEMPLATES, [f"uuid={uuid}"]))


def _deploy(hub: Hub, uuid: str, name: str) -> None:
    zone = hub.zstack.page("zones", ["isDefault=true"])[0]["uuid"]
    body = {"name": name, "type": "Container", "zoneUuid": zone, "resourceUuid": uuid}
    hub.zstack.put(f"{TEMPLATES}/{USED}", "deployModelService", body)


def _remove(mode: str, path: str, hub: Hub) -> None:
    hub.zstack.delete(path, {"deleteMode": mode})


def _tagged(group: str, count: int, hub: Hub) -> None:
    """Say by its tag how many replicas a group has; the first time the tag is made."""
    uuid = str(hub.zstack.page(GROUPS, [f"name={group}"])[0]["uuid"])
    tags = hub.zstack.page("system-tags", [f"resourceUuid={uuid}"])
    found = [tag for tag in tags if str(tag["tag"]).startswith("ai::replicas::")]
    tag = TAG.format(count)
    if found:
        hub.zstack.put(f"system-tags/{found[0]['uuid']}/actions", "updateSystemTag", {"tag": tag})
    else:
        body = {"resourceType": KIND, "resourceUuid": uuid, "tag": tag}
        hub.zstack.post("system-tags", "params", body)


def _rolled(hub: Hub) -> None:
    hub.zstack.put(
        f"model-service-instance-groups/{UUID}",
        "updateModelServiceInstanceGroup",
        {"environmentVariables": {"VERSION": str(_number(hub) + 1)}},
    )


def _number(hub: Hub) -> int:
    return int(hub.stage.client.describe(GROUPED)["LatestVersion"])


def _has_rolled(hub: Hub, _before: Replicas) -> bool:
    if not hub.stage.is_running(GROUPED):
        return False
    _status, answer = hub.stage.call(GROUPED, hub.stage.token(GROUPED))
    return f'"version": "{_number(hub)}"' in answer


def _deploy_brief(hub: Hub) -> None:
    _deploy(hub, SHORT, "brief")


ZSTACK: tuple[Round, ...] = (
    (
        Operation(
            "register a template",
            "steady",
            2,
            lambda h: _register(h, TEMPLATE),
            lambda h, _: _registered(h, TEMPLATE) == 1,
        ),
        Operation(
            "remove a template",
            "steady",
            2,
            partial(_remove, "Permissive", f"{TEMPLATES}/{TEMPLATE}"),
            lambda h, _: not _registered(h, TEMPLATE),
        ),
    ),
    (
        Operation("deploy", BRIEF, 1, _deploy_brief, _is(BRIEF, "running")),
        Operation(
            "delete, Permissive",
            BRIEF,
            0,
            partial(_remove, "Permissive", f"{GROUPS}/{SHORT}"),
            _is(BRIEF, "gone"),
        ),
        Operation("deploy again", BRIEF, 1, _deploy_brief, _is(BRIEF, "running")),
        Operation(
            "delete, Enforcing",
            BRIEF,
            0,
            partial(_remove, "Enforcing", f"{GROUPS}/{SHORT}"),
            _is(BRIEF, "gone"),
        ),
    ),
    (
        Operation(
            "scale out by tag", GROUPED, 2, partial(_tagged, "grouped", 2), partial(_grown, GROUPED)
        ),
        Operation(
            "scale in by tag", GROUPED, 1, partial(_tagged, "grouped", 1), partial(_shrunk, GROUPED)
        ),
    ),
    (Operation("update by ZStack", GROUPED, 1, _rolled, _has_rolled),),
    (
        Operation(
            "scale to 0", "resting", 0, partial(_tagged, "resting", 0), _is("resting", "stopped")
        ),
        Operation(
            "and back", "resting", 1, partial(_tagged, "resting", 1), _is("resting", "running")
        ),
    ),
)

ALL = EAS + ZSTACK + SICK
