"""What the platform adds between a request to create a service and its first answer.

Both sides run the same engine program on the same weights; each round has one start of each.
"""

import time
from pathlib import Path

from bench.client import Client
from bench.figures import Figure, figure
from bench.platforms import cache, up
from bench.processes import until
from bench.rounds import rounds
from pierhead.cli.demo_bare import bare_engine

SPEC = "smollm2_135m_q4"
ROUNDS, SECONDS = 15, 110.0
_POLL = 0.02


def measure(folder: Path) -> list[Figure]:
    """Create to Running, the bare engine's start, and the difference of each round."""
    ours: list[float] = []
    bare: list[float] = []
    with up(folder / "readiness") as running, Client(running) as client:
        _one(client, "warm")  # fetches the weights where no run did before
        for turn in rounds(ROUNDS, SECONDS):
            with bare_engine(SPEC, cache(), folder) as engine:
                bare.append(engine.ready)
            ours.append(_one(client, f"round_{turn}"))
    over = [mine - its for mine, its in zip(ours, bare, strict=True)]
    return [
        figure("create to Running", "s", ours, note=SPEC),
        figure("bare engine to its first answer", "s", bare, note="same program and weights"),
        figure("create to Running minus bare engine", "s", over, 0.3, "p95", "by round"),
    ]


def _one(client: Client, name: str) -> float:
    began = time.monotonic()
    client.create(name, SPEC)
    until(lambda: client.describe(name)["Status"] == "Running", 120, name, _POLL)
    seconds = time.monotonic() - began
    client.delete(name)
    until(lambda: client.gone(name), 60, f"{name} gone", _POLL)
    return seconds
