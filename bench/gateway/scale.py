"""What a large table costs: CPU per request, and how soon a change of it is in force."""

import json
import time
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path

from bench.figures import Figure, figure
from bench.gateway.cost import BUSY_CONNECTIONS
from bench.gateway.outcome import Outcome
from bench.gateway.programs import Door, drive, faults
from bench.gateway.stage import SERVICE, TOKEN, Launch, Stage, pss, route, spent, stage
from pierhead.core.routes import Route

SIZES = (1, 100, 1000, 5000)
_FLAT = 1.1  #: cost at the most services over the cost at one
_ROUTED_MS = 50.0
_CHANGES = 5
_WAIT = 30.0


def measure(folder: Path, launch: Launch, seconds: float, sizes: Sequence[int] = SIZES) -> Outcome:
    """Three turns through all sizes, so that a busy moment does not fall on one of them alone."""
    outcome, costs, soon = Outcome(), dict[int, list[float]](), dict[int, list[float]]()
    with stage(folder, launch) as made:
        memory: dict[int, float] = {}
        for turn in range(3):
            for size in sizes:
                routes = _routes(made, size)
                made.show(*routes)
                if not turn:
                    soon[size] = [_until_routed(made, routes, at) for at in range(_CHANGES)]
                    made.show(*routes)
                # First and last of the table, by their paths and by the model's name.
                costs.setdefault(size, []).extend(_costs(made, size, seconds, outcome))
                memory[size] = pss(made.gateway.process.pid)
    outcome.figures = [*_figures(costs, soon), _flat(costs)]
    outcome.numbers = {"cpu_us": costs, "routed_ms": soon, "pss_mib": memory}
    outcome.text = "PSS MiB: " + ", ".join(f"{n}: {mib:.0f}" for n, mib in memory.items())
    return outcome


def _routes(made: Stage, size: int) -> list[Route]:
    first = route(SERVICE, made.replicas)
    others = [route(f"svc-{at}", made.replicas, (f"token-{at}",)) for at in range(1, size)]
    return [first, *others]


def _costs(made: Stage, size: int, seconds: float, outcome: Outcome) -> list[float]:
    port, pid = made.gateway.port, made.gateway.process.pid
    last = f"svc-{size - 1}" if size > 1 else SERVICE
    token = f"token-{size - 1}" if size > 1 else TOKEN
    doors = (made.gateway.door(), Door(port, f"/api/predict/{last}", token, last))
    found: list[float] = []
    for door in doors:
        drive(made.programs.driver, "closed", door, 0.2, c=BUSY_CONNECTIONS)
        before = spent(pid)
        run = drive(made.programs.driver, "closed", door, seconds, c=BUSY_CONNECTIONS)
        found.append((spent(pid) - before) * 1e6 / max(1, run["ok"]))
        if wrong := faults(run):
            outcome.faults.append(f"{wrong} requests went wrong at {size} services")
    return found


def _until_routed(made: Stage, routes: list[Route], at: int) -> float:
    """Milliseconds from the publishing of one more service to its first answer."""
    name = f"new-{at}"
    fresh = [*routes, route(name, made.replicas)]
    connection = HTTPConnection("127.0.0.1", made.gateway.port, timeout=10)
    body = json.dumps({"model": name, "messages": []})
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    try:
        made.hub.publish(fresh)  # what it takes to write the table down is the hub's
        began = time.monotonic()
        while time.monotonic() - began < _WAIT:
            connection.request("POST", f"/api/predict/{name}/v1/chat/completions", body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                return (time.monotonic() - began) * 1000
        raise TimeoutError(f"{name} is not routed after {_WAIT:g} s")
    finally:
        connection.close()


def _figures(costs: dict[int, list[float]], soon: dict[int, list[float]]) -> list[Figure]:
    figures = [
        figure(f"CPU per request, {size} services", "µs", each) for size, each in costs.items()
    ]
    for size, each in soon.items():
        goal = _ROUTED_MS if size <= 1000 else None
        figures.append(figure(f"change to routed, {size} services", "ms", each, goal))
    return figures


def _flat(costs: dict[int, list[float]]) -> Figure:
    # The least of each: what a busy neighbour adds only ever adds.
    least, most = min(costs), max(costs)
    share = min(costs[most]) / min(costs[least])
    note = "least of each"
    return figure(f"cost at {most} services over {least}", "x", [share], _FLAT, note=note)
