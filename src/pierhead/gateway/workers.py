"""One of several processes that serve the same port, as it is told to."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Worker:
    """Which one it is, and where it finds what they share."""

    number: int  #: from 0; whoever is started in its stead has the same
    count: int  #: of all workers
    folder: Path  #: of this gateway alone, 0700, gone with it

    @property
    def limits_file(self) -> Path:
        """What all workers used; see `shared.SharedUse`."""
        return self.folder / "limits"

    def part(self, total: int) -> int:
        """Its part of what all workers may have together: at least 1 of anything, and evenly shared."""
        return total and max(1, total // self.count + (self.number < total % self.count))

    @property
    def place(self) -> str:
        """What tells it from the others at the same port."""
        return f"#{self.number}"
