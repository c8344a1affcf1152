"""How many requests may begin at a service in a second, at all workers of one gateway together."""

from collections.abc import Iterable

from pierhead.gateway.rates import Rates
from pierhead.gateway.shared import Burst, SharedUse

#: What follows the id of a service in the name of its record: no token is called so.
_RECORD = "/rate"


class SharedRates(Rates):
    """As `Rates`, by what all workers let in: what one of them did not, another one may.

    It counts in half seconds: in two that follow each other no more than the rate begins, but for one
    request per worker where several look in the same moment.
    """

    def __init__(self, use: SharedUse) -> None:
        super().__init__()
        self._use, self._bursts = use, dict[str, Burst | None]()

    def admit(self, service: str, rate: int, now: float) -> float:
        """As of `Rates`. Should the shared memory have no room, a worker lets in its part of the rate."""
        if not rate:
            return 0.0
        if service not in self._bursts:
            self._bursts[service] = self._use.burst(service, _RECORD)
        burst = self._bursts[service]
        if burst is None:
            return super().admit(service, max(1, rate // self._use.workers), now)
        return burst.admit(rate, now)

    @property
    def services(self) -> tuple[str, ...]:
        """Ids of those that were asked for."""
        return tuple(self._bursts)

    def retain(self, services: Iterable[str]) -> None:
        """Forgets the services that are gone, and makes room for others."""
        kept = frozenset(services)
        super().retain(kept)
        for service in self._bursts.keys() - kept:
            if self._bursts.pop(service) is not None:
                self._use.forget(service, _RECORD)
