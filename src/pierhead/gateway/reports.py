"""What the hub is told: every second, at once where it waits for it, and a last time at the stop."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from pierhead.core.errors import Unavailable
from pierhead.core.routes import GatewayReport
from pierhead.core.traffic import ServiceFigures
from pierhead.gateway.balance import Balance
from pierhead.gateway.hub import Hub
from pierhead.gateway.ledger import Ledger
from pierhead.gateway.table import LiveTable

_COALESCE = 0.02  #: seconds to wait for more news; a report may be 50 ms late
_AFTER_FAILURE = 0.5  #: seconds
_LAST = 1.0  #: seconds that the last report may take


class Bell:
    """Calls for a report at once; rings that come close together make one."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """From anywhere in the loop."""
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        """Until it rings, but no longer than `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            return
        await asyncio.sleep(_COALESCE)
        self._rung.clear()  # before the report is composed: what happens later rings again


class Reports:
    """Tells the hub how far this gateway is, and what was used of which token."""

    def __init__(
        self,
        name: tuple[str, str],
        hub: Hub,
        live: LiveTable,
        balance: Balance,
        ledger: Ledger,
        traffic: Callable[[], Mapping[str, ServiceFigures]] = dict[str, ServiceFigures],
    ) -> None:
        """`name`: this process, among all gateways, and the place at which others follow it.

        `traffic`: what services are busy with, by service id; asked at each report.
        """
        self._traffic = traffic
        (self._name, self._place), self._hub = name, hub
        self._live, self._balance, self._ledger = live, balance, ledger

    async def always(self, bell: Bell, seconds: float) -> None:
        """Every `seconds` and at each ring. What the hub missed, the next report says again."""
        while True:
            await bell.wait(seconds)
            if not await self._tell(self._hub.report):
                # Seen in `Hub.unreachable_since`.
                await asyncio.sleep(min(seconds, _AFTER_FAILURE))

    async def last(self) -> None:
        """What was used since the report before; and that nothing more will come."""
        await self._tell(lambda report: self._hub.report(report, _LAST), leaves=True)

    async def _tell(
        self, send: Callable[[GatewayReport], Awaitable[dict[str, int]]], *, leaves: bool = False
    ) -> bool:
        report = replace(self._report(), leaves=leaves)
        taken = False
        try:
            spent = await send(report)
            taken = True
        except Unavailable:
            return False
        finally:
            if not taken:  # also when it was cancelled on its way
                self._ledger.again(report.meters)
        self._ledger.elsewhere(spent)
        return True

    def _report(self) -> GatewayReport:
        busy, out = dict(self._balance.outstanding), self._balance.ejected
        meters = self._ledger.changed()
        return GatewayReport(
            self._name,
            self._live.revision,
            busy,
            tuple(out),
            meters,
            self._place,
            why={replica: str(why) for replica, why in out.items()},
            services=self._traffic(),
        )
