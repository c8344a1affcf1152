"""Fifty services with light engines: a killed hub, a platform that starts again, and one at rest."""

import os
import signal
import sys
import time
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path

from bench.client import Client
from bench.figures import Figure, figure
from bench.platforms import Running, up
from bench.processes import cpu_seconds, everyone, spending, until
from bench.rounds import rounds

SERVICES = 50
ROUNDS, SECONDS = 5, 60.0
REST_SECONDS = 20.0
_PROGRAM = Path(__file__).parent.parent / "tests" / "fault" / "replica_program.py"
_PATIENCE = 60.0
_POLL = 0.02


def measure(folder: Path) -> list[Figure]:
    """Each round starts the platform on what the one before left, and kills its hub."""
    back: list[float] = []
    cpu: list[float] = []
    whole: list[float] = []
    place = folder / "recovery"
    with up(place) as running:
        with Client(running) as client:
            for number in range(SERVICES):
                command = f"exec {sys.executable} -I -S {_PROGRAM} bench"
                client.create_own(f"bench_{number:02d}", command)
        _all_run(running)
        time.sleep(2.0)  # what their start woke has come to rest
        with spending(running.hub) as spent:
            time.sleep(REST_SECONDS)
    for _ in rounds(ROUNDS, SECONDS):
        began = time.monotonic()
        with up(place) as running:
            _all_run(running)
            whole.append(time.monotonic() - began)
            back.append(_hub_killed(running))
            cpu.append(cpu_seconds(replace(running).hub))  # a copy does not remember the dead one
    share = 100 * spent.cpu / spent.wall
    return [
        figure(f"hub killed to all {SERVICES} services adopted", "s", back, 3.0, "p95"),
        figure("the new hub's CPU time until then", "s", cpu),
        figure(f"`up` to all {SERVICES} services Running again", "s", whole),
        figure(
            f"hub at rest, {SERVICES} services that run",
            "% of a core",
            [share],
            3.0,
            note="probed every 2 s",
        ),
    ]


def _hub_killed(running: Running) -> float:
    keepers, hub = _keepers(running), running.hub
    began = time.monotonic()
    os.kill(hub, signal.SIGKILL)
    until(lambda: all(pid != hub for pid, _ in everyone()), _PATIENCE, "the hub's end", _POLL)
    _all_run(running)
    seconds = time.monotonic() - began
    if _keepers(running) != keepers:
        raise RuntimeError("replicas were not adopted")
    return seconds


def _all_run(running: Running) -> None:
    until(lambda: _running(running) == SERVICES, _PATIENCE, "all services Running", _POLL)


def _running(running: Running) -> int:
    """Services that the hub calls Running, with their replica; 0 while it gives no answer."""
    try:
        with Client(running) as client:
            services = client.list()["Services"]
    except (OSError, HTTPException):
        return 0
    return sum(one["Status"] == "Running" and one["RunningInstance"] == 1 for one in services)


def _keepers(running: Running) -> set[int]:
    return {
        pid
        for pid, argv in everyone()
        if any(part.endswith("keeper.py") for part in argv) and str(running.folder) in argv[-1]
    }
