"""Who waits for room on a machine: as soon as a replica is gone, they look again, the longest wait first."""

from collections.abc import Callable, Sequence

from pierhead.core.quotas import EXCEEDED
from pierhead.core.services import Hold


class Waiting:
    """Services that others' replicas keep from starting, and since when."""

    def __init__(self) -> None:
        #: Has services looked at, in this order.
        self.call: Callable[[Sequence[str]], None] = lambda _services: None
        self._since: dict[str, float] = {}

    def note(self, service: str, hold: Hold | None) -> None:
        """What holds a service now; who waits for a quota is called by that (see admission.py)."""
        if hold is not None and hold.placement and hold.reason != EXCEEDED:
            self._since[service] = hold.since
        else:
            self._since.pop(service, None)

    def gone(self) -> None:
        """A replica has gone, and with it what it had of its machine."""
        if self._since:
            self.call(sorted(self._since, key=lambda service: (self._since[service], service)))
