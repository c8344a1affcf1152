"""Steps of a replica on its way out that no other test takes, by real processes."""

import os
import signal
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
