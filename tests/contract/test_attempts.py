"""The first and the last runs of a replica: kept over restarts, replacements and hubs, within bounds."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pierhead.core.replicas import Exit, ReplicaStatus
from pierhead.core.templates import Probe
from pierhead.runtimes.process import attempts
from pierhead.runtimes.process.records import Intent, ReplicaFolder, RunFacts
from pierhead.runtimes.process.runtime import ProcessRuntime
from replica_servers import SERVICE, gone, ready, runtime, settle, workload

SAYS = "import os, sys; print('secret', os.environ['PASSWORD'], 'in'); sys.exit(3)"
PASSWORD = "correct-horse-battery"


def hub(folder: Path, scene: Callable[[ProcessRuntime], Awaitable[None]]) -> None:
    """A hub's life: it takes up what there is, does the scene and lets go."""

    async def run() -> None:
        made = runtime(folder)
        await made.adopt()
        try:
            await scene(made)
        finally:
            await made.close()

    asyncio.run(asyncio.wait_for(run(), 40))


def crashed(times: int) -> Callable[[list[ReplicaStatus]], bool]:
    return lambda found: bool(found) and found[0].failures >= times


def test_runs_are_told_while_it_crashes_to_the_next_hub_and_after_it_was_replaced(
    tmp_path: Path,
) -> None:
    """Law: what says why outlives the hub and the replica; it goes with the service."""
    ill = workload(1, code=SAYS, env={"PASSWORD": PASSWORD})

    async def crash(made: ProcessRuntime) -> None:
        await settle(made, ill, crashed(2))
        first, second = await made.attempts(SERVICE, lines=5)
        assert (first.number, second.number) == (1, 2)
        assert first.end is not None
        assert (first.end.code, first.reason) == (3, "Crashed")
        assert first.lines == ("secret ****** in",)
        assert (await made.attempts(SERVICE))[0].lines == ()

    async def again(made: ProcessRuntime) -> None:
        told = await made.attempts(SERVICE, lines=5)
        assert [one.number for one in told[:2]] == [1, 2]
        replica = told[0].replica
        await settle(made, workload(1, rollout="2.0"), ready(1, "2.0"))
        found = await made.attempts(SERVICE, lines=5)
        assert [one.number for one in found if one.replica == replica][:2] == [1, 2]
        assert [one.replica for one in found][-1] != replica
        assert found[0].lines == ("secret ****** in",)
        assert {one.replica for one in await made.attempts(SERVICE, replica=replica)} == {replica}
        files = [path for path in (tmp_path / attempts.PAST).rglob("*") if path.is_file()]
        assert files
        assert not any(PASSWORD in path.read_text() for path in files)

    async def end(made: ProcessRuntime) -> None:
        assert len(await made.attempts(SERVICE)) >= 3
        await gone(made)
        assert await made.attempts(SERVICE) == []

    for scene in (crash, again, end):
        hub(tmp_path, scene)
    assert list(tmp_path.iterdir()) == []


def facts(number: int) -> RunFacts:
    return RunFacts(
        number=number,
        started=float(number),
        host="127.0.0.1",
        port=1,
        readiness=Probe(kind="http-any"),
        liveness=None,
        api="any",
        keyed=False,
        cwd="",
        grace=1.0,
        limits="",
        cgroups=(),
        failures=number - 1,
    )


def furnished(root: Path, name: str, runs: int) -> ReplicaFolder:
    """A replica that ran so often, each time with more to say than is kept."""
    folder = ReplicaFolder(root / SERVICE / name)
    folder.create(Intent(name, 1.0, replace(workload(1), service=SERVICE)))
    for number in range(1, runs + 1):
        run = folder.new_run(facts(number))
        run.write_exit(Exit(at=number + 0.5, code=number))
        line = f"{number}.000 " + "x" * 1000 + "\n"
        (run.path / "log").write_text(line * 400 + f"{number}.000 the end of {number}\n")
    return folder


def test_the_first_and_the_last_five_are_kept_within_bounds(tmp_path: Path) -> None:
    """Law: however often it crashes and is replaced, what is kept has a size."""
    for number in range(attempts.REPLICAS + 3):
        folder = furnished(tmp_path, f"svc-{number}", 9)
        assert [run.number for run in folder.runs()] == [1, 5, 6, 7, 8, 9]
        attempts.keep(tmp_path, SERVICE, folder, ("x" * 1000,) if number == 7 else ())
        attempts.keep(tmp_path, SERVICE, folder, ())  # a hub that was killed after it does it again
        folder.discard()
    kept = list(attempts.past(tmp_path, SERVICE, 1))
    assert {one.replica for one in kept} == {f"svc-{n}" for n in range(3, attempts.REPLICAS + 3)}
    newest = [one for one in kept if one.replica == "svc-7"]
    assert [one.number for one in newest] == [1, 5, 6, 7, 8, 9]
    assert newest[0].lines == ("the end of 1",)
    assert [one.end.code for one in newest if one.end] == [1, 5, 6, 7, 8, 9]
    sizes = [path.stat().st_size for path in (tmp_path / attempts.PAST).rglob("log")]
    assert len(sizes) == 6 * attempts.REPLICAS
    assert max(sizes) <= attempts.LOG_BYTES
    assert sum(sizes) > 6 * attempts.REPLICAS * attempts.LOG_BYTES // 2


def test_what_is_half_kept_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = furnished(tmp_path, "svc-1", 2)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(attempts.shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        attempts.keep(tmp_path, SERVICE, folder, ())
    assert list(attempts.past(tmp_path, SERVICE, 1)) == []
    assert len(folder.runs()) == 2
