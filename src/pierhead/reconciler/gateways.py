"""What gateways told of themselves, and which of them still have a say.

A gateway that falls silent may have died, or may serve on without a way to the hub: by the table it
had, with the requests it had. Nobody can tell from here, so nothing that it was busy with is let go on
its account: what bounds that is the drain deadline. Only its own farewell, the word of its successor at
the same place, or a long time end its say.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pierhead.core.routes import GatewayReport

#: A gateway that was silent this long does not count as live; it reports every second.
SILENCE = 3.0
#: Seconds for which one that fell silent is taken to serve on.
ABSENT = 600.0


@dataclass(frozen=True, slots=True)
class _Heard:
    report: GatewayReport
    at: float


class Gateways:
    """The last report of each gateway."""

    def __init__(self, timer: Callable[[], float]) -> None:
        """`timer`: seconds that only ever grow; by a clock that is set back the dead would vote on."""
        self._timer = timer
        self._heard: dict[str, _Heard] = {}
        self._opened, self._first = timer(), 0

    def begin(self, revision: int) -> None:
        """From now on they can report, and have this table."""
        self._opened, self._first = self._timer(), revision

    @property
    def just_opened(self) -> bool:
        """After a start, gateways get time to report before they count as absent."""
        return self._timer() - self._opened < SILENCE

    @property
    def live(self) -> list[GatewayReport]:
        """Of those that were heard of just now."""
        now = self._timer()
        return [heard.report for heard in self._heard.values() if now - heard.at < SILENCE]

    def heard(self, report: GatewayReport) -> None:
        """Take in what one said of itself; whoever was silent at its place is no more."""
        now = self._timer()
        gone = {
            name
            for name, heard in self._heard.items()
            if now - heard.at >= ABSENT
            or (now - heard.at >= SILENCE and report.place and heard.report.place == report.place)
        }
        self._heard = {name: heard for name, heard in self._heard.items() if name not in gone}
        if report.leaves:
            self._heard.pop(report.gateway, None)
        else:
            self._heard[report.gateway] = _Heard(report, now)

    def let_go(self, left: Mapping[str, int]) -> frozenset[str]:
        """Of these replicas (with the first revision without each) those that no gateway needs."""
        now = self._timer()
        reports = [heard.report for heard in self._heard.values() if now - heard.at < ABSENT]
        if not reports:
            # Of what an earlier hub let drain nobody told this one anything.
            if self.just_opened:
                return frozenset()
            return frozenset(one for one, revision in left.items() if revision > self._first)
        return frozenset(
            replica
            for replica, revision in left.items()
            if all(
                report.revision >= revision and not report.outstanding.get(replica, 0)
                for report in reports
            )
        )
