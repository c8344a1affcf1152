"""From a process's launch to its first 200, and what memory it then has at rest without services."""

import sys
import time
from pathlib import Path

from bench.client import Client
from bench.figures import Figure, figure
from bench.platforms import hub, up
from bench.processes import MB, Memory, cpu_seconds, everyone, memory, until
from bench.rounds import rounds

ROUNDS, SECONDS = 7, 45.0
REST_SECONDS = 3.0


def measure(folder: Path) -> list[Figure]:
    """First start, later start, whole platform: one of each per round."""
    first: list[float] = []
    cpu: list[float] = []
    later: list[float] = []
    whole: list[float] = []
    for turn in rounds(ROUNDS, SECONDS):
        place = folder / f"start{turn}"
        for seconds in (first, later):
            with hub(place) as running:
                seconds.append(running.seconds)
                cpu.append(cpu_seconds(running.hub))
        with up(place) as running:
            whole.append(running.seconds)
    return [
        figure("hub start to ready, first (makes the database)", "s", first, 1.5),
        figure("hub start to ready, later", "s", later, 1.5),
        figure("hub start to ready, CPU time", "s", cpu),
        figure("`up` to both ready", "s", whole),
    ]


def measure_memory(folder: Path) -> list[Figure]:
    """Each kind of process, without services and load; the keeper beside one small replica."""
    with up(folder / "first") as running, Client(running) as client:
        time.sleep(REST_SECONDS)
        found = {
            "hub, at its first start": (memory(running.hub), 90.0),
            "gateway": (memory(running.gateway), 60.0),
            "supervisor": (memory(running.pid), None),
        }
        client.create_own("keeper", f"{sys.executable} -m http.server {{port}} --bind 127.0.0.1")
        until(lambda: client.describe("keeper")["Status"] == "Running", 60, "a small replica")
        found["keeper, one per replica"] = memory(_keeper(running.folder)), None
    with up(folder / "first") as running:
        time.sleep(REST_SECONDS)
        found["hub, at a later start"] = memory(running.hub), 90.0
    return [_memory(name, *each) for name, each in found.items()]


def _memory(name: str, found: Memory, goal: float | None) -> Figure:
    note = f"PSS {found.pss / MB:.1f} MB"
    return figure(f"idle memory (RSS): {name}", "MB", [found.rss / MB], goal, note=note)


def _keeper(folder: Path) -> int:
    return next(
        pid
        for pid, argv in everyone()
        if any(part.endswith("keeper.py") for part in argv) and str(folder) in argv[-1]
    )
