"""Which replica takes a request: the least busy one that has not just failed."""

from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from pierhead.core.routes import Target

OUT_FIRST = 2.0  #: seconds out of rotation after the first failure; doubles with each further one
OUT_LONGEST = 30.0


@dataclass(slots=True)
class Failures:
    """What a replica did wrong since it last answered."""

    count: int = 0
    until: float = 0.0  #: out of rotation before this moment


class Balance:
    """Requests in flight and failures, per replica id; both outlive any one route table."""

    def __init__(self, now: Callable[[], float], rng: Random, idle: Callable[[str], None]) -> None:
        """`now` is a monotonic clock; `idle` is called with each replica that became idle."""
        self._now, self._rng, self._idle = now, rng, idle
        self._busy: dict[str, int] = {}
        self._failures: dict[str, Failures] = {}

    @property
    def outstanding(self) -> Mapping[str, int]:
        """Requests in flight per replica, zero left out."""
        return self._busy

    @property
    def ejected(self) -> tuple[str, ...]:
        """Replicas out of rotation."""
        return tuple(replica for replica in self._failures if self._is_out(replica))

    def pick(self, targets: Iterable[Target], tried: Collection[str] = ()) -> Target | None:
        """The least busy target; ejected ones only when nothing else is left."""
        left = [target for target in targets if target.replica not in tried]
        chosen = [target for target in left if not self._is_out(target.replica)] or left
        if not chosen:
            return None
        least = min(self._busy.get(target.replica, 0) for target in chosen)
        ties = [target for target in chosen if self._busy.get(target.replica, 0) == least]
        return ties[0] if len(ties) == 1 else self._rng.choice(ties)

    @contextmanager
    def busy(self, replica: str) -> Generator[None]:
        """Counts one request from here to its last byte."""
        self._busy[replica] = self._busy.get(replica, 0) + 1
        try:
            yield
        finally:
            self._busy[replica] -= 1
            if not self._busy[replica]:
                del self._busy[replica]
                self._idle(replica)

    def answered(self, replica: str) -> None:
        """It works: its failures are forgotten."""
        self._failures.pop(replica, None)

    def failed(self, replica: str, targets: Iterable[Target]) -> bool:
        """Takes it out of rotation, unless it is out already or the last one; whether it did."""
        others = (target.replica for target in targets if target.replica != replica)
        if self._is_out(replica) or all(self._is_out(other) for other in others):
            return False
        failures = self._failures.setdefault(replica, Failures())
        pause = min(OUT_FIRST * 2**failures.count, OUT_LONGEST)
        failures.count = min(failures.count + 1, 10)
        failures.until = self._now() + pause
        return True

    def retain(self, replicas: Iterable[str]) -> None:
        """Forgets the failures of replicas that are gone."""
        kept = frozenset(replicas)
        for replica in self._failures.keys() - kept:
            del self._failures[replica]

    def _is_out(self, replica: str) -> bool:
        failures = self._failures.get(replica)
        return failures is not None and self._now() < failures.until
