"""What a measure found: figures with their goals, all the numbers behind them, and what went wrong."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.figures import Figure, table
from bench.processes import machine


@dataclass
class Outcome:
    """Of one command."""

    figures: list[Figure] = field(default_factory=list[Figure])
    numbers: dict[str, Any] = field(default_factory=dict[str, Any])
    faults: list[str] = field(default_factory=list[str])  #: any of them makes the run void
    text: str = ""  #: shown before the figures

    @property
    def code(self) -> int:
        """The exit code: 1 for a void run or a missed goal."""
        return int(bool(self.faults) or any(each.verdict == "MISSED" for each in self.figures))

    def show(self) -> str:
        """For a terminal."""
        parts = [self.text, table(self.figures)] if self.figures else [self.text]
        void = ["VOID: " + "; ".join(self.faults)] if self.faults else []
        return "\n\n".join(part for part in (*parts, *void) if part)

    def write(self, file: Path, command: str) -> None:
        """As JSON."""
        document = {
            "command": command,
            "machine": machine(),
            "faults": self.faults,
            "figures": [each.document() for each in self.figures],
            "numbers": self.numbers,
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def columns(heading: list[str], rows: list[list[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    lines = [heading, *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(heading))]
    return "\n".join(
        "  ".join(
            f"{cell:<{widths[at]}}" if not at else f"{cell:>{widths[at]}}"
            for at, cell in enumerate(line)
        ).rstrip()
        for line in lines
    )
