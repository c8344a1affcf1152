"""How often something that failed is tried again, and how long it is waited in between."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import TypeVar

from pierhead.sources.progress import Ended, Stopped
from pierhead.sources.remote import Flaky

T = TypeVar("T")
_LOOK = 0.25  #: seconds between two looks whether it is to end


@dataclass(frozen=True, slots=True)
class Patience:
    """Tries, with pauses that double and vary, so that those who wait do not come all at once."""

    tries: int = 8  #: in a row that bring nothing
    first: float = 0.2  #: seconds of the first pause
    longest: float = 20.0  #: seconds
    chance: random.Random = field(default_factory=random.Random)
    halt: Event = field(default_factory=Event)  #: set = whoever waits is to end
    stopped: Stopped = lambda: False  #: true = the same
    #: Told why a try failed that is followed by another one.
    trouble: Callable[[str], None] = lambda _why: None

    def pause(self, failures: int, asked: float = 0.0) -> None:
        """Wait after so many failures in a row; `asked`: seconds the other side wants to be left alone.

        Raises:
            Ended: it is to end.
        """
        seconds = min(self.longest, self.first * 2 ** max(0, failures - 1)) if failures else 0.0
        seconds = max(seconds * self.chance.uniform(0.5, 1.0), min(asked, self.longest))
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.halt.wait(min(left, _LOOK)) or self.stopped():
                raise Ended

    def insist(self, ask: Callable[[], T]) -> T:
        """What `ask` gives, tried again where it is the connection or the store that fails.

        Raises:
            Flaky: the last of all tries failed, too.
            Ended: it is to end.
        """
        failures = 0
        while True:
            try:
                return ask()
            except Flaky as error:
                failures += 1
                if failures >= self.tries:
                    raise
                self.trouble(error.why)
                self.pause(failures, error.wait)


@dataclass(slots=True)
class Attempts:
    """Of one part: tries that bring nothing are counted, and all of them together have a deadline."""

    patience: Patience
    seconds: float
    failures: int = 0
    _end: float = 0.0

    def __post_init__(self) -> None:
        self._end = time.monotonic() + self.seconds

    def failed(self, error: Flaky, *, moved: bool) -> None:
        """A try ended early; `moved`: it brought some bytes. Waits, so that the next one may begin.

        Raises:
            Flaky: that was the last one.
            Ended: it is to end.
        """
        self.failures = 0 if moved else self.failures + 1
        if self.failures >= self.patience.tries:
            raise Flaky(error.what, f"{error.why}, {self.failures} times in a row") from error
        if self.late():
            why = f"it is slower than 64 KiB/s: no part within {self.seconds:.0f} s"
            raise Flaky(error.what, why) from error
        self.patience.trouble(error.why)
        self.patience.pause(self.failures, error.wait)

    def late(self) -> bool:
        """Is the deadline over?"""
        return time.monotonic() > self._end
