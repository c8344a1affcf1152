"""How many requests may begin at a service in a second, of all tokens together. Pure."""

from collections.abc import Iterable


class Rates:
    """A bucket per service that holds one second's worth and fills again evenly.

    Kept as one number per service: the moment at which its bucket is full again.
    """

    def __init__(self) -> None:
        self._full: dict[str, float] = {}

    def admit(self, service: str, rate: int, now: float) -> float:
        """0.0 = it may begin, and is counted; else the seconds until one may.

        `rate`: requests a second, 0 = any number; `now`: seconds of a clock that never goes back.
        """
        if not rate:
            return 0.0
        apart = 1.0 / rate
        full = max(self._full.get(service, now), now)
        wait = full + apart - now - 1.0
        # Sums of such small parts are not exact: without this the last of a second would be refused.
        if wait > apart * 1e-3:
            return wait
        self._full[service] = full + apart
        return 0.0

    @property
    def services(self) -> tuple[str, ...]:
        """Ids of those that were asked for."""
        return tuple(self._full)

    def retain(self, services: Iterable[str]) -> None:
        """Forgets the services that are gone."""
        kept = frozenset(services)
        for service in self._full.keys() - kept:
            del self._full[service]
