"""The hub dies by SIGKILL: nobody who talks to a model notices, and nothing is lost, doubled or left."""

import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from observer import watching
from stage import RECOVERY, Stage, document, healthy, until

from pierhead.cli.client import NoAnswer
from pierhead.runtimes.failpoint import POINTS


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


# ---- at every step ------------------------------------------------------------------------

BEGIN = (
    "process.start.before_intent",
    "process.start.after_intent",
    "process.run.after_record",
    "process.run.after_spawn",
    "process.ready.after_mark",
)
LEAVE = (
    "process.drain.after_mark",
    "process.stop.after_mark",
    "process.stop.after_signal",
    "process.forget.before_rename",
    "process.forget.after_rename",
    "process.forget.after",
)
#: Passed when a platform ends; see test_platform_ends.py.
END = ("process.pause.after_mark",)

Act = Callable[[Stage], object]


@dataclass(frozen=True, slots=True)
class Operation:
    """Something to be cut off. None of its preparations passes one of its points."""

    name: str
    points: tuple[str, ...]
    target: str
    left: int  #: replicas of the target at the end
    prepare: Act
    prepared: Act
    act: Act
    reached: Act  #: the same end as without a kill


def _version(stage: Stage) -> int:
    return int(stage.client.describe("moving")["LatestVersion"])


def _update(stage: Stage) -> None:
    env = {"VERSION": str(_version(stage) + 1)}
    stage.update("moving", document("moving", mark=stage.folder, env=env))


def _updated(stage: Stage) -> bool:
    """The version that was asked for last answers, and is the only one that runs."""
    if not stage.is_running("moving"):
        return False
    _status, answer = stage.call("moving", stage.token("moving"))
    return f'"version": "{_version(stage)}"' in answer


def _create(stage: Stage) -> None:
    if stage.describe("fleeting") is None:
        stage.create("fleeting")


def _delete(stage: Stage) -> None:
    if stage.describe("fleeting") is not None:
        stage.delete("fleeting")


OPERATIONS = (
    Operation(
        name="create",
        points=BEGIN,
        target="fleeting",
        left=1,
        prepare=_delete,
        prepared=lambda stage: stage.is_gone("fleeting"),
        act=lambda stage: stage.create("fleeting"),
        reached=lambda stage: stage.is_running("fleeting"),
    ),
    Operation(
        name="scale up",
        points=BEGIN,
        target="moving",
        left=2,
        prepare=lambda stage: stage.scale("moving", 1),
        prepared=lambda stage: stage.is_running("moving"),
        act=lambda stage: stage.scale("moving", 2),
        reached=lambda stage: stage.is_running("moving", 2),
    ),
    Operation(
        name="scale down",
        points=LEAVE,
        target="moving",
        left=1,
        prepare=lambda stage: stage.scale("moving", 2),
        prepared=lambda stage: stage.is_running("moving", 2),
        act=lambda stage: stage.scale("moving", 1),
        reached=lambda stage: stage.is_running("moving"),
    ),
    Operation(
        name="update",
        points=BEGIN + LEAVE,
        target="moving",
        left=1,
        prepare=lambda _stage: None,
        prepared=lambda stage: stage.is_running("moving"),
        act=_update,
        reached=_updated,
    ),
    Operation(
        name="stop",
        points=LEAVE,
        target="fleeting",
        left=0,
        prepare=lambda stage: (_create(stage), stage.start_service("fleeting")),
        prepared=lambda stage: stage.is_running("fleeting"),
        act=lambda stage: stage.stop("fleeting"),
        reached=lambda stage: stage.is_stopped("fleeting"),
    ),
    Operation(
        name="delete",
        points=LEAVE[1:],  # its requests are not waited for
        target="fleeting",
        left=0,
        prepare=lambda stage: (_create(stage), stage.start_service("fleeting")),
        prepared=lambda stage: stage.is_running("fleeting"),
        act=_delete,
        reached=lambda stage: stage.is_gone("fleeting"),
    ),
)


def test_every_step_is_cut_off_somewhere() -> None:
    """A new failpoint is in no operation's list yet: then this fails on the day it is written."""
    assert {point for operation in OPERATIONS for point in operation.points} == POINTS - set(END)


class Hub:
    """The hub of a stage, without a supervisor: it dies where it is told to."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.armed = ""
        self.process = self._started("")

    def arm(self, point: str) -> None:
        """From now on it dies at that point; it is started anew if it would die elsewhere, or has."""
        if self.process.poll() is None and self.armed == point:
            return
        self.process.kill()
        self.process.wait()
        self.process = self._started(point)

    def wait(self, reached: Act, why: str) -> None:
        """Wait for an end; a hub that dies of its failpoint on the way is started again without."""

        def look() -> object:
            if self.process.poll() is not None:
                self.process = self._started("")
            try:
                return reached(self._stage)
            except NoAnswer:
                return False

        until(look, why)

    def _started(self, point: str) -> "subprocess.Popen[bytes]":
        self.armed = point
        flags = {"PIERHEAD_FAILPOINT": f"{point}:kill"} if point else {}
        process = self._stage.start("hub", **flags)

        def lives() -> bool:
            return process.poll() is not None or healthy(self._stage.listen)

        until(lives, "the hub does not start")
        return process


#: In each operation from the last step to the first: the way to the end then seldom passes the next
#: point, so that the hub that finishes one operation can be the one that dies in the next.
CUTS = [(operation, point) for operation in OPERATIONS for point in reversed(operation.points)]


def test_cut_off_at_every_step_of_every_operation_the_end_is_the_same(stage: Stage) -> None:
    """Law: intent is on disk before each step, so whoever comes after goes on with it (F01).

    Neither a bystander nor the service that is being changed loses a request.
    """
    hub = Hub(stage)
    stage.start("gateway")
    stage.ready()
    stage.create("steady", replicas=2)
    stage.create("moving")
    stage.running("steady", 2)
    stage.running("moving")
    before = stage.replicas("steady")
    with watching(stage.folder, "steady", "moving") as finish:
        for operation, point in CUTS:
            cut_off(stage, hub, operation, point)
        record = finish()
    assert stage.replicas("steady") == before
    assert record.failed("steady") == []
    assert record.failed("moving") == []
    assert record.most("steady-") == 2
    assert record.most("moving-") <= 3  # two and one that leaves


def cut_off(stage: Stage, hub: Hub, operation: Operation, point: str) -> None:
    where = f"{operation.name} at {point}"
    hub.arm(point)
    operation.prepare(stage)
    hub.wait(operation.prepared, f"{where}: not prepared")
    hub.arm(point)
    with suppress(NoAnswer):  # it may die before it answers; what it accepted is written down
        operation.act(stage)
    until(lambda: hub.process.poll() is not None, f"{where}: the hub does not come by there")
    assert hub.process.returncode == -signal.SIGKILL, f"{where}: {stage.tail()}"
    _operation, following = CUTS[min(CUTS.index((operation, point)) + 1, len(CUTS) - 1)]
    hub.arm(following)
    hub.wait(operation.reached, f"{where}: the end is not reached")
    hub.wait(lambda _stage: exactly(stage, operation.target, operation.left), f"{where}: a rest")


def exactly(stage: Stage, service: str, count: int) -> bool:
    """So many replicas: each has a keeper, an engine and a folder, and there is nothing else."""
    found = [p for p in stage.processes() if p.replica.startswith(service)]
    engines = sorted(p.replica for p in found if p.role == "engine")
    keepers = [p.replica for p in found if p.role == "keeper"]
    folders = [name for name in stage.folders() if service in name]
    return len(engines) == count and engines == sorted(keepers) == folders
