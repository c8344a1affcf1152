"""The hub dies by SIGKILL: nobody who talks to a model notices, and nothing is lost, doubled or left.

`PIERHEAD_KILLS_DEEP=1` plays the whole product of operations, points and passes (about 25 minutes).
"""

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import pytest
from lone_hub import END, STEPS, Hub
from observer import watching
from operations import (
    ALL,
    EAS,
    SICK,
    WATCHED,
    ZSTACK,
    Operation,
    Round,
    again,
    make,
    names,
)
from processes import Process
from stage import LONG, RECOVERY, Count, Stage, healthy, until

from pierhead.cli.client import NoAnswer
from pierhead.failpoint import POINTS

#: The whole product, with every pass of every point; else each point in some operation, and some points in
#: each operation.
DEEP = bool(os.environ.get("PIERHEAD_KILLS_DEEP"))
#: Which of the rounds are played: "FROM:TO"; all else.
ROUNDS = slice(*(int(end) for end in os.environ.get("PIERHEAD_KILLS_ROUNDS", "0:99").split(":")))


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
        "copy.": "test_copy_cut_off.py",
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
#: Whoever dies there may have promised something, or died over something else: the caller asks again
#: if there was no answer.
UNSURE = "database."
#: Of an operation every so many-th point in the ordinary run.
STRIDE = 4

Passes = Mapping[str, Counter[str]]
Place = tuple[str, int]  #: a point, and at which pass of it


@dataclass(frozen=True, slots=True)
class Cut:
    """An operation, and where the hub dies in it: at the n-th pass of a point; "" = nowhere."""

    operation: Operation
    point: str = ""
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.operation.name} at {self.point or 'no point'}:{self.nth}"


#: By whom operations are asked for: each on a platform of its own, for all together take minutes.
DOORS = {"eas": EAS, "zstack": ZSTACK, "sick": SICK}


@dataclass(slots=True)
class Seen:
    """What the doors that were played so far came by."""

    doors: set[str] = field(default_factory=set[str])
    passed: set[str] = field(default_factory=set[str])
    cut_off: set[str] = field(default_factory=set[str])


SEEN = Seen()


@pytest.mark.parametrize("door", DOORS)
def test_cut_off_at_every_step_of_every_operation_the_end_is_the_same(
    stage: Stage, record_property: Count, door: str
) -> None:
    """Law: intent is on disk before each step, so whoever comes after goes on with it (F01).

    Which steps an operation passes, and how often, is found out first; the hub then dies at them, once
    each. Neither a bystander nor the service that is being changed loses a request, nor a bystander its
    processes.
    """
    rounds = [turn for turn in DOORS[door] if turn in ALL[ROUNDS]]
    if not rounds:
        pytest.skip(f"PIERHEAD_KILLS_ROUNDS leaves out all of {door}")
    hub = Hub(stage)
    stage.start("gateway")
    stage.ready()
    make(hub)
    before = stage.replicas("steady")
    with watching(stage.folder, *WATCHED) as finish:
        passed = {each.name: steps_of(hub, each) for turn in rounds for each in turn}
        began, kills = time.monotonic(), Counter[str]()
        chosen = places_of([each for turn in rounds for each in turn], passed)
        for cut in (cut for turn in rounds for cut in cuts_of(turn, chosen)):
            kills[cut.operation.name] += cut_off(hub, cut)
        seconds = time.monotonic() - began
        record = finish()
    told = {
        name: f"{kills[name]} of {sum(points.values())} passes" for name, points in passed.items()
    }
    print(f"{kills.total()} kills in {seconds:.1f} s: {told}")
    record_property("kills", kills.total())
    every = {point for points in passed.values() for point in points}
    SEEN.passed |= every
    SEEN.cut_off |= {point for places in chosen.values() for point, _ in places}
    assert every <= SEEN.cut_off
    assert stage.replicas("steady") == before
    for name in WATCHED:
        assert record.failed(name) == [], name
    assert record.most("steady-") == 2
    assert record.most("moving-") <= 3  # two and one that leaves
    assert names(hub) == {*WATCHED, "resting"}
    SEEN.doors.add(door)


def test_there_is_no_step_at_which_no_operation_was_cut_off() -> None:
    """A step that no operation passes is cut off nowhere."""
    if SEEN.doors != DOORS.keys() or ALL[ROUNDS] != ALL:
        pytest.skip(f"not every operation was cut off by this process: {SEEN.doors}")
    assert SEEN.passed == {point for point in POINTS if point.startswith(STEPS)} - END
    assert SEEN.passed == SEEN.cut_off


def steps_of(hub: Hub, operation: Operation) -> Counter[str]:
    """The points that an operation passes on its way to its end, and how often."""
    told = hub.stage.folder.with_name("passed")
    told.write_text("")
    before = hub.stage.replicas(operation.target)
    hub.arm(f"*:record={told}")
    operation.act(hub)
    arrived(hub, operation, before, operation.name)
    hub.arm("")
    return Counter(told.read_text().split())


def places_of(operations: Sequence[Operation], passed: Passes) -> dict[str, list[Place]]:
    """Where to die in each operation: together, and with those before them, at every point."""
    if DEEP:
        return {
            name: [(point, nth + 1) for point in sorted(points) for nth in range(points[point])]
            for name, points in passed.items()
        }
    chosen = {each.name: _part(each.name, passed[each.name]) for each in operations}
    met = SEEN.cut_off | {point for points in chosen.values() for point in points}
    for each in operations:
        missing = sorted(passed[each.name].keys() - met)
        chosen[each.name] += missing
        met |= set(missing)
    return {name: [(point, 1) for point in points] for name, points in chosen.items()}


def _part(name: str, points: Counter[str]) -> list[str]:
    """Another part in each operation, one point at least."""
    first = sum(name.encode()) % min(STRIDE, len(points))
    return sorted(points)[first::STRIDE]


def cuts_of(turn: Round, chosen: Mapping[str, list[Place]]) -> list[Cut]:
    """What to do in turn, and where to die on the way."""
    rounds = zip_longest(*(chosen[each.name] for each in turn), fillvalue=("", 1))
    return [
        Cut(each, *place) for places in rounds for each, place in zip(turn, places, strict=True)
    ]


def cut_off(hub: Hub, cut: Cut) -> bool:
    """Begin it, have the hub die there, start another one and wait for the end; did it come by there?

    Only the first pass is sure: how often others follow depends on who is faster.
    """
    stage, operation = hub.stage, cut.operation
    before, others = stage.replicas(operation.target), _others(stage, operation)
    if cut.point:
        hub.arm(f"{cut.point}:kill:nth={cut.nth}")
    answered = True
    try:
        operation.act(hub)
    except NoAnswer:  # it may die before it answers; what it accepted is written down
        answered = False
    died = bool(cut.point) and _died(hub, cut, before)
    if died:
        hub.start()
        if cut.point.startswith(UNSAID) or (not answered and cut.point.startswith(UNSURE)):
            again(hub, operation)
    hub.arm("")
    arrived(hub, operation, before, str(cut))
    assert _others(stage, operation) == others, f"{cut}: replicas of others are not what they were"
    return died


def _died(hub: Hub, cut: Cut, before: Mapping[str, Process]) -> bool:
    if cut.nth == 1:
        hub.died()
        return True

    def dead_or_done() -> bool:
        with suppress(NoAnswer):  # it dies while it is asked
            return hub.ended or cut.operation.ended(hub, before)
        return False

    until(dead_or_done, f"{cut}: neither dead nor done", LONG)
    if not hub.ended:
        hub.arm("")
        time.sleep(0.05)  # it may have read the old word a moment ago
    return hub.ended


def _others(stage: Stage, operation: Operation) -> set[Process]:
    """The engines of all services that the operation is not about, but for one that crashes anyway."""
    apart = f"{operation.target}-"
    return {each for each in stage.processes("engine") if not each.replica.startswith(apart)}


def arrived(hub: Hub, operation: Operation, before: Mapping[str, Process], where: str) -> None:
    """Wait for the end, and until nothing but what belongs to it is left."""
    stage = hub.stage

    def look() -> bool:
        return operation.ended(hub, before)

    until(
        look,
        lambda: (
            f"{where}: the end is not reached\n{stage.processes()}\n{stage.folders()}\n{stage.tail(40)}"
        ),
    )
