"""The hub dies by SIGKILL: nobody who talks to a model notices, and nothing is lost, doubled or left."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest
from observer import Record, watching
from processes import Process
from stage import RECOVERY, Stage, healthy, until

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
    """Something to be cut off; `target` exists beforehand with so many replicas, 0 = not at all."""

    name: str
    points: tuple[str, ...]
    target: str
    act: Act
    reached: Act  #: waits for the same end as without a kill
    back: Act  #: the state before, for the next kill


def _updated(stage: Stage) -> None:
    """The version that was asked for last is the only one that runs, and answers."""
    version = stage.client.describe("moving")["LatestVersion"]
    stage.running("moving")
    token = stage.token("moving")
    until(lambda: f'"version": "{version}"' in stage.call("moving", token)[1])


def _update(stage: Stage) -> None:
    version = stage.client.describe("moving")["LatestVersion"] + 1
    stage.create_body("moving", env={"VERSION": str(version)})


OPERATIONS = (
    Operation(
        "create",
        BEGIN,
        "fleeting",
        lambda stage: stage.create("fleeting"),
        lambda stage: stage.running("fleeting"),
        lambda stage: (stage.delete("fleeting"), stage.gone("fleeting")),
    ),
    Operation(
        "scale up",
        BEGIN,
        "moving",
        lambda stage: stage.scale("moving", 2),
        lambda stage: stage.running("moving", 2),
        lambda stage: (stage.scale("moving", 1), stage.running("moving", 1)),
    ),
    Operation(
        "scale down",
        LEAVE,
        "moving",
        lambda stage: (stage.scale("moving", 2), stage.running("moving", 2), stage.scale("moving", 1)),
        lambda stage: stage.running("moving", 1),
        lambda stage: None,
    ),
    Operation("update", BEGIN + LEAVE, "moving", _update, _updated, lambda stage: None),
    Operation(
        "stop",
        LEAVE,
        "fleeting",
        lambda stage: (stage.create("fleeting"), stage.running("fleeting"), stage.stop("fleeting")),
        lambda stage: stage.stopped("fleeting"),
        lambda stage: (stage.delete("fleeting"), stage.gone("fleeting")),
    ),
    Operation(
        "delete",
        LEAVE[1:],
        "fleeting",
        lambda stage: (stage.create("fleeting"), stage.running("fleeting"), stage.delete("fleeting")),
        lambda stage: stage.gone("fleeting"),
        lambda stage: None,
    ),
)
