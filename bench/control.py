"""The control plane with 1,000 services: hub CPU per call, per reconcile, idle, and its memory.

The services name a spec without weights: each is looked at again and again, as in real life, and
starts no process. Every figure is the CPU time of the whole hub divided by the calls: nothing is
subtracted, so what the hub does in the background meanwhile counts too.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.client import Client, passes
from bench.figures import Figure, figure
from bench.platforms import Running, hub
from bench.processes import MB, memory, spending, until
from bench.rounds import rounds

SERVICES = 1000
ROUNDS, SECONDS = 12, 40.0
CREATES, DESCRIBES, LISTS = 25, 60, 15  # calls per round
#: A whole round of the reconciler: every service is looked at in it.
IDLE_SECONDS = 32.0
_GATED = ("-m", "bench.gated_hub")


def measure(folder: Path) -> list[Figure]:
    """All of it on one hub; each round has every kind of call."""
    with hub(folder / "control", _GATED) as running, Client(running) as client:
        for number in range(SERVICES):
            client.create(f"bench_{number:04d}")
        settle(client)
        calls = _calls(running, client)
        settle(client)
        idle = _idle(running)
        after = memory(running.hub)
    with hub(folder / "control") as again:
        time.sleep(3)
        fresh = memory(again.hub)
        start = again.seconds
    return [
        *calls,
        *idle,
        figure(
            "hub memory, 1,000 services, after a start",
            "MB",
            [fresh.rss / MB],
            note=f"PSS {fresh.pss / MB:.1f} MB",
        ),
        figure(
            "hub memory, 1,000 services, after all these calls",
            "MB",
            [after.rss / MB],
            note=f"PSS {after.pss / MB:.1f} MB",
        ),
        figure("hub start to ready, 1,000 services", "s", [start]),
    ]


def settle(client: Client) -> None:
    """Until nothing is on its way and the reconciler has nothing to do but its rounds."""
    for status in ("Creating", "Deleting"):
        until(
            lambda s=status: client.list(size=1, ServiceStatus=s)["TotalCount"] == 0,
            60,
            f"{status} services",
            0.1,
        )


def _calls(running: Running, client: Client) -> list[Figure]:
    each: dict[str, list[float]] = {}
    for turn in rounds(ROUNDS + 1, SECONDS):
        found = _round(running, client, f"round_{turn}")
        if turn:  # the first one warms up
            for name, milliseconds in found.items():
                each.setdefault(name, []).append(milliseconds)
    return [
        figure("create, the call itself", "ms", each["create"], 5.0),
        figure("create, with all its reconcile work", "ms", each["whole"], 5.0),
        figure("describe", "ms", each["describe"], 1.5),
        figure("list of 100", "ms", each["list"], 5.0),
        figure("delete, with all its reconcile work", "ms", each["delete"]),
    ]


def _round(running: Running, client: Client, prefix: str) -> dict[str, float]:
    names = [f"{prefix}_{number}" for number in range(CREATES)]
    with spending(running.hub) as whole:
        with _held(running), spending(running.hub) as create:
            for name in names:
                client.create(name)
        _quiet(running)
    found = {"create": create.cpu / CREATES, "whole": whole.cpu / CREATES}
    found["describe"] = _per_call(running, DESCRIBES, lambda: client.describe("bench_0500"))
    found["list"] = _per_call(running, LISTS, client.list)
    with spending(running.hub) as delete:
        for name in names:
            client.delete(name)
        _quiet(running)
    found["delete"] = delete.cpu / CREATES
    return {name: seconds * 1000 for name, seconds in found.items()}


def _per_call(running: Running, count: int, call: Callable[[], object]) -> float:
    with spending(running.hub) as spent:
        for _ in range(count):
            call()
    return spent.cpu / count


@contextmanager
def _held(running: Running) -> Iterator[None]:
    os.kill(running.hub, signal.SIGUSR1)
    try:
        yield
    finally:
        os.kill(running.hub, signal.SIGUSR2)


def _quiet(running: Running) -> None:
    """Until the hub spends less than a fifth of a core for 0.15 s: only its rounds are left."""

    def calm() -> bool:
        with spending(running.hub) as spent:
            time.sleep(0.15)
        return spent.cpu < 0.2 * spent.wall

    until(calm, 30, "the hub's rest", 0.0)


def _idle(running: Running) -> list[Figure]:
    looks = passes(running)
    with spending(running.hub) as spent:
        time.sleep(IDLE_SECONDS)
    looks = passes(running) - looks
    share = 100 * spent.cpu / spent.wall
    note = f"{looks / spent.wall:.0f} looks/s, {1000 * spent.cpu / max(1, looks):.2f} ms each"
    return [figure("hub at rest, 1,000 services", "% of a core", [share], note=note)]
