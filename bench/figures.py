"""A measured figure with its goal, and figures as a table."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Bar = Literal["median", "p95"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured, several times where chance plays a part."""

    name: str
    unit: str
    median: float
    p95: float
    least: float
    count: int
    goal: float | None = None  #: at most; None = there is none, it is a baseline
    bar: Bar = "median"  #: which of both the goal is about
    note: str = ""

    @property
    def measured(self) -> float:
        """What the goal is about."""
        return self.median if self.bar == "median" else self.p95

    @property
    def verdict(self) -> str:
        """Met, MISSED, or nothing without a goal."""
        if self.goal is None:
            return ""
        return "met" if self.measured <= self.goal else "MISSED"

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"verdict": self.verdict}


def figure(
    name: str,
    unit: str,
    values: Sequence[float],
    goal: float | None = None,
    bar: Bar = "median",
    note: str = "",
) -> Figure:
    """A figure of all values of one quantity."""
    return Figure(
        name=name,
        unit=unit,
        median=statistics.median(values),
        p95=percentile(values, 0.95),
        least=min(values),
        count=len(values),
        goal=goal,
        bar=bar,
        note=note,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: a value that was measured, never one in between."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def rows(figures: Sequence[Figure]) -> list[tuple[str, ...]]:
    """Heading and one row per figure."""
    heading = ("what", "goal", "measured", "p95", "n", "", "note")
    return [heading, *(_row(item) for item in figures)]


def _row(item: Figure) -> tuple[str, ...]:
    goal = "" if item.goal is None else f"{'p95 ' * (item.bar == 'p95')}{item.goal:g} {item.unit}"
    spread = shown(item.p95) if item.count > 1 else ""
    return (
        item.name,
        goal,
        f"{shown(item.median)} {item.unit}",
        spread,
        str(item.count),
        item.verdict,
        item.note,
    )


def shown(value: float) -> str:
    """Three digits that matter."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(figures: Sequence[Figure]) -> str:
    """For a terminal."""
    lines = rows(figures)
    widths = [max(len(line[at]) for line in lines) for at in range(6)]
    return "\n".join(
        "  ".join([*(f"{line[at]:<{widths[at]}}" for at in range(6)), line[6]]).rstrip()
        for line in lines
    )


def markdown(figures: Sequence[Figure]) -> str:
    """For the page."""
    head, *body = rows(figures)
    lines = [head, ("---",) * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
