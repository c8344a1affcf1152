"""Kills, lies and shortages against the process runtime: nothing is lost, doubled or left behind."""
# ruff: noqa: ASYNC240 - one scene at a time: a short wait for a file harms nobody

import asyncio
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

import replica_servers
from pierhead import failpoint
from pierhead.core.errors import Unavailable
from pierhead.core.replicas import LEAVING, ReplicaState, ReplicaStatus
from pierhead.core.resources import MIB, Resources
from pierhead.core.templates import Probe
from pierhead.runtimes.process import keeper, limits
from pierhead.runtimes.process import runtime as runtime_module
from pierhead.runtimes.process.identity import arguments, stat
from pierhead.runtimes.process.runtime import ProcessRuntime
from replica_servers import (
    CRASHES,
    NEVER_READY,
    PYTHON,
    SERVER,
    SERVICE,
    alive,
    environment_of,
    gone,
    owner_of,
    ready,
    related,
    runtime,
    settle,
    until,
    workload,
)

S = ReplicaState
Scene = Callable[[ProcessRuntime], Awaitable[None]]


def hub(folder: Path, scene: Scene, *, last: bool = True, **settings: object) -> None:
    """One hub's life: adopt, play, close. The `last` one removes everything and proves it."""

    async def live() -> None:
        made = runtime(folder, **settings)
        try:
            await made.adopt()
            await scene(made)
            if last:
                await gone(made)
                assert not related(folder)
                assert not list(folder.iterdir())
        finally:
            await made.close()

    with nobody_left(folder):
        asyncio.run(asyncio.wait_for(live(), 60))


@contextmanager
def nobody_left(*folders: Path) -> Iterator[None]:
    """A failed test must not leave its servers running."""
    try:
        yield
    except BaseException:
        for folder in folders:
            kill_unseen(folder)
        raise


def crashed(found: list[ReplicaStatus]) -> bool:
    return bool(found) and found[0].state is S.CRASHED


def facts(status: ReplicaStatus) -> tuple[str, int | None, int]:
    """What must not change while a replica lives: id, pid and the pid's start time."""
    now = stat(status.pid or 0)
    assert now is not None
    return status.id, status.pid, now.ticks


def keeper_of(folder: Path, status: ReplicaStatus) -> int:
    path = folder / SERVICE / status.id / "runs" / str(status.runs) / "keeper.json"
    return int(json.loads(path.read_text())["keeper"][0])


def launched(folder: Path, run: int) -> float:
    """When the last replica began that run; how long its engine then takes is the machine's affair."""
    runs = [*folder.glob(f"*/*/runs/{run}/run.json")]
    return max(float(json.loads(each.read_text())["started"]) for each in runs)


def kill_unseen(folder: Path) -> None:
    """Kill everything, keepers first: nobody is left to record how the engines end."""
    everything = related(folder)
    for pid in sorted(everything, key=lambda pid: not is_keeper(pid)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    asyncio.run(until(lambda: not any(alive(pid) for pid in everything)))


def is_keeper(pid: int) -> bool:
    return any(Path(argument).name == "keeper.py" for argument in arguments(pid))


# ---- F01: the hub is killed ------------------------------------------------------------------

#: What the killed hub was doing -> (replicas, rollout, remove) it was asked for.
WORK = {
    "scale-out": (4, "1.0", False),
    "scale-in": (1, "1.0", False),
    "roll": (2, "2.0", False),
    "stop": (0, "1.0", False),
    "remove": (0, "1.0", True),
}
KILLS = [
    ("scale-out", "process.start.before_intent", 1),
    ("scale-out", "process.start.after_intent", 1),
    ("scale-out", "process.start.after_intent", 2),
    ("scale-out", "process.run.after_record", 1),
    ("scale-out", "process.run.after_spawn", 1),
    ("scale-out", "process.run.after_spawn", 2),
    ("scale-out", "process.ready.after_mark", 1),
    ("scale-in", "process.drain.after_mark", 1),
    ("scale-in", "process.stop.after_mark", 1),
    ("scale-in", "process.stop.after_signal", 1),
    ("scale-in", "process.forget.after_rename", 1),
    ("roll", "process.start.after_intent", 2),
    ("roll", "process.run.after_spawn", 1),
    ("roll", "process.drain.after_mark", 2),
    ("roll", "process.stop.after_signal", 1),
    ("stop", "process.drain.after_mark", 2),
    ("stop", "process.forget.before_rename", 2),
    ("remove", "process.stop.after_mark", 1),
    ("remove", "process.stop.after_signal", 2),
    ("remove", "process.forget.before_rename", 1),
    ("remove", "process.forget.after_rename", 2),
    ("remove", "process.forget.after", 1),
]


def test_every_failpoint_is_in_the_list() -> None:
    # pause.after_mark has a test of its own below: it belongs to the end of the platform.
    ours = {name for name in failpoint.POINTS if name.startswith("process.")}
    assert {name for _, name, _ in KILLS} | {"process.pause.after_mark"} == ours


@pytest.mark.parametrize(("work", "point", "nth"), KILLS)
def test_a_killed_hub_is_gone_on_with(work: str, point: str, nth: int, tmp_path: Path) -> None:
    """Law: whoever comes after a killed hub goes on with each of its steps (F01)."""
    replicas, rollout, remove = WORK[work]
    before: list[ReplicaStatus] = []

    async def set_up(made: ProcessRuntime) -> None:
        before.extend(await settle(made, workload(2), ready(2)))

    hub(tmp_path, set_up, last=False)
    was = {facts(status) for status in before}
    end = run_killed_hub(tmp_path, work, f"{point}:kill:nth={nth}")
    assert end == -signal.SIGKILL, "the failpoint was not reached"

    async def go_on(made: ProcessRuntime) -> None:
        taken_up = made.observe(SERVICE)
        if work == "scale-out":
            assert was <= {facts(s) for s in taken_up if s.state is S.READY}, "no route is dropped"
        if point.startswith(("process.drain", "process.stop")):
            assert any(s.state in LEAVING for s in taken_up), "it came back into traffic"
        if remove:
            await gone(made)
            return
        drained = frozenset(status.id for status in taken_up) | {s.id for s in before}
        wanted = replace(workload(replicas, rollout=rollout), drained=drained)
        found = await settle(made, wanted, ready(replicas, rollout))
        if work == "scale-out":
            assert was <= {facts(status) for status in found}
        if work == "scale-in":
            assert {facts(status) for status in found} <= was
        assert len(related(tmp_path)) == 2 * replicas, "a keeper and an engine each, no more"

    hub(tmp_path, go_on)


def run_killed_hub(folder: Path, work: str, point: str) -> int:
    replicas, rollout, remove = WORK[work]
    arguments = [str(folder), str(replicas), rollout, "remove" if remove else "apply"]
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, replica_servers.__file__, *arguments],
        env={**os.environ, "PIERHEAD_FAILPOINT": point, "PYTHONPATH": paths},
        timeout=40,
        check=False,
    )
    return done.returncode


def test_adoption_keeps_processes_and_routes(tmp_path: Path) -> None:
    """Law: the next hub adopts what runs, by pid, start time and replica (F01)."""
    before: list[ReplicaStatus] = []

    async def first(made: ProcessRuntime) -> None:
        before.extend(await settle(made, workload(3), ready(3)))

    async def second(made: ProcessRuntime) -> None:
        at_once = made.observe(SERVICE)
        assert {s.state for s in at_once} == {S.READY}, "ready before any probe ran again"
        assert {s.address for s in at_once} == {s.address for s in before}
        assert {s.ready_at for s in at_once} == {s.ready_at for s in before}
        found = await settle(made, workload(3), ready(3))
        assert {facts(s) for s in found} == was

    hub(tmp_path, first, last=False)
    was = {facts(status) for status in before}
    hub(tmp_path, second)


def test_an_end_is_known_even_if_no_hub_saw_it(tmp_path: Path) -> None:
    """Law: how a replica ended is known although no hub ran then (F01)."""
    code = SERVER.replace("os._exit(0)", "os._exit(7)")
    before: list[ReplicaStatus] = []

    async def first(made: ProcessRuntime) -> None:
        before.extend(await settle(made, workload(1, code=code), ready(1)))

    async def second(made: ProcessRuntime) -> None:
        (status,) = made.observe(SERVICE)
        assert (status.state, status.failures) == (S.CRASHED, 1)
        assert status.last_exit is not None
        assert status.last_exit.code == 7
        assert status.last_lines[-1] == "leaving"
        (again,) = await settle(made, workload(1, code=code), ready(1))
        assert again.runs == 2

    hub(tmp_path, first, last=False)
    os.kill(before[0].pid or 0, signal.SIGTERM)
    asyncio.run(until(lambda: not related(tmp_path)))
    hub(tmp_path, second)


def test_the_platform_s_end_is_no_crash(tmp_path: Path) -> None:
    async def first(made: ProcessRuntime) -> None:
        await settle(made, workload(2), ready(2))
        await made.stop_all(5.0)
        assert not related(tmp_path)

    async def second(made: ProcessRuntime) -> None:
        assert all(status.failures == 0 for status in made.observe(SERVICE))
        began = time.time()
        found = await settle(made, workload(2), ready(2))
        assert launched(tmp_path, run=2) - began < 2, "they waited for a back-off"
        assert [status.failures for status in found] == [0, 0]

    hub(tmp_path, first, last=False)
    hub(tmp_path, second)


# ---- F03, F04: whole trees, reboots, recycled pids ---------------------------------------------


@pytest.mark.parametrize("reboot", [False, True])
def test_the_whole_tree_killed_comes_back_unattended(reboot: bool, tmp_path: Path) -> None:
    """Law: what should run runs again after a kill of all, or a reboot (F03)."""

    async def first(made: ProcessRuntime) -> None:
        await settle(made, workload(2), ready(2))

    async def second(made: ProcessRuntime) -> None:
        began = time.time()
        found = await settle(made, workload(2), ready(2))
        assert launched(tmp_path, run=2) - began < 5
        assert [status.runs for status in found] == [2, 2]
        assert [status.failures for status in found] == ([0, 0] if reboot else [1, 1])

    hub(tmp_path, first, last=False)
    kill_unseen(tmp_path)
    hub(tmp_path, second, **({"boot": "another boot"} if reboot else {}))


@pytest.mark.parametrize("recycled", ["engine", "keeper", "other boot"])
def test_a_recycled_pid_never_gets_a_signal(recycled: str, tmp_path: Path) -> None:
    """Law: a process that has a dead engine's pid never gets a signal (F04)."""

    async def first(made: ProcessRuntime) -> None:
        await settle(made, workload(1), ready(1))

    async def second(made: ProcessRuntime) -> None:
        await until(lambda: made.observe(SERVICE)[0].state is S.CRASHED)
        (status,) = made.observe(SERVICE)
        assert status.last_exit is not None
        assert status.last_exit.lost
        (again,) = await settle(made, workload(1), ready(1))
        assert again.runs == 2

    hub(tmp_path, first, last=False)
    kill_unseen(tmp_path)
    with subprocess.Popen(
        [*PYTHON, "import time; time.sleep(60)"], start_new_session=True
    ) as stranger:
        try:
            (path,) = tmp_path.glob("*/*/runs/1/keeper.json")
            record = json.loads(path.read_text())
            born = stat(stranger.pid)
            assert born is not None
            if recycled == "other boot":  # the very same numbers, but of another boot
                record |= {"engine": [stranger.pid, born.ticks], "boot": "another boot"}
            else:  # the same pid, another start time
                record[recycled] = [stranger.pid, born.ticks - 1]
            path.write_text(json.dumps(record))
            hub(tmp_path, second)
            assert stranger.poll() is None, "a stranger was killed"
        finally:
            stranger.kill()


# ---- keepers and engines are killed ------------------------------------------------------------


@pytest.mark.parametrize("adopted", [False, True])
@pytest.mark.parametrize("victim", ["engine", "keeper"])
def test_a_killed_process_is_noticed_and_replaced(
    victim: str, adopted: bool, tmp_path: Path
) -> None:
    """Law: a killed engine or keeper is noticed and replaced (F01)."""

    async def first(made: ProcessRuntime) -> None:
        await settle(made, workload(1), ready(1))

    async def second(made: ProcessRuntime) -> None:
        (status,) = await settle(made, workload(1), ready(1))
        engine = status.pid or 0
        kept_by = keeper_of(tmp_path, status)
        began = time.monotonic()
        os.kill(engine if victim == "engine" else kept_by, signal.SIGKILL)
        await until(lambda: made.observe(SERVICE)[0].state is S.CRASHED)
        noticed = time.monotonic() - began
        print(f"{victim} killed, noticed after {noticed * 1000:.1f} ms")
        assert noticed < 0.5
        assert not alive(engine)
        assert not alive(kept_by)
        (seen,) = made.observe(SERVICE)
        assert seen.reason == ("Killed" if victim == "engine" else "Lost")
        (again,) = await settle(made, workload(1), ready(1))
        assert time.monotonic() - began < 3
        assert (again.id, again.runs, again.failures) == (status.id, 2, 1)
        assert len(related(tmp_path)) == 2

    if adopted:
        hub(tmp_path, first, last=False)
    hub(tmp_path, second)


def test_a_hanging_keeper_does_not_stop_a_removal(tmp_path: Path) -> None:
    async def scene(made: ProcessRuntime) -> None:
        (status,) = await settle(made, workload(1), ready(1))
        os.kill(keeper_of(tmp_path, status), signal.SIGSTOP)
        began = time.monotonic()
        while not await made.remove(SERVICE, 0.2):
            assert time.monotonic() - began < 8
            await asyncio.sleep(0.02)
        assert not alive(status.pid or 0)

    hub(tmp_path, scene)


def test_a_second_keeper_of_a_replica_goes_away(tmp_path: Path) -> None:
    async def scene(made: ProcessRuntime) -> None:
        (status,) = await settle(made, workload(1), ready(1))
        run = tmp_path / SERVICE / status.id / "runs" / "1"
        argv = [
            sys.executable,
            "-I",
            "-S",
            keeper.__file__,
            owner_of(tmp_path),
            status.id,
            str(run),
        ]
        second = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.DEVNULL)
        assert await asyncio.wait_for(second.wait(), 5) == keeper.DUPLICATE
        assert made.observe(SERVICE)[0].state is S.READY

    hub(tmp_path, scene)


def test_what_belongs_to_no_replica_is_ended_and_cleared(tmp_path: Path) -> None:
    before: list[ReplicaStatus] = []

    async def first(made: ProcessRuntime) -> None:
        before.extend(await settle(made, workload(2), ready(2)))

    async def second(made: ProcessRuntime) -> None:
        (left,) = made.observe(SERVICE)
        assert left.id == before[1].id
        assert not alive(before[0].pid or 0)
        assert {path.name for path in (tmp_path / SERVICE).iterdir()} == {left.id}

    hub(tmp_path, first, last=False)
    (tmp_path / SERVICE / before[0].id / "replica.json").unlink()  # its creation was cut off
    (tmp_path / SERVICE / ".gone-echo-x" / "runs").mkdir(parents=True)  # its removal was cut off
    (tmp_path / SERVICE / "echo-half" / "runs").mkdir(parents=True)
    hub(tmp_path, second)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_replica_of_the_old_version_runs_again_as_it_was(restarted: bool, tmp_path: Path) -> None:
    bad = workload(1, code=CRASHES, rollout="2.0")

    async def first(made: ProcessRuntime) -> None:
        await settle(made, workload(1, env={"VERSION": "one"}), ready(1))
        await settle(made, bad, lambda found: any(s.failures for s in found))
        if not restarted:
            await second(made)

    async def second(made: ProcessRuntime) -> None:
        (old,) = (s for s in made.observe(SERVICE) if s.rollout == "1.0")
        await until(lambda: any(s.pid for s in made.observe(SERVICE) if s.id == old.id))
        (old,) = (s for s in made.observe(SERVICE) if s.id == old.id)
        os.kill(old.pid or 0, signal.SIGKILL)

        def back(found: list[ReplicaStatus]) -> bool:
            return any(
                s.id == old.id and s.runs == 2 and s.state is S.READY and s.pid for s in found
            )

        found = await settle(made, bad, back)
        (pid,) = (s.pid for s in found if s.id == old.id)
        assert environment_of(pid or 0)["VERSION"] == "one"

    hub(tmp_path, first, last=not restarted)
    if restarted:
        hub(tmp_path, second)


# ---- F06, F08, F41: crash loops, liars, and what is said of them --------------------------------


def test_back_off_goes_on_after_a_restart_of_the_hub(tmp_path: Path) -> None:
    """Law: the pauses of a crash loop outlive the hub (F06)."""
    wanted = workload(1, code=CRASHES)
    before: list[ReplicaStatus] = []

    async def first(made: ProcessRuntime) -> None:
        before.extend(await settle(made, wanted, lambda f: crashed(f) and f[0].failures == 2))

    async def second(made: ProcessRuntime) -> None:
        (after,) = made.observe(SERVICE)
        (was,) = before
        assert (after.failures, after.retry_at) == (was.failures, was.retry_at)
        assert (after.reason, after.message) == (was.reason, was.message)
        assert "exit code 3" in after.message
        first_run = tmp_path / SERVICE / after.id / "runs" / "1" / "log"
        assert "no such tensor" in first_run.read_text()

    hub(tmp_path, first, last=False)
    hub(tmp_path, second)


ANSWERS = SERVER.replace(
    'b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok"', "answer()"
).replace(
    "server = socket",
    "def answer():\n"
    "    body = open(os.environ['ANSWER'], 'rb').read()\n"
    "    status, _, body = body.partition(b' ')\n"
    "    return b'HTTP/1.1 %s X\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n%s' % (status, len(body), body)\n"
    "server = socket",
    1,
)


@pytest.mark.parametrize(
    "lie",
    [
        "200 ok",
        '200 {"choices": []}',
        '200 {"model": "another", "choices": [{"text": "x"}]}',
        '200 ["choices"]',
        '500 {"choices": [{"text": "x"}]}',
    ],
)
def test_a_liar_never_becomes_ready(lie: str, tmp_path: Path) -> None:
    """Law: who is well and serves something else is never ready (F08)."""
    answer = tmp_path / "answer"
    answer.write_text(lie)
    probe = Probe(kind="completion", path="/v1/completions", period=0.2)
    wanted = workload(1, code=ANSWERS, env={"ANSWER": str(answer)}, readiness=probe)

    async def scene(made: ProcessRuntime) -> None:
        await settle(made, wanted, lambda f: bool(f) and f[0].reason == "NotReadyYet")
        give_up = time.monotonic() + 0.5
        while time.monotonic() < give_up:
            assert made.observe(SERVICE)[0].state is S.STARTING
            await asyncio.sleep(0.02)
        answer.write_text('200 {"model": "echo", "choices": [{"text": "x"}]}')
        await settle(made, wanted, ready(1))

    hub(tmp_path / "replicas", scene)


def test_unready_and_ready_again(tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    answer.write_text("200 ok")
    probe = Probe(kind="http", path="/", period=0.05, failures=2)
    wanted = workload(1, code=ANSWERS, env={"ANSWER": str(answer)}, readiness=probe)

    async def scene(made: ProcessRuntime) -> None:
        (was,) = await settle(made, wanted, ready(1))
        answer.write_text("503 no")
        (sick,) = await settle(made, wanted, lambda f: f[0].state is S.UNREADY)
        assert (sick.reason, "503" in sick.message) == ("ProbeFailed", True)
        answer.write_text("200 ok")
        (well,) = await settle(made, wanted, ready(1))
        assert (well.pid, well.reason, well.message) == (was.pid, "", "")

    hub(tmp_path / "replicas", scene)


def test_a_failing_liveness_probe_restarts_with_a_reason(tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    answer.write_text("200 ok")
    alive_probe = Probe(kind="http", path="/live", period=0.05, failures=2)
    wanted = workload(1, code=ANSWERS, env={"ANSWER": str(answer)}, liveness=alive_probe)

    async def scene(made: ProcessRuntime) -> None:
        await settle(made, wanted, ready(1))
        answer.write_text("500 stuck")
        (ended,) = await settle(made, wanted, crashed)
        assert ended.reason == "LivenessFailed"
        assert "500" in ended.message
        answer.write_text("200 ok")
        (again,) = await settle(made, wanted, ready(1))
        assert again.runs == 2

    hub(tmp_path / "replicas", scene)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("tcp", SERVER),
        ("auto", SERVER),
        ("auto", SERVER.replace("HTTP/1.1 200 OK", "HELLO")),  # listens, but speaks no HTTP
        ("exec", "import time; open('up', 'w').close(); time.sleep(600)"),
    ],
)
def test_each_kind_of_probe_finds_a_ready_server(kind: str, code: str, tmp_path: Path) -> None:
    see = ("/bin/sh", "-c", 'test -e up && test -n "$REPLICA_ID"')
    probe = Probe(kind=kind, command=see, period=0.2, timeout=1.0)  # type: ignore[arg-type]

    async def scene(made: ProcessRuntime) -> None:
        await settle(made, workload(1, code=code, readiness=probe), ready(1))

    hub(tmp_path, scene)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("/nowhere/engine",), "CommandNotFound"),
        (("/etc/hostname",), "CommandNotExecutable"),
        ((*PYTHON, "import os; os.kill(os.getpid(), 4)"), "IllegalInstruction"),
        (("/bin/sh", "-c", "exit 132"), "IllegalInstruction"),
        ((*PYTHON, "import os; os.abort()"), "Aborted"),
        ((*PYTHON, "import nosuchmodule"), "ModuleMissing"),
        ((*PYTHON, "raise OSError('Address already in use')"), "PortTaken"),
        ((*PYTHON, "pass"), "Exited"),
    ],
)
def test_each_end_is_named_within_seconds(
    command: tuple[str, ...], reason: str, tmp_path: Path
) -> None:
    """Law: each way to die has its own name (F41)."""

    async def scene(made: ProcessRuntime) -> None:
        (status,) = await settle(made, workload(1, command=command), crashed, seconds=5.0)
        assert status.reason == reason

    hub(tmp_path, scene)


def test_a_folder_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = replica_servers.launch
    monkeypatch.setattr(
        replica_servers, "launch", lambda w, p: replace(real(w, p), cwd="/nowhere/at/all")
    )

    async def scene(made: ProcessRuntime) -> None:
        (status,) = await settle(made, workload(1), crashed, seconds=5.0)
        assert status.reason == "NotStarted"
        assert "/nowhere/at/all" in status.message

    hub(tmp_path, scene)


def test_without_pidfds_ends_are_noticed_by_polling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: int) -> int:
        raise OSError(38, "Function not implemented")

    async def scene(made: ProcessRuntime) -> None:
        monkeypatch.setattr(os, "pidfd_open", refused)
        (status,) = await settle(made, workload(1), ready(1))
        os.kill(status.pid or 0, signal.SIGKILL)
        began = time.monotonic()
        await settle(made, workload(1), crashed)
        assert time.monotonic() - began < 1.5
        await settle(made, workload(1), ready(1))
        await gone(made)

    hub(tmp_path, scene)


def test_a_replica_kept_by_somebody_unseen_stops_the_start(tmp_path: Path) -> None:
    async def first(made: ProcessRuntime) -> None:
        await settle(made, workload(1), ready(1))
        await made.stop_all(5.0)

    async def nothing(_: ProcessRuntime) -> None:
        raise AssertionError("it must not come up")

    hub(tmp_path, first, last=False)
    (lock,) = tmp_path.glob("*/*/lock")
    with lock.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match="cannot be seen"):
            hub(tmp_path, nothing)


# ---- ports -------------------------------------------------------------------------------------


def free_range(count: int) -> range:
    """Ports that nobody uses now, below the kernel's own."""
    for start in range(20000 + os.getpid() % 500, 21000 - count, count):
        sockets = [socket.socket() for _ in range(count)]
        try:
            for offset, one in enumerate(sockets):
                one.bind(("127.0.0.1", start + offset))
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
        return range(start, start + count)
    raise AssertionError("no free ports")


def test_two_hubs_never_share_a_port_and_leases_outlive_them(tmp_path: Path) -> None:
    ports = free_range(5)
    settings = {"ports": ports, "port_locks": tmp_path / "locks"}
    a, b = tmp_path / "a", tmp_path / "b"

    async def scene() -> None:
        one, two = runtime(a, **settings), runtime(b, **settings)
        stranger = socket.create_server(("127.0.0.1", ports[0]))
        try:
            await asyncio.gather(one.adopt(), two.adopt())
            await one.apply(
                workload(2, code=NEVER_READY)
            )  # listens to nothing, yet its ports are its
            found = one.observe(SERVICE)
            await one.close()  # a hub is gone, its replicas and their ports are not
            found += await settle(two, workload(2), ready(2))
            assert {status.port for status in found} == {*ports[1:]}
            with pytest.raises(Unavailable, match="all ports"):
                await two.apply(workload(3))
            one = runtime(a, **settings)
            await one.adopt()
            await gone(one)
            await settle(two, workload(3), ready(3))
        finally:
            stranger.close()
            await gone(one)
            await gone(two)
            await one.close()
            await two.close()

    with nobody_left(a, b):
        asyncio.run(asyncio.wait_for(scene(), 40))


def test_a_folder_of_leases_that_others_may_write_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "locks"
    shared.mkdir()
    shared.chmod(0o777)

    async def scene(made: ProcessRuntime) -> None:
        with pytest.raises(Unavailable, match="only this user"):
            await made.apply(workload(1))
        (status,) = made.observe(SERVICE)
        assert (status.state, status.reason) == (S.PENDING, "CannotStart")

    hub(tmp_path / "replicas", scene, port_locks=shared)


# ---- limits ------------------------------------------------------------------------------------

HUNGRY = "x = bytearray(300 << 20); x[::4096] = b'y' * len(x[::4096]); print('fed', len(x))"


def test_a_replica_over_its_memory_limit_is_named(tmp_path: Path) -> None:
    """Law: a replica over its memory limit is ended and named (F41)."""
    if limits.detect(owner_of(tmp_path)).memory is None:
        pytest.skip("NO MEMORY CGROUP CAN BE MADE HERE: the kernel's limit is not tested")
    wanted = workload(1, code=HUNGRY, resources=Resources(memory=96 * MIB))

    async def scene(made: ProcessRuntime) -> None:
        (status,) = await settle(made, wanted, crashed)
        assert status.last_exit is not None
        assert status.last_exit.oom
        assert status.reason == "OutOfMemory"
        assert status.limits == "cgroup memory 96.0 MiB"
        await gone(made)
        assert not list(Path("/sys/fs/cgroup").glob(f"**/pierhead-{owner_of(tmp_path)}-*"))

    hub(tmp_path, scene)


def test_a_cpu_limit_holds(tmp_path: Path) -> None:
    if limits.detect(owner_of(tmp_path)).cpu is None:
        pytest.skip("NO CPU CGROUP CAN BE MADE HERE: the kernel's limit is not tested")
    code = (
        "import time; end = time.monotonic() + 1\n"
        "while time.monotonic() < end: pass\n"
        "print(time.process_time())"
    )
    wanted = workload(1, code=code, resources=Resources(cpu=0.2))

    async def scene(made: ProcessRuntime) -> None:
        (status,) = await settle(made, wanted, crashed)
        assert status.limits == "cgroup cpu 0.2"
        assert float(status.last_lines[-1]) < 0.5

    hub(tmp_path, scene)


def test_without_cgroups_rlimits_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_module, "detect", lambda owner: limits.Limits(owner, None, None))
    code = f"import os; print(os.nice(0)); {HUNGRY}"
    wanted = workload(1, code=code, resources=Resources(memory=96 * MIB, cpu=1))

    async def scene(made: ProcessRuntime) -> None:
        assert "RLIMIT_DATA" in (await made.probe()).limits
        (status,) = await settle(made, wanted, crashed)
        assert status.reason == "OutOfMemory"
        assert status.limits == "rlimit data 96.0 MiB, nice 5"
        assert int(status.last_lines[0]) >= 5

    hub(tmp_path, scene)


def test_the_files_of_cgroup_v2(tmp_path: Path) -> None:
    """The kernel of this machine may have v1 only: the folder stands in for the v2 tree."""
    tree = limits.Controller(tmp_path, 2)
    both = limits.Limits("me", tree, tree)
    wanted = Resources(memory=64 * MIB, cpu=1.5)
    both.prepare("echo-1", wanted)
    group = tmp_path / "pierhead-me-echo-1"
    assert (group / "memory.max").read_text() == str(64 * MIB)
    assert (group / "cpu.max").read_text() == "150000 100000"
    bounds = both.bounds("echo-1", wanted)
    assert bounds.cgroups == (str(group),), "one group, joined once"
    assert bounds.oom_file == str(group / "memory.events")


# ---- F34: arguments and secrets ----------------------------------------------------------------


def test_arguments_are_never_a_shell_s_and_secrets_stay_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: arguments never meet a shell, and secrets are in no process list or log (F34)."""
    monkeypatch.setenv("PIERHEAD_DATABASE_PASSWORD", "platform-secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "platform-secret")
    canary = tmp_path / "canary"
    odd = (f"; touch {canary}", f"$(touch {canary})", f"`touch {canary}`", "a\nb", "--help", "'\"")
    code = f"import sys; print(sys.argv[1:]); sys.stdout.flush()\n{SERVER}"
    command = (*PYTHON, code, *odd)
    wanted = workload(1, command=command, env={"API_TOKEN": "template-secret"})

    async def scene(made: ProcessRuntime) -> None:
        (status,) = await settle(made, wanted, ready(1))
        environment = environment_of(status.pid or 0)
        assert environment["API_TOKEN"] == "template-secret"
        assert set(environment) - {"LC_CTYPE"} == {
            *("PATH", "HOME", "LANG", "TMPDIR", "PORT", "REPLICA_ID", "API_TOKEN"),
            *("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"),
        }
        while not (lines := await made.logs(SERVICE)):  # noqa: ASYNC110 - it may be ready sooner
            await asyncio.sleep(0.02)
        assert lines[0].text == str(list(odd))
        assert not canary.exists()
        for pid in related(tmp_path / "replicas"):
            shown = Path(f"/proc/{pid}/cmdline").read_bytes()
            assert b"secret" not in shown.replace(b"SECRET", b"")
        for path in (tmp_path / "replicas").rglob("*"):
            if path.is_file() and b"secret" in path.read_bytes():
                assert path.name == "replica.json"
                assert path.stat().st_mode & 0o077 == 0

    hub(tmp_path / "replicas", scene)


# ---- F14: the disk is full ---------------------------------------------------------------------


def test_a_full_disk_costs_lines_not_time(tmp_path: Path) -> None:
    """Law: a full disk costs an engine its log lines, and no time (F14)."""
    log = keeper.Log("/dev/full", 1000)
    log.feed(b"one\ntwo\n", 1.0)
    assert log.dropped == 2
    log.feed(b"three\n", 1.5)
    assert log.dropped == 3
    os.close(log.fd)
    log.fd, log.path = -1, str(tmp_path / "log")
    log.feed(b"four\n", 3.0)
    text = (tmp_path / "log").read_text()
    os.close(log.fd)
    assert "3 lines dropped" in text
    assert text.endswith("3.000 four\n")
    assert log.dropped == 0


def test_a_disk_that_refuses_the_intent_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: what a full disk refuses is told and tried again (F14)."""
    from pierhead.runtimes.process import records

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async def scene(made: ProcessRuntime) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(records, "write", full)
            with pytest.raises(Unavailable, match="No space left"):
                await made.apply(workload(1))
        await settle(made, workload(1), ready(1))
        assert len(related(tmp_path)) == 2

    hub(tmp_path, scene)
