"""Steps of a replica on its way out that no other test takes, by real processes."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from test_process_runtime import ANSWERS, hub

from pierhead.core.replicas import ReplicaState as S
from pierhead.core.replicas import ReplicaStatus
from pierhead.core.templates import Probe
from pierhead.core.workloads import Workload
from pierhead.runtimes.process.runtime import ProcessRuntime
from replica_servers import gone, ready, settle, workload


def sick(tmp_path: Path) -> tuple[Workload, Path]:
    """A replica that answers what stands in a file."""
    answer = tmp_path / "answer"
    answer.write_text("200 ok")
    probe = Probe(kind="http", path="/", period=0.05, failures=2)
    return workload(1, code=ANSWERS, env={"ANSWER": str(answer)}, readiness=probe), answer


def is_in(state: S) -> Callable[[list[ReplicaStatus]], bool]:
    return lambda found: [one.state for one in found] == [state]


def test_one_that_lost_its_readiness_drains_too(tmp_path: Path) -> None:
    """Law: it may still have requests, so it is not ended at once (F12)."""
    wanted, answer = sick(tmp_path)

    async def scene(made: ProcessRuntime) -> None:
        await settle(made, wanted, ready(1))
        answer.write_text("503 no")
        (was,) = await settle(made, wanted, is_in(S.UNREADY))
        assert was.unready_at is not None
        less = replace(wanted, replicas=0)
        (left,) = await settle(made, less, is_in(S.DRAINING))
        assert left.unready_at is None
        await settle(made, replace(less, drained=frozenset({left.id})), lambda found: not found)

    hub(tmp_path / "replicas", scene)


def test_one_that_lost_its_readiness_is_removed_at_once(tmp_path: Path) -> None:
    """Law: delete works from every state (F11)."""
    wanted, answer = sick(tmp_path)

    async def scene(made: ProcessRuntime) -> None:
        await settle(made, wanted, ready(1))
        answer.write_text("503 no")
        await settle(made, wanted, is_in(S.UNREADY))
        await gone(made)

    hub(tmp_path / "replicas", scene)


#: Well unless one of two files is there: SICK + "ready" or SICK + "live"; it takes its time to end.
TWO_SIDED = (
    ANSWERS.replace("client.recv(65536)", "asked = client.recv(65536)", 1)
    .replace(
        "client.sendall(answer())",
        "side = 'live' if b'/live' in asked else 'ready'\n"
        "    client.sendall(answer(503 if os.path.exists(os.environ['SICK'] + side) else 200))",
        1,
    )
    .replace(
        "def answer():\n",
        "def answer(status):\n    return b'HTTP/1.1 %d X\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n' % status\n",
        1,
    )
    .replace('print("leaving", flush=True); os._exit(0)', 'print("later", flush=True)')
)


def test_one_that_is_ended_is_unready_since_then_and_not_since_an_earlier_time(
    tmp_path: Path,
) -> None:
    """Law: what is told of a replica is of now (F08)."""
    wanted = workload(
        1,
        code=TWO_SIDED,
        env={"SICK": f"{tmp_path}/"},
        readiness=Probe(kind="http", path="/", period=0.05, failures=2),
        liveness=Probe(kind="http", path="/live", period=0.05, failures=2),
        stop_grace=1.0,
    )

    async def scene(made: ProcessRuntime) -> None:
        await settle(made, wanted, ready(1))
        (tmp_path / "ready").touch()
        await settle(made, wanted, is_in(S.UNREADY))
        (tmp_path / "ready").unlink()
        await settle(made, wanted, ready(1))
        since = time.time()
        (tmp_path / "live").touch()
        (found,) = await settle(made, wanted, is_in(S.UNREADY))
        assert found.reason == "LivenessFailed"
        assert found.unready_at is not None
        assert found.unready_at >= since

    hub(tmp_path / "replicas", scene)


def test_one_that_ends_while_it_drains_is_no_crash(tmp_path: Path) -> None:
    """Law: whoever leaves never comes back, however it ends (F12)."""
    wanted, _answer = sick(tmp_path)

    async def scene(made: ProcessRuntime) -> None:
        (was,) = await settle(made, wanted, ready(1))
        less = replace(wanted, replicas=0)
        await settle(made, less, is_in(S.DRAINING))
        assert was.pid is not None
        os.kill(was.pid, signal.SIGKILL)
        seen: list[ReplicaStatus] = []

        def away(found: list[ReplicaStatus]) -> bool:
            seen.extend(found)
            return not found

        await settle(made, less, away)
        assert not {one.state for one in seen} & {S.CRASHED, S.STOPPING}

    hub(tmp_path / "replicas", scene)


def test_one_whose_time_to_drain_is_over_says_so(tmp_path: Path) -> None:
    """Law: a drain is bounded by its deadline, and then named (F12)."""
    wanted, _answer = sick(tmp_path)
    wanted = replace(wanted, template=replace(wanted.template, stop_grace=0.5))

    async def scene(made: ProcessRuntime) -> None:
        await settle(made, wanted, ready(1))
        told: list[str] = []

        def away(found: list[ReplicaStatus]) -> bool:
            told.extend(one.reason for one in found)
            return not found

        await settle(made, replace(wanted, replicas=0), away)
        assert "DrainOverdue" in told

    hub(tmp_path / "replicas", scene)
