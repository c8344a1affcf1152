"""The hub dies by SIGKILL: nobody who talks to a model notices, and nothing is lost, doubled or left."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from lone_hub import END, STEPS, Hub, exactly
from observer import watching
from processes import Process
from stage import RECOVERY, Stage, document, healthy, until

from pierhead.cli.client import HubRefused, NoAnswer
from pierhead.failpoint import POINTS


def test_a_killed_hub_costs_no_request_no_replica_and_three_seconds(stage: Stage) -> None:
    """Law: any process may be killed with -9; replicas outlive the hub, the gateway too (design 2, F01)."""
    stage.up()
    stage.create("one")
    stage.create("two", replicas=2)
    stage.running("one")
    stage.running("two", 2)
    before = stage.processes("keeper", "engine")
    with watching(stage.folder, "one", "two") as finish:
        hub = stage.one("hub")
        killed = time.monotonic()
        hub.kill()
        until(lambda: not healthy(stage.listen), "the hub answers although it was killed")
        until(lambda: healthy(stage.listen), "the hub is not back", within=RECOVERY)
        stage.running("two", 2, within=RECOVERY - (time.monotonic() - killed) + 1)
        record = finish()

    assert record.failed("one") == record.failed("two") == []
    assert len(record.of("one")) > 50
    assert stage.processes("keeper", "engine") == before
    assert record.most("two-") == 2
    assert record.most("one-") == 1
    assert set(record.statuses("two")) == {"Running"}
    assert stage.one("hub") != hub


def test_killed_time_and_again_it_still_comes_back(stage: Stage) -> None:
    """Law: the supervisor never gives up on a platform that was ready once (design 2)."""
    stage.up()
    stage.create("one")
    stage.running("one")
    before = stage.processes("keeper", "engine")
    with watching(stage.folder, "one") as finish:
        for _ in range(3):
            stage.one("hub").kill()
            until(lambda: not healthy(stage.listen))
            until(lambda: healthy(stage.listen), "the hub is not back")
        record = finish()
    assert record.failed("one") == []
    assert stage.processes("keeper", "engine") == before


def test_every_failpoint_has_a_test_that_dies_there() -> None:
    """A new kind of step is in no test yet: then this fails on the day it is written."""
    elsewhere = {
        "process.pause.": "test_platform_ends.py",
        "snapshot.": "test_download_faults.py",
        "download.": "test_download_faults.py",
        "conversion.": "../contract/test_conversions.py",
        "environment.": "../contract/test_environments.py",
        "backup.": "test_kept_safe.py",
        "restore.": "test_kept_safe.py",
        "migrate.": "test_kept_safe.py",
    }
    rest = {point for point in POINTS if not point.startswith((*STEPS, *elsewhere))}
    assert rest == set()
    here = Path(__file__).parent
    for prefix, file in elsewhere.items():
        assert f'"{prefix}' in (here / file).read_text(), f"{prefix} in {file}"


# ---- at every step ------------------------------------------------------------------------

#: Whoever dies there has promised nothing yet: the caller asks again.
UNSAID = ("service.create.before", "service.change.before", "token.before", "quota.before")

Replicas = Mapping[str, Process]


@dataclass(frozen=True, slots=True)
class Operation:
    """Something to be cut off: begun, and come to its end."""

    name: str
    target: str  #: the service whose replicas may change
    left: int  #: how many of them there are at the end
    act: Callable[[Hub], object]
    reached: Callable[[Hub, Replicas], object]  #: given the replicas before


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


def _grown(hub: Hub, before: Replicas) -> bool:
    return bool(hub.stage.is_running("moving", 2)) and (
        before.items() <= hub.stage.replicas("moving").items()
    )


def _shrunk(hub: Hub, before: Replicas) -> bool:
    return bool(hub.stage.is_running("moving")) and (
        hub.stage.replicas("moving").items() <= before.items()
    )


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
    names = {str(token["TokenName"]) for token in listed}
    return "extra" not in names and hub.stage.call("steady", hub.secret)[0] == 401


def _quotas(hub: Hub) -> set[str]:
    found: list[dict[str, Any]] = hub.own.own("ListQuotas")["Quotas"]["Quota"]
    return {str(quota["QuotaId"]) for quota in found}


#: Pairs, each the way there and back: what one has reached is where the other begins. What goes back to
#: where it began stands alone.
OPERATIONS: tuple[tuple[Operation, ...], ...] = (
    (
        Operation("scale out", "moving", 2, lambda hub: hub.stage.scale("moving", 2), _grown),
        Operation("scale in", "moving", 1, lambda hub: hub.stage.scale("moving", 1), _shrunk),
    ),
    (Operation("update", "moving", 1, _update, _updated),),
    (
        Operation(
            "restart",
            "moving",
            1,
            lambda hub: hub.stage.client.change("RestartService", "moving", "/restart"),
            _restarted,
        ),
    ),
    (
        Operation(
            "create",
            "fleeting",
            1,
            lambda hub: hub.stage.create("fleeting"),
            lambda hub, _: hub.stage.is_running("fleeting"),
        ),
        Operation(
            "delete",
            "fleeting",
            0,
            lambda hub: hub.stage.delete("fleeting"),
            lambda hub, _: hub.stage.is_gone("fleeting"),
        ),
    ),
    (
        Operation(
            "stop",
            "resting",
            0,
            lambda hub: hub.stage.stop("resting"),
            lambda hub, _: hub.stage.is_stopped("resting"),
        ),
        Operation(
            "start",
            "resting",
            1,
            lambda hub: hub.stage.start_service("resting"),
            lambda hub, _: hub.stage.is_running("resting"),
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
            lambda hub: hub.own.own("CreateQuota", QuotaId="small"),
            lambda hub, _: "small" in _quotas(hub),
        ),
        Operation(
            "remove a quota",
            "steady",
            2,
            lambda hub: hub.own.own("DeleteQuota", QuotaId="small"),
            lambda hub, _: "small" not in _quotas(hub),
        ),
    ),
)


def test_cut_off_at_every_step_of_every_operation_the_end_is_the_same(stage: Stage) -> None:
    """Law: intent is on disk before each step, so whoever comes after goes on with it (F01).

    Which steps an operation passes is found out first; the hub then dies once at each of them. Neither
    a bystander nor the service that is being changed loses a request, nor a bystander its processes.
    """
    hub = Hub(stage)
    stage.start("gateway")
    stage.ready()
    stage.create("steady", replicas=2)
    stage.create("moving")
    stage.create("resting")
    stage.running("steady", 2)
    stage.running("moving")
    stage.running("resting")
    before = stage.replicas("steady")
    with watching(stage.folder, "steady", "moving") as finish:
        passed = {each.name: steps_of(hub, each) for pair in OPERATIONS for each in pair}
        cuts = [cut for pair in OPERATIONS for cut in there_and_back(pair, passed)]
        began = time.monotonic()
        for operation, point in cuts:
            cut_off(hub, operation, point)
        kills = sum(bool(point) for _operation, point in cuts)
        print(f"{kills} kills in {time.monotonic() - began:.1f} s: {passed}")
        record = finish()
    every = {point for points in passed.values() for point in points}
    assert every == {point for point in POINTS if point.startswith(STEPS)} - END, (
        "a step that no operation passes is cut off nowhere"
    )
    assert stage.replicas("steady") == before
    assert record.failed("steady") == []
    assert record.failed("moving") == []
    assert record.most("steady-") == 2
    assert record.most("moving-") <= 3  # two and one that leaves
    listed = stage.client.call("ListServices", "GET", "/api/v2/services")["Services"]
    assert {each["ServiceName"] for each in listed} == {"steady", "moving", "resting"}


def steps_of(hub: Hub, operation: Operation) -> list[str]:
    """The points that an operation passes on its way to its end, in the order of their names."""
    told = hub.stage.folder.with_name("passed")
    told.write_text("")
    before = hub.stage.replicas(operation.target)
    hub.arm(f"*:record={told}")
    operation.act(hub)
    arrived(hub, operation, before, operation.name)
    hub.arm("")
    return sorted(set(told.read_text().split()))


def there_and_back(
    pair: tuple[Operation, ...], passed: Mapping[str, list[str]]
) -> list[tuple[Operation, str]]:
    """What to do in turn, and where to die on the way; "" = nowhere."""
    rounds = zip_longest(*(passed[each.name] for each in pair), fillvalue="")
    return [cut for points in rounds for cut in zip(pair, points, strict=True)]


def cut_off(hub: Hub, operation: Operation, point: str) -> None:
    """Begin it, have the hub die at a point, start another one and wait for the end."""
    where = f"{operation.name} at {point or 'no point'}"
    before = hub.stage.replicas(operation.target)
    if point:
        hub.arm(f"{point}:kill")
    with suppress(NoAnswer):  # it may die before it answers; what it accepted is written down
        operation.act(hub)
    if point:
        hub.died()
        hub.start()
        if point.startswith(UNSAID):
            operation.act(hub)
    arrived(hub, operation, before, where)


def arrived(hub: Hub, operation: Operation, before: Replicas, where: str) -> None:
    """Wait for the end, and until nothing but what belongs to it is left."""
    stage = hub.stage

    def look() -> object:
        return operation.reached(hub, before) and exactly(stage, operation.target, operation.left)

    until(look, f"{where}: the end is not reached\n{stage.processes()}\n{stage.folders()}")
