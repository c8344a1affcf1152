"""Who computes on which GPU: real processes on the double of a machine with four GPUs."""
# ruff: noqa: ASYNC110 - one scene at a time: a short wait harms nobody

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gpu_machines import double_machine, named
from pierhead.core.errors import Occupied, Unavailable
from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.core.resources import GIB, Resources
from pierhead.core.templates import Rolling
from pierhead.core.workloads import Workload
from pierhead.runtimes.process.hardware import Found
from pierhead.runtimes.process.runtime import ProcessRuntime
from replica_servers import (
    CRASHES,
    environment_of,
    gone,
    ready,
    related,
    runtime,
    settle,
    until,
    workload,
)

S = ReplicaState
VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(slots=True)
class Machine:
    """A double: what the driver would say now."""

    found: Found

    def look(self) -> Found:
        return self.found


def play(
    folder: Path, scene: Callable[[ProcessRuntime], Awaitable[None]], machine: Machine | None = None
) -> None:
    """Run a scene on a runtime that believes in four GPUs; whatever it leaves is removed."""

    async def run() -> None:
        made = runtime(folder, accelerators=(machine or Machine(double_machine())).look)
        await made.adopt()
        try:
            await scene(made)
        finally:
            for service in {status.service for status in made.observe()}:
                await gone(made, service)
            await made.close()

    try:
        asyncio.run(asyncio.wait_for(run(), 60))
    finally:
        for pid in related(folder):  # only after a failure: its servers must not run on
            os.kill(pid, signal.SIGKILL)


def on_gpus(count: int, replicas: int = 1, name: str = "echo", **more: Any) -> Workload:
    """A service whose replicas have so many GPUs each."""
    return named(workload(replicas, resources=Resources(gpu=count), **more), name)


def on_part(size: int, name: str) -> Workload:
    """A service whose replica has so many GiB of one GPU."""
    return named(workload(resources=Resources(gpu_memory=size * GIB)), name)


def seen_by(status: ReplicaStatus) -> str:
    """What the process itself was told."""
    assert status.pid is not None
    return environment_of(status.pid)[VISIBLE]


async def refused(made: ProcessRuntime, wanted: Workload) -> Occupied:
    """What it says while others have what it needs."""
    with pytest.raises(Occupied) as told:
        await made.apply(wanted)
    return told.value


async def leave(made: ProcessRuntime, wanted: Workload) -> None:
    """Let all of a service go, at once."""
    await gone(made, wanted.service)


# ---- what a replica sees ----------------------------------------------------------------------


def test_every_replica_sees_its_own_devices_and_no_others(tmp_path: Path) -> None:
    async def scene(made: ProcessRuntime) -> None:
        pairs = await settle(made, on_gpus(1, 2, "singles"), ready(2))
        (pair,) = await settle(made, on_gpus(2, 1, "pair"), ready(1))
        (none,) = await settle(made, on_gpus(0, 1, "none"), ready(1))
        assert {seen_by(status) for status in pairs} == {"0", "1"}
        assert {status.devices for status in pairs} == {("GPU-0",), ("GPU-1",)}
        assert (seen_by(pair), pair.devices) == ("2,3", ("GPU-2", "GPU-3"))
        assert (seen_by(none), none.devices) == ("", ())
        assert pair.pid is not None
        env = environment_of(pair.pid)
        assert env["NVIDIA_VISIBLE_DEVICES"] == "2,3"
        assert env["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"

    play(tmp_path, scene)


def test_a_template_cannot_take_devices_by_its_own_variables(tmp_path: Path) -> None:
    async def scene(made: ProcessRuntime) -> None:
        greedy = on_gpus(0, env={VISIBLE: "0,1,2,3", "CUDA_DEVICE_ORDER": "FASTEST_FIRST"})
        (status,) = await settle(made, greedy, ready(1))
        assert seen_by(status) == ""
        assert status.pid is not None
        assert environment_of(status.pid)["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"

    play(tmp_path, scene)


def test_a_machine_without_gpus_starts_what_needs_none(tmp_path: Path) -> None:
    async def scene(made: ProcessRuntime) -> None:
        (status,) = await settle(made, on_gpus(0), ready(1))
        assert seen_by(status) == ""
        told = await refused(made, on_gpus(1, 1, "other"))
        assert "1 GPU wanted, 0 of 0 is free" in str(told)
        node = (await made.probe()).nodes[0]
        assert (node.gpus, node.accelerators) == (0, ())

    play(tmp_path, scene, Machine(Found()))


def test_a_broken_driver_is_told_of_and_harms_nobody(tmp_path: Path) -> None:
    async def scene(made: ProcessRuntime) -> None:
        info = await made.probe()
        assert "Some GPUs cannot be used: GPU 1: GPU is lost." in info.warnings
        assert info.nodes[0].gpus == 1
        await settle(made, on_gpus(0), ready(1))

    broken = replace(double_machine(1), problem="GPU 1: GPU is lost")
    play(tmp_path, scene, Machine(broken))


# ---- waiting, and going on --------------------------------------------------------------------


def test_who_finds_none_waits_and_is_woken_when_one_is_released(tmp_path: Path) -> None:
    async def scene(made: ProcessRuntime) -> None:
        first, second = on_gpus(2, 1, "svc-a"), on_gpus(1, 1, "svc-b")
        late = on_gpus(2, 1, "late")
        await settle(made, first, ready(1))
        await settle(made, second, ready(1))
        told = await refused(made, late)
        assert (told.reason, told.placement) == ("WaitingForGpu", True)
        assert "2 GPU wanted, 1 of 4 is free; taken by [svc-a] (2), [svc-b] (1)." in str(told)
        assert made.observe(late.service) == [], "nothing of it is there while it waits"
        heard = made.changes()
        await leave(made, first)
        async with asyncio.timeout(5):
            while await anext(heard) != late.service:
                pass
        (status,) = await settle(made, late, ready(1))
        assert seen_by(status) == "0,1"

    play(tmp_path, scene)


def test_a_second_replica_waits_while_the_first_serves(tmp_path: Path) -> None:
    async def scene(made: ProcessRuntime) -> None:
        await settle(made, on_gpus(3, 1, "svc-a"), ready(1))
        told = await refused(made, on_gpus(1, 2))
        assert "taken by [svc-a] (3), [echo] (1)" in str(told)
        await until(lambda: ready(1)(made.observe(on_gpus(1).service)))

    play(tmp_path, scene)


def test_a_crash_releases_its_devices_and_takes_them_again(tmp_path: Path) -> None:
    async def scene(made: ProcessRuntime) -> None:
        crashing = on_gpus(4, code=CRASHES)
        (status,) = await settle(made, crashing, lambda f: bool(f) and f[0].state is S.CRASHED)
        assert status.devices == ()
        (again,) = await settle(made, crashing, lambda f: f[0].runs >= 2)
        assert again.runs >= 2

    play(tmp_path, scene)


def test_what_a_crashed_replica_had_may_be_another_ones_then_it_waits(tmp_path: Path) -> None:
    async def scene(made: ProcessRuntime) -> None:
        crashing = on_gpus(3, code=CRASHES)
        await settle(made, crashing, lambda f: bool(f) and f[0].state is S.CRASHED)
        await settle(made, on_gpus(2, 1, "quick"), ready(1))
        told: list[Unavailable] = []

        async def tried() -> bool:
            try:
                await made.apply(crashing)
            except Unavailable as problem:
                told.append(problem)
            return bool(told)

        async with asyncio.timeout(10):
            while not await tried():  # its back-off is over some time
                await asyncio.sleep(0.02)
        assert "3 GPU wanted, 2 of 4 is free; taken by [quick] (2)." in str(told[0])
        (status,) = made.observe(crashing.service)
        assert (status.state, status.reason, status.runs) == (S.CRASHED, "WaitingForGpu", 1)

    play(tmp_path, scene)


def test_a_restarted_replica_keeps_its_device(tmp_path: Path) -> None:
    async def scene(made: ProcessRuntime) -> None:
        other = on_gpus(1, 1, "other")
        await settle(made, other, ready(1))
        (status,) = await settle(made, on_gpus(1), ready(1))
        assert seen_by(status) == "1"
        await leave(made, other)
        assert status.pid is not None
        os.kill(status.pid, signal.SIGKILL)
        (again,) = await settle(made, on_gpus(1), lambda f: ready(1)(f) and f[0].runs == 2)
        assert seen_by(again) == "1", "the first device is free, but it had the second"

    play(tmp_path, scene)


def test_new_devices_are_found_while_somebody_waits(tmp_path: Path) -> None:
    machine, now = Machine(double_machine(1)), [1000.0]

    async def run() -> None:
        made = runtime(tmp_path, clock=lambda: now[0], accelerators=machine.look)
        await made.adopt()
        try:
            assert "0 of 1 is free" not in str(await refused(made, on_gpus(2)))
            machine.found = double_machine(2)
            await refused(made, on_gpus(2))  # what was found a moment ago is not asked again
            now[0] += 60.0
            await settle(made, on_gpus(2), lambda found: len(found) == 1)
        finally:
            await gone(made, on_gpus(2).service)
            await made.close()

    asyncio.run(asyncio.wait_for(run(), 30))


# ---- parts of a device ------------------------------------------------------------------------


def test_parts_share_a_device_as_long_as_they_fit(tmp_path: Path) -> None:
    async def scene(made: ProcessRuntime) -> None:
        (a,) = await settle(made, on_part(50, "a"), ready(1))
        (b,) = await settle(made, on_part(30, "b"), ready(1))
        assert seen_by(a) == seen_by(b) == "0"
        (c,) = await settle(made, on_part(1, "c"), ready(1))
        assert seen_by(c) == "1"
        (whole,) = await settle(made, on_gpus(2, 1, "whole"), ready(1))
        assert seen_by(whole) == "2,3"
        told = await refused(made, on_part(80, "d"))
        assert "80.0 GiB of one GPU wanted, at most 79.0 GiB is free on one of 4" in str(told)
        assert "1 GPU wanted, 0 of 4 is free" in str(await refused(made, on_gpus(1, 1, "e")))

    play(tmp_path, scene)


# ---- a killed hub -----------------------------------------------------------------------------


def test_a_killed_hub_leaves_its_assignments_to_the_next(tmp_path: Path) -> None:
    hub = subprocess.Popen(
        [
            sys.executable,
            str(Path(__file__).parents[1] / "gpu_machines.py"),
            str(tmp_path),
            "3",
            "1",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with hub:
        assert hub.stdout is not None
        assert hub.stdout.readline() == b"ready\n"
        hub.kill()

    async def scene(made: ProcessRuntime) -> None:
        before = made.observe()
        assert len(before) == 3
        assert {status.devices for status in before} == {("GPU-0",), ("GPU-1",), ("GPU-2",)}
        assert {seen_by(status) for status in before} == {"0", "1", "2"}
        told = await refused(made, on_gpus(2, 1, "late"))
        assert "1 of 4 is free; taken by [echo] (3)" in str(told)
        (last,) = await settle(made, on_gpus(1, 1, "last"), ready(1))
        assert seen_by(last) == "3"

    play(tmp_path, scene)


# ---- a new version where the old one has every device -----------------------------------------


@pytest.mark.parametrize("rolling", [Rolling(1, 0), Rolling(0, 1)])
def test_an_update_replaces_in_place_where_no_device_is_free(
    rolling: Rolling, tmp_path: Path
) -> None:
    async def scene(made: ProcessRuntime) -> None:
        old = await settle(made, on_gpus(1, 2, "svc"), ready(2))
        await settle(made, on_gpus(2, 1, "other"), ready(1))
        wanted = replace(on_gpus(1, 2, "svc", rollout="2.0"), rolling=rolling)
        wanted = replace(wanted, drained=frozenset(status.id for status in old))
        told: set[str] = set()
        fewest = 2
        async with asyncio.timeout(30):
            while not ready(2, "2.0")(made.observe(wanted.service)):
                try:
                    await made.apply(wanted)
                except Occupied as busy:
                    told.add(busy.reason)
                serving = [s for s in made.observe(wanted.service) if s.state is S.READY]
                fewest = min(fewest, len(serving))
                await asyncio.sleep(0.01)
        assert told == {"RollingInPlace"}
        assert fewest == 1, "one leaves at a time"
        new = made.observe(wanted.service)
        assert {seen_by(status) for status in new} == {"0", "1"}

    play(tmp_path, scene)


def test_an_update_that_would_find_no_device_even_so_leaves_the_old_version_alone(
    tmp_path: Path,
) -> None:
    async def scene(made: ProcessRuntime) -> None:
        (old,) = await settle(made, on_gpus(1, 1, "svc"), ready(1))
        await settle(made, on_gpus(3, 1, "other"), ready(1))
        larger = on_gpus(2, 1, "svc", rollout="2.0")
        for _ in range(5):
            told = await refused(made, larger)
        assert told.reason == "WaitingForGpu"
        (still,) = made.observe(larger.service)
        assert (still.id, still.state) == (old.id, S.READY)

    play(tmp_path, scene)
