"""Files of a replica that cannot be read: no end is lost, and no hub is kept from starting by them.

An engine runs as the same user, in a folder beside these files; a hub may be out of descriptors.
"""

import asyncio
import json
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from stage import Stage
from structlog.testing import capture_logs
from test_process_runtime import crashed, hub, keeper_of, nobody_left

from pierhead.core.replicas import ReplicaState as S
from pierhead.core.replicas import ReplicaStatus
from pierhead.core.templates import Probe
from pierhead.runtimes.process.runtime import ProcessRuntime
from replica_servers import SERVICE, alive, ready, related, settle, until, workload


def a_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def saying(**facts: object) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        path.unlink(missing_ok=True)
        path.write_text(json.dumps(facts))

    spoil.__name__ = ",".join(facts)
    return spoil


def run_of(folder: Path, status: ReplicaStatus) -> Path:
    return folder / SERVICE / status.id / "runs" / str(status.runs)


# ---- a hub that runs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "victim", "reason"),
    [
        ("exit.json", "engine", "Lost"),
        ("killed.json", "engine", "Killed"),
        ("pause.json", "engine", "Killed"),
        ("log.1", "engine", "Killed"),
        ("exit.json", "keeper", "Lost"),
        ("keeper.json", "keeper", "Lost"),
    ],
)
def test_an_end_is_noticed_although_a_file_about_it_cannot_be_read(
    name: str, victim: str, reason: str, tmp_path: Path
) -> None:
    """Law: a killed engine or keeper is noticed and replaced, whatever lies in its folder (F01)."""

    async def scene(made: ProcessRuntime) -> None:
        (was,) = await settle(made, workload(1), ready(1))
        kept_by = keeper_of(tmp_path, was)
        a_folder(run_of(tmp_path, was) / name)
        os.kill(was.pid or 0 if victim == "engine" else kept_by, signal.SIGKILL)
        await until(lambda: made.observe(SERVICE)[0].state is S.CRASHED)
        assert made.observe(SERVICE)[0].reason == reason
        assert not alive(was.pid or 0)
        (again,) = await settle(made, workload(1), ready(1))
        assert (again.id, again.runs) == (was.id, 2)

    hub(tmp_path, scene)


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Nothing can be opened any more; what is open stays so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            os.open("/", os.O_RDONLY)
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def ended(pid: int) -> bool:
    """Has our child ended? Asked without a descriptor."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


def test_an_end_without_descriptors_is_told_once_there_are_some(tmp_path: Path) -> None:
    """Law: a killed engine is noticed and replaced, also by a hub that was out of descriptors (F01)."""

    async def scene(made: ProcessRuntime) -> None:
        (was,) = await settle(made, workload(1), ready(1))
        kept_by = keeper_of(tmp_path, was)
        with no_descriptors():
            os.kill(was.pid or 0, signal.SIGKILL)
            await until(lambda: ended(kept_by))
            await asyncio.sleep(0.1)  # the loop hears of it, and can look at nothing
        await until(lambda: made.observe(SERVICE)[0].state is S.CRASHED)
        assert made.observe(SERVICE)[0].reason == "Killed", "its end was written down all the same"
        await settle(made, workload(1), ready(1))

    hub(tmp_path, scene)


def test_a_removal_ends_although_the_end_cannot_be_read(tmp_path: Path) -> None:
    """Law: delete works from every state (F11)."""

    async def scene(made: ProcessRuntime) -> None:
        (was,) = await settle(made, workload(1), ready(1))
        a_folder(run_of(tmp_path, was) / "exit.json")
        a_folder(tmp_path / SERVICE / was.id / "stop.json")

    hub(tmp_path, scene)  # which removes it, and proves that


# ---- a hub that starts -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("runs/1/exit.json", a_folder),
        ("runs/1/exit.json", a_pipe),
        ("runs/1/exit.json", saying(code=3)),
        ("runs/1/exit.json", saying(at="soon")),
        ("runs/1/keeper.json", a_folder),
        ("runs/1/keeper.json", saying(keeper=[1])),
        ("runs/1/killed.json", saying(why="no")),
        ("runs/1/ready.json", saying(since=1)),
        ("runs/1/pause.json", a_folder),
        ("runs/1/log", a_folder),
    ],
)
def test_a_bad_file_about_an_end_does_not_keep_the_hub_from_starting(
    name: str, spoil: Callable[[Path], None], tmp_path: Path
) -> None:
    """Law: the next hub adopts what runs, whatever became of the rest (F01)."""
    before: list[ReplicaStatus] = []

    async def first(made: ProcessRuntime) -> None:
        before.extend(await settle(made, workload(2), ready(2)))
        os.kill(before[0].pid or 0, signal.SIGKILL)
        await until(lambda: any(s.state is S.CRASHED for s in made.observe(SERVICE)))

    async def second(made: ProcessRuntime) -> None:
        await until(lambda: crashed([s for s in made.observe(SERVICE) if s.id == before[0].id]))
        (other,) = (s for s in made.observe(SERVICE) if s.id == before[1].id)
        assert other.state is S.READY
        found = await settle(made, workload(2), ready(2))
        assert {s.id: s.runs for s in found} == {before[0].id: 2, before[1].id: 1}
        assert await made.attempts(SERVICE, lines=5)

    hub(tmp_path, first, last=False)
    spoil(tmp_path / SERVICE / before[0].id / name)
    hub(tmp_path, second)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("replica.json", a_folder),
        ("replica.json", a_pipe),
        ("replica.json", saying(id="x", workload=[])),
        ("drain.json", a_folder),
        ("stop.json", saying(at=1)),
        ("runs/1/run.json", saying(number=1)),
    ],
)
def test_a_replica_that_cannot_be_read_is_left_alone_until_it_is_removed(
    name: str, spoil: Callable[[Path], None], tmp_path: Path
) -> None:
    """Law: the next hub adopts what runs; one it cannot read is named, and costs no other (F01)."""
    before: list[ReplicaStatus] = []

    async def first(made: ProcessRuntime) -> None:
        before.extend(await settle(made, workload(2), ready(2)))

    async def second(made: ProcessRuntime) -> None:
        (other,) = made.observe(SERVICE)
        assert (other.id, other.state) == (before[1].id, S.READY)
        assert alive(before[0].pid or 0), "it was ended"
        assert (tmp_path / SERVICE / before[0].id).exists(), "it was removed"
        await settle(made, workload(2), ready(2))
        assert len(related(tmp_path)) == 6

    hub(tmp_path, first, last=False)
    with nobody_left(tmp_path):
        spoil(tmp_path / SERVICE / before[0].id / name)
        with capture_logs() as told:
            hub(tmp_path, second)  # the service's end is that one's, too
        assert [line["replica"] for line in told if line["log_level"] == "warning"] == [
            before[0].id
        ]


def test_a_lock_that_cannot_be_opened_costs_its_replica_only(tmp_path: Path) -> None:
    """Law: the next hub adopts what runs; one it cannot read is named, and costs no other (F01)."""
    before: list[ReplicaStatus] = []

    async def first(made: ProcessRuntime) -> None:
        before.extend(await settle(made, workload(2), ready(2)))
        os.kill(before[0].pid or 0, signal.SIGKILL)
        await until(lambda: any(s.state is S.CRASHED for s in made.observe(SERVICE)))

    async def second(made: ProcessRuntime) -> None:
        assert [s.id for s in made.observe(SERVICE)] == [before[1].id]

    hub(tmp_path, first, last=False)
    a_folder(tmp_path / SERVICE / before[0].id / "lock")
    hub(tmp_path, second)


# ---- the platform ends -------------------------------------------------------------------------


def test_a_mark_that_cannot_be_written_does_not_keep_the_platform_from_ending(
    tmp_path: Path,
) -> None:
    """Law: the platform's end ends every replica, on a full disk too (F14)."""

    async def first(made: ProcessRuntime) -> None:
        (was, _other) = await settle(made, workload(2), ready(2))
        a_folder(run_of(tmp_path, was) / "pause.json.new")
        await made.stop_all(5.0)
        assert not related(tmp_path)

    async def second(made: ProcessRuntime) -> None:
        assert sorted(s.failures for s in made.observe(SERVICE)) == [0, 1]
        await settle(made, workload(2), ready(2))

    hub(tmp_path, first, last=False)
    hub(tmp_path, second)


# ---- marks of another time ---------------------------------------------------------------------


def test_a_drain_that_came_too_late_does_not_end_a_later_run(tmp_path: Path) -> None:
    """Law: the next hub adopts what runs, whatever was planned for a run before it (F01)."""

    async def first(made: ProcessRuntime) -> None:
        (was,) = await settle(made, workload(1), ready(1))
        os.kill(was.pid or 0, signal.SIGKILL)
        await settle(made, workload(1), crashed)
        # It crashed while its mark was written: the planner sees that, and runs it again.
        replica = made._services[SERVICE][was.id]
        await replica.drain()
        await settle(made, workload(1), ready(1))

    async def second(made: ProcessRuntime) -> None:
        (found,) = made.observe(SERVICE)
        assert (found.state, found.runs) == (S.READY, 2)

    hub(tmp_path, first, last=False)
    assert list(tmp_path.glob("*/*/drain.json"))
    hub(tmp_path, second)


# ---- runs of replaced replicas -----------------------------------------------------------------


def test_runs_that_go_while_they_are_told_are_passed_over(tmp_path: Path) -> None:
    """Law: what is told of past runs is never refused because one of them makes room."""
    gone = tmp_path / ".past" / SERVICE / "echo-gone"
    gone.parent.mkdir(parents=True)
    gone.symlink_to("nowhere")  # as a folder that was listed, and is removed before it is read

    async def scene(made: ProcessRuntime) -> None:
        await settle(made, workload(1), ready(1))
        assert [one.number for one in await made.attempts(SERVICE)] == [1]

    hub(tmp_path, scene)


# ---- open files --------------------------------------------------------------------------------


def test_an_engine_and_its_probe_open_as_many_files_as_before(tmp_path: Path) -> None:
    """Law: what the hub takes for itself does not slow down who closes all that may be open."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    code = "import resource as r, time; print(r.getrlimit(r.RLIMIT_NOFILE), flush=True); time.sleep(600)"
    probe = Probe(kind="exec", command=("/bin/sh", "-c", "test $(ulimit -Sn) = 321"), period=0.1)

    async def scene(made: ProcessRuntime) -> None:
        await settle(made, workload(1, code=code, readiness=probe), ready(1))
        while not (lines := await made.logs(SERVICE)):  # noqa: ASYNC110 - its probe may be quicker
            await asyncio.sleep(0.02)
        assert [line.text for line in lines] == [f"(321, {hard})"]

    hub(tmp_path, scene, open_files=321)


def open_files(pid: int) -> list[str]:
    """Its soft and its hard limit."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("Max open files"))
    return line.split()[3:5]


def test_hub_and_gateway_open_as_many_files_as_they_may(stage: Stage) -> None:
    """Law: a hub or gateway is not out of descriptors before the machine's owner wants it to be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
    try:
        stage.up()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    stage.ready()
    for role in ("hub", "gateway"):
        assert open_files(stage.one(role).pid) == [str(hard), str(hard)], role
    stage.create("plain")
    stage.running("plain")
    (engine,) = stage.replicas("plain").values()
    assert open_files(engine.pid) == ["400", str(hard)]
