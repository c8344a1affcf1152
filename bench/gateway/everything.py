"""All measures in turn, as figures for the page of `python -m bench`."""

from collections.abc import Callable
from pathlib import Path

from bench.figures import Figure
from bench.gateway import cold, compare, dynamic, idle, scale, slow
from bench.gateway.outcome import Outcome
from bench.gateway.stage import Launch

_PARTS: dict[str, Callable[[Path, Launch], Outcome]] = {
    "compare": lambda folder, launch: compare.measure(folder, launch, compare.Asked()),
    "scale": lambda folder, launch: scale.measure(folder, launch, 1.5),
    "idle": lambda folder, launch: idle.measure(folder, launch, idle.STREAMS, 15.0, 5.0),
    "slow": lambda folder, launch: slow.measure(folder, launch, slow.CLIENTS, 8.0),
    "dynamic": dynamic.measure,
    "cold": cold.measure,
}


def measure(folder: Path) -> list[Figure]:
    """Takes about six minutes.

    Raises:
        RuntimeError: a part is void, so that its figures say nothing.
    """
    figures: list[Figure] = []
    for name, part in _PARTS.items():
        place = folder / name
        place.mkdir()
        outcome = part(place, Launch())
        if outcome.faults:
            raise RuntimeError(f"{name} is void: {'; '.join(outcome.faults)}")
        figures += outcome.figures
    return figures
