"""What every runtime must do, asked of the process runtime with real servers, of the double, and of the
Kubernetes runtime with a server double whose pods are simulated (real ones: tests/cluster)."""
# ruff: noqa: ASYNC110, ASYNC240 - one scene at a time: a short wait for a file harms nobody

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kube_double import Behaviour, KubeDouble
from kube_stage import on_cluster
from pierhead.core.errors import NotFound, Unavailable
from pierhead.core.replicas import Exit, ReplicaState, ReplicaStatus
from pierhead.core.templates import Rolling
from pierhead.core.workloads import Workload
from pierhead.runtimes.base import Runtime
from pierhead.runtimes.fake import FakeRuntime
from pierhead.runtimes.process.runtime import ProcessRuntime
from replica_servers import (
    CRASHES,
    NEVER_READY,
    SERVER,
    SERVICE,
    alive,
    gone,
    ready,
    related,
    runtime,
    settle,
    until,
    workload,
)

S = ReplicaState
KINDS = ("process", "fake", "kubernetes")


@dataclass(slots=True)
class Stage:
    """One runtime under test, and how to make a version good or bad on it."""

    runtime: Runtime
    folder: Path
    server: KubeDouble | None = None  #: of a Kubernetes runtime

    def ready(self, count: int, rollout: str = "1.0") -> Callable[[list[ReplicaStatus]], bool]:
        """Exactly so many, all ready; a pod's process is its node's business, so it has no pid."""
        return ready(count, rollout, pids=self.server is None)

    def version(self, kind: str, replicas: int, rollout: str = "1.0") -> Workload:
        """A workload whose replicas are `good`, `crashing` or `mute`."""
        if isinstance(self.runtime, FakeRuntime):
            if kind == "crashing":
                self.runtime.faults.crash_at_start[rollout] = Exit(time.time(), code=3)
            elif kind == "mute":
                self.runtime.faults.never_ready.add(rollout)
        if self.server is not None:
            told = {"crashing": Behaviour(crash=3), "mute": Behaviour(never_ready=True)}
            self.server.behaviours[rollout] = told.get(kind, Behaviour())
        code = {"good": SERVER, "crashing": CRASHES, "mute": NEVER_READY}[kind]
        return workload(replicas, code=code, rollout=rollout)

    def nothing_left(self) -> bool:
        """No replica, no process, no file, no object."""
        objects = self.server.objects if self.server is not None else {}
        return (
            self.runtime.observe() == []
            and not related(self.folder)
            and not list(self.folder.iterdir())
            and {key[0] for key in objects} <= {"nodes"}
        )

    def nothing_runs(self) -> bool:
        """The same of a stopped service: a cluster keeps its objects, which hold nothing of any node."""
        if self.server is None:
            return self.nothing_left()
        return self.runtime.observe() == [] and not self.server.all("pods")


Scene = Callable[[Stage], Awaitable[None]]


def play(kind: str, folder: Path, scene: Scene, *, closes: bool = False) -> None:
    """Run a scene on a fresh runtime; whatever it leaves is removed, unless it `closes` the runtime."""

    async def run() -> None:
        async with AsyncExitStack() as opened:
            server: KubeDouble | None = None
            if kind == "kubernetes":
                server = await opened.enter_async_context(KubeDouble())
                made: Runtime = on_cluster(server, folder)
            else:
                made = runtime(folder) if kind == "process" else FakeRuntime(time.time)
            stage = Stage(made, folder, server)
            await made.adopt()
            try:
                await scene(stage)
                if not closes:
                    await gone(made)
                assert stage.nothing_left()
            finally:
                for service in {status.service for status in made.observe()}:
                    await gone(made, service)
                await made.close()

    try:
        asyncio.run(asyncio.wait_for(run(), 60))
    finally:
        for pid in related(folder):  # only after a failure: its servers must not run on
            os.kill(pid, signal.SIGKILL)


def ids(found: list[ReplicaStatus]) -> set[str]:
    return {status.id for status in found}


@pytest.mark.parametrize("kind", KINDS)
def test_start_three_then_scale_to_one_keeps_the_oldest(kind: str, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        three = await settle(stage.runtime, stage.version("good", 3), stage.ready(3))
        assert len({status.address for status in three}) == 3
        assert all(status.runs == 1 and status.failures == 0 for status in three)
        oldest = min(three, key=lambda status: status.created)
        one = replace(stage.version("good", 1), drained=frozenset(ids(three)))
        (left,) = await settle(stage.runtime, one, stage.ready(1))
        assert (left.id, left.pid, left.started) == (oldest.id, oldest.pid, oldest.started)

    play(kind, tmp_path, scene)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rolling", [Rolling(1, 0), Rolling(0, 1)])
def test_rolling_update_serves_all_the_time(kind: str, rolling: Rolling, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        old = await settle(stage.runtime, stage.version("good", 2), stage.ready(2))
        after = replace(stage.version("good", 2, "2.0"), rolling=rolling)
        after = replace(after, drained=frozenset(ids(old)))
        least = 2

        def done(found: list[ReplicaStatus]) -> bool:
            nonlocal least
            least = min(least, sum(status.state is S.READY for status in found))
            return stage.ready(2, "2.0")(found)

        new = await settle(stage.runtime, after, done)
        assert ids(new).isdisjoint(ids(old))
        assert least >= 2 - int(rolling.max_unavailable)

    play(kind, tmp_path, scene)


@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_roll_leaves_the_old_version_serving(kind: str, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        old = await settle(stage.runtime, stage.version("good", 2), stage.ready(2))
        bad = stage.version("crashing", 2, "2.0")

        def twice(found: list[ReplicaStatus]) -> bool:
            return any(status.rollout == "2.0" and status.failures >= 2 for status in found)

        found = await settle(stage.runtime, bad, twice)
        serving = [status for status in found if status.state is S.READY]
        assert {(s.id, s.pid) for s in serving} == {(s.id, s.pid) for s in old}
        back = await settle(stage.runtime, stage.version("good", 2), stage.ready(2))
        assert ids(back) == ids(old)

    play(kind, tmp_path, scene)


@pytest.mark.parametrize("kind", KINDS)
def test_restart_replaces_every_replica(kind: str, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        before = await settle(stage.runtime, stage.version("good", 2), stage.ready(2))
        again = replace(stage.version("good", 2, "1.1"), drained=frozenset(ids(before)))
        after = await settle(stage.runtime, again, stage.ready(2, "1.1"))
        assert ids(after).isdisjoint(ids(before))

    play(kind, tmp_path, scene)


@pytest.mark.parametrize("kind", KINDS)
def test_stop_and_start_again(kind: str, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        running = await settle(stage.runtime, stage.version("good", 2), stage.ready(2))
        none = replace(stage.version("good", 0), drained=frozenset(ids(running)))
        await settle(stage.runtime, none, lambda found: found == [])
        assert stage.nothing_runs()
        await settle(stage.runtime, stage.version("good", 1), stage.ready(1))

    play(kind, tmp_path, scene)


@pytest.mark.parametrize("kind", KINDS)
def test_a_draining_replica_lives_until_it_is_let_go(kind: str, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        (one,) = await settle(stage.runtime, stage.version("good", 1), stage.ready(1))
        none = stage.version("good", 0)
        if stage.server is not None:  # a cluster is told, and does it a moment later
            await settle(stage.runtime, none, lambda found: found[0].state is S.DRAINING)
        for _ in range(5):
            await stage.runtime.apply(none)
            (status,) = stage.runtime.observe(SERVICE)
            assert (status.state, status.address) == (S.DRAINING, one.address)
        let_go = replace(none, drained=frozenset({one.id}))
        await settle(stage.runtime, let_go, lambda found: found == [])

    play(kind, tmp_path, scene)


@pytest.mark.parametrize("kind", KINDS)
def test_a_crash_loop_backs_off_and_says_why(kind: str, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        wanted = stage.version("crashing", 1)
        (first,) = await settle(
            stage.runtime, wanted, lambda f: bool(f) and f[0].state is S.CRASHED
        )
        assert (first.failures, first.runs) == (1, 1)
        assert first.reason == "Crashed"
        assert "exit code 3" in first.message
        assert first.retry_at is not None
        assert first.last_exit is not None
        assert 0.8 <= first.retry_at - first.last_exit.at <= 1.2
        assert first.address == ""
        await stage.runtime.apply(wanted)  # too early: nothing happens
        assert stage.runtime.observe(SERVICE)[0].runs == 1

    play(kind, tmp_path, scene)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", ["good", "crashing", "mute"])
def test_remove_from_any_state(kind: str, version: str, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.runtime.apply(stage.version(version, 2))
        wanted_state = {"good": S.READY, "crashing": S.CRASHED, "mute": S.STARTING}[version]
        await until(lambda: any(s.state is wanted_state for s in stage.runtime.observe()))
        began = time.monotonic()
        await gone(stage.runtime)
        assert time.monotonic() - began < 5
        assert await stage.runtime.remove(SERVICE, 1.0), "removing nothing is done at once"

    play(kind, tmp_path, scene)


@pytest.mark.parametrize("kind", KINDS)
def test_never_ready_is_never_called_ready(kind: str, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.runtime.apply(stage.version("mute", 1))
        if stage.server is not None:  # a cluster is told, and does it a moment later
            await until(lambda: [s.state for s in stage.runtime.observe()] == [S.STARTING])
        give_up = time.monotonic() + 0.7
        while time.monotonic() < give_up:
            assert stage.runtime.observe()[0].state is S.STARTING
            await asyncio.sleep(0.02)
        await gone(stage.runtime)

    play(kind, tmp_path, scene)


@pytest.mark.parametrize("kind", KINDS)
def test_every_change_is_hinted_and_close_ends_the_listening(kind: str, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        heard = stage.runtime.changes()
        await stage.runtime.apply(stage.version("good", 1))
        async with asyncio.timeout(5):
            while not any(status.state is S.READY for status in stage.runtime.observe()):
                assert await anext(heard) == SERVICE
                await stage.runtime.apply(stage.version("good", 1))
        await gone(stage.runtime)
        await stage.runtime.close()
        async with asyncio.timeout(5):
            assert {service async for service in heard} <= {SERVICE}

    play(kind, tmp_path, scene, closes=True)


@pytest.mark.parametrize(
    "kind", ["process", "fake"]
)  # a cluster's pods do not end with the platform
def test_after_stop_all_nothing_is_started(kind: str, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        assert isinstance(stage.runtime, ProcessRuntime | FakeRuntime)
        await settle(stage.runtime, stage.version("good", 2), stage.ready(2))
        await stage.runtime.stop_all(5.0)
        assert not related(stage.folder)
        with pytest.raises(Unavailable):
            await stage.runtime.apply(stage.version("good", 3))
        assert all(s.failures == 0 and s.state is S.CRASHED for s in stage.runtime.observe())

    play(kind, tmp_path, scene)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_replica_has_no_log(kind: str, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(NotFound):
            await stage.runtime.logs(SERVICE, replica="nobody")
        assert await stage.runtime.logs(SERVICE) == []

    play(kind, tmp_path, scene)


@pytest.mark.parametrize("kind", KINDS)
def test_probe_names_a_node_and_how_limits_hold(kind: str, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        info = await stage.runtime.probe()
        assert info.name == kind
        assert info.nodes[0].cpu >= 1
        assert info.nodes[0].memory_free <= info.nodes[0].memory
        assert info.limits.endswith(".")

    play(kind, tmp_path, scene)


# ---- what only real processes have ----------------------------------------------------------


def test_logs_are_merged_by_time_and_kept_from_the_run_before(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        found = await settle(stage.runtime, stage.version("good", 2), ready(2))
        lines = await stage.runtime.logs(SERVICE)
        assert {line.text for line in lines} == {f"listening on {s.port}" for s in found}
        assert [line.at for line in lines] == sorted(line.at for line in lines)
        assert len(await stage.runtime.logs(SERVICE, limit=1)) == 1
        (line,) = await stage.runtime.logs(SERVICE, replica=found[0].id)
        assert line.text == f"listening on {found[0].port}"
        assert await stage.runtime.logs(SERVICE, previous=True) == []

    play("process", tmp_path, scene)


def test_the_first_and_the_last_crash_can_be_read(tmp_path: Path) -> None:
    code = "import os, sys; print('run of', os.environ['PORT']); sys.exit(3)"

    async def scene(stage: Stage) -> None:
        wanted = workload(1, code=code)
        (status,) = await settle(stage.runtime, wanted, lambda f: bool(f) and f[0].failures == 2)
        (last,) = await stage.runtime.logs(SERVICE)
        (before,) = await stage.runtime.logs(SERVICE, previous=True)
        assert before.text != last.text, "every run gets another port"
        assert status.last_lines == (last.text,)

    play("process", tmp_path, scene)


def test_lines_of_any_length_and_bytes_arrive_and_files_stay_bounded(tmp_path: Path) -> None:
    code = (
        "import sys, time; out = sys.stdout.buffer\n"
        "out.write(b'\\xff\\xfe no utf-8\\n'); out.write(b'x' * 200000 + b'\\n')\n"
        "for n in range(20000): out.write(b'line %d\\n' % n)\n"
        "out.write(b'the end, without a newline'); out.flush(); sys.exit(3)"
    )

    async def run() -> None:
        made = runtime(tmp_path, log_bytes=64 * 1024)
        await made.adopt()
        try:
            wanted = workload(1, code=code)
            (s,) = await settle(made, wanted, lambda f: bool(f) and f[0].state is S.CRASHED)
            lines = await made.logs(SERVICE)
            assert lines[-1].text == "the end, without a newline"
            assert lines[-2].text == "line 19999"
            files = list((tmp_path / SERVICE / s.id).glob("runs/1/log*"))
            assert len(files) == 2
            assert sum(file.stat().st_size for file in files) < 400 * 1024
        finally:
            await gone(made)
            await made.close()

    asyncio.run(asyncio.wait_for(run(), 30))


def test_a_stubborn_replica_and_its_children_are_killed_after_the_grace(tmp_path: Path) -> None:
    code = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "own = [sys.executable, '-I', '-S', '-c', 'import time; time.sleep(600)']\n"
        "a = subprocess.Popen(own).pid; b = subprocess.Popen(own, start_new_session=True).pid\n"
        "print(a, b, flush=True); time.sleep(600)"
    )

    async def scene(stage: Stage) -> None:
        wanted = workload(1, code=code)
        await stage.runtime.apply(wanted)
        give_up = time.monotonic() + 10
        while not (lines := await stage.runtime.logs(SERVICE)):
            assert time.monotonic() < give_up
            await asyncio.sleep(0.02)
        children = [int(pid) for pid in lines[0].text.split()]
        assert all(alive(pid) for pid in children)
        began = time.monotonic()
        while not await stage.runtime.remove(SERVICE, 0.3):
            await asyncio.sleep(0.01)
        assert 0.3 <= time.monotonic() - began < 4
        assert not any(alive(pid) for pid in children), "children in other sessions go too"

    play("process", tmp_path, scene)


@pytest.mark.parametrize("bad", ["../evil", "a/b", "", ".hidden", "x\0y", "." * 3])
def test_an_id_that_leaves_the_folder_is_refused(bad: str, tmp_path: Path) -> None:
    async def run() -> None:
        made = runtime(tmp_path / "replicas")
        try:
            with pytest.raises(Exception, match="not valid"):
                await made.apply(replace(workload(1), service=bad))
            with pytest.raises(Exception, match="not valid"):
                await made.remove(bad, 1.0)
            assert [*tmp_path.rglob("*")] == [tmp_path / "replicas"]
        finally:
            await made.close()

    asyncio.run(run())


def test_service_names_are_words_not_paths(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        odd = replace(workload(1), name="../../" + secrets.token_hex(4))
        (status,) = await settle(stage.runtime, odd, ready(1))
        assert "/" not in status.id
        assert (tmp_path / SERVICE / status.id).is_dir()

    play("process", tmp_path, scene)
