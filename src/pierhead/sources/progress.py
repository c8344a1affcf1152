"""How far a fetch is: what people see of it while they wait."""

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from pierhead.core.resources import human_bytes

_WINDOW = 10.0  #: seconds that the rate is of


class Phase(StrEnum):
    """What a fetch does at the moment."""

    LISTING = "listing"
    WAITING = "waiting for lock"  #: somebody else fetches the same; the figures are theirs
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    CONVERTING = "converting"


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a fetch."""

    phase: Phase
    done: int = 0  #: bytes that are here
    total: int = 0  #: bytes wanted; 0 = not known yet
    rate: float = 0.0  #: bytes per second over the last ten seconds
    eta: float | None = None  #: seconds that are left; None = nobody can say
    file: str = ""  #: one that is being fetched
    files: int = 0  #: how many are whole
    #: Bytes that came over the network in this fetch; some of them may be thrown away.
    moved: int = 0
    trouble: str = ""  #: why the last try failed; "" = it goes on

    def __str__(self) -> str:
        """`downloading model.gguf: 12 %, 12.0 MiB of 93.8 MiB, 8.0 MiB/s, 10 s left`."""
        text = f"{self.phase} {self.file}".rstrip()
        if not self.total:
            return text
        share = 100 * min(self.done, self.total) // self.total
        text += f": {share} %, {human_bytes(self.done)} of {human_bytes(self.total)}"
        if self.rate:
            text += f", {human_bytes(self.rate)}/s"
        return text + (f", {self.eta:.0f} s left" if self.eta is not None else "")

    def row(self) -> dict[str, Any]:
        """As JSON, for another process that waits."""
        return asdict(self)


Tell = Callable[[Progress], None]
#: Is true once the work is to end.
Stopped = Callable[[], bool]


class Rate:
    """Bytes per second over the last ten seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def __call__(self, now: float, count: int) -> float:
        """`count` bytes were fetched by `now`, in monotonic seconds."""
        self._seen.append((now, count))
        while len(self._seen) > 2 and now - self._seen[0][0] > _WINDOW:
            self._seen.popleft()
        then, before = self._seen[0]
        return max(0.0, (count - before) / (now - then)) if now > then else 0.0


class Ended(Exception):
    """The work was told to end; the next one goes on where it was."""
