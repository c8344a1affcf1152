"""A disk that refuses or is slow at a step: the caller is told, or it is tried again; others notice nothing.

`PIERHEAD_KILLS_DEEP=1` plays every operation at each of its points; else each point is played once.
"""

import os
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from lone_hub import END, STEPS, Hub
from observer import watching
from operations import (
    ALL,
    EAS,
    GROUPS,
    SICK,
    UNAVAILABLE,
    WATCHED,
    ZSTACK,
    Operation,
    Round,
    again,
    make,
    names,
)
from stage import PATIENCE, Count, Stage, until

from pierhead.cli.client import HubRefused
from pierhead.failpoint import POINTS

DEEP = bool(os.environ.get("PIERHEAD_KILLS_DEEP"))
#: No disk stands behind it: a table in memory is ready, or a process was just started.
NO_DISK = {"routes.after_publish", "process.run.after_spawn", "process.stop.after_signal"}
PLAYED = {point for point in POINTS if point.startswith(STEPS)} - END - NO_DISK
#: Seconds for which a step hangs, and in which others are answered meanwhile.
HANGS, SOON = 2.0, 1.0 * PATIENCE
#: What was written, and then not told because of a refusal, is found within two of these.
RESYNC = 2.0
#: The ordinary run has a slow disk at one step of each kind.
SLOW = {
    "database.before_commit",
    "service.change.before_write",
    "process.start.before_intent",
    "process.run.after_record",
    "process.ready.after_mark",
    "process.drain.after_mark",
    "process.stop.after_mark",
    "process.forget.after_rename",
}


@dataclass
class Played:
    """The rounds, and what of them is still to be played."""

    hub: Hub
    left: set[str]  #: points that were not come by yet
    done: list[str] = field(default_factory=list[str])

    def places(self, turn: Round) -> Iterator[tuple[Operation, str]]:
        """An operation, and a point in it; a whole round each time, for what was reached goes back."""
        passed = {each.name: self._passed(each) for each in turn}
        while any(found & self.left for found in passed.values()):
            for each in turn:
                found = sorted(passed[each.name] & self.left)
                point = found[0] if found else ""
                if point:
                    passed[each.name].discard(point)
                    self.done.append(f"{each.name} at {point}")
                    self.left -= set() if DEEP else {point}
                yield each, point

    def _passed(self, operation: Operation) -> set[str]:
        told = self.hub.stage.folder.with_name("passed")
        told.write_text("")
        self.hub.arm(f"*:record={told}")
        before = self.hub.stage.replicas(operation.target)
        operation.act(self.hub)
        until(lambda: operation.ended(self.hub, before), operation.name)
        self.hub.arm("")
        return set(told.read_text().split())


@pytest.fixture
def hub(stage: Stage) -> Hub:
    """One that serves, with services on it."""
    made = Hub(stage, f"--set=resync_seconds={RESYNC}")
    stage.start("gateway")
    stage.ready()
    make(made)
    return made


@contextmanager
def nobody_notices(hub: Hub) -> Generator[None]:
    """The same hub, no request failed, the bystander's processes are what they were."""
    process, before = hub.process, hub.stage.replicas("steady")
    with watching(hub.stage.folder, *WATCHED) as finish:
        yield
        record = finish()
    assert hub.process is process
    assert not hub.ended, hub.stage.tail()
    assert hub.stage.replicas("steady") == before
    for name in WATCHED:
        assert record.failed(name) == [], name
    assert names(hub) == {*WATCHED, "resting"}


def test_a_disk_that_refuses_a_step_is_told_or_tried_again(
    hub: Hub, record_property: Count
) -> None:
    """Law: a refusal is said in the door's own words, nothing is half done, all converges (F14, F15)."""
    played = Played(hub, set(PLAYED))
    with nobody_notices(hub):
        for turn in ALL:
            for operation, point in played.places(turn):
                refuse(hub, operation, point)
    record_property("refusals", len(played.done))
    print(f"{len(played.done)} refusals: {played.done}")
    assert DEEP or not played.left, f"no operation came by {played.left}"
    assert "Traceback" not in hub.stage.log.read_text(), hub.stage.tail(60)


def refuse(hub: Hub, operation: Operation, point: str) -> None:
    """Do it with a disk that refuses once at that point."""
    before = hub.stage.replicas(operation.target)
    if point:
        hub.arm(f"{point}:raise")
    try:
        operation.act(hub)
    except HubRefused as refused:
        assert refused.status == 503, f"{operation.name} at {point}: {refused}"
        assert refused.code in UNAVAILABLE, f"{operation.name} at {point}: {refused}"
        again(hub, operation)
    try:
        until(lambda: operation.ended(hub, before), f"{operation.name} at {point}: no end", 40.0)
    finally:
        hub.arm("")


@pytest.mark.parametrize("door", ["eas", "zstack", "sick"] if DEEP else ["eas"])
def test_a_slow_disk_holds_up_only_who_waits_for_it(hub: Hub, door: str) -> None:
    """Law: the hub answers all other calls in normal time while a step hangs (F20's law, for our own disk)."""
    played = Played(hub, set(PLAYED) if DEEP else set(SLOW))
    with nobody_notices(hub):
        for turn in {"eas": EAS, "zstack": ZSTACK, "sick": SICK}[door]:
            for operation, point in played.places(turn):
                hang(hub, operation, point)
    print(f"{len(played.done)} times slow: {played.done}")
    assert DEEP or not played.left, f"no operation came by {played.left}"


def look(hub: Hub, point: str) -> None:
    """Ask by both doors.

    A call of the EAS door burns a nonce, which is a commit like any other: it waits its turn.
    """
    (group,) = hub.zstack.page(GROUPS, ["name=steady"])
    assert group["status"] == "Running"
    if not point.startswith("database."):
        assert hub.stage.client.describe("steady")["Status"] == "Running"


def hang(hub: Hub, operation: Operation, point: str) -> None:
    """Do it with a disk that hangs at that point, and ask for other things meanwhile."""
    before = hub.stage.replicas(operation.target)
    if point:
        hub.arm(f"{point}:sleep={HANGS}")
    acting = threading.Thread(target=operation.act, args=(hub,))
    acting.start()
    began, slowest = time.monotonic(), 0.0
    while point and time.monotonic() - began < HANGS + 0.5:
        asked = time.monotonic()
        look(hub, point)
        slowest = max(slowest, time.monotonic() - asked)
        time.sleep(0.05)
    acting.join(30)
    until(lambda: operation.ended(hub, before), f"{operation.name} at {point}: no end")
    hub.arm("")
    assert slowest < SOON, f"{operation.name} at {point}: a look took {slowest:.2f} s"
