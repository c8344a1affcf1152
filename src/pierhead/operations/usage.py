"""What is used of endpoint tokens: gateways tell, the hub adds up and tells them of each other.

Gateways tell totals, so that nothing counts twice however often it is told. What the present month
comes to is held in memory too: it goes out with every answer to a report.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection

from pierhead.core.errors import Invalid, NotFound
from pierhead.core.ids import Clock
from pierhead.core.names import id_of
from pierhead.core.principals import Principal
from pierhead.core.routes import GatewayReport
from pierhead.core.usage import Meter, month
from pierhead.operations import rights
from pierhead.operations.platform import Platform
from pierhead.store import services as service_rows
from pierhead.store import usage as rows
from pierhead.store.db import Database
from pierhead.store.writes import Away

log: structlog.stdlib.BoundLogger = structlog.get_logger("pierhead.usage")

#: Seconds after which a gateway process that told nothing is taken for gone, and how often one that
#: is there is noted.
GONE, NOTED = 7 * 86400.0, 3600.0
#: How far from now a month may be that a gateway counts in: its clock may differ.
_AHEAD = 86400.0
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@dataclass(slots=True)
class Ledger:
    """What was used, as this hub knows it."""

    db: Database
    clock: Clock
    _month: str = ""
    #: (service, token) -> gateway process -> tokens used in this month.
    _used: dict[tuple[str, str], dict[str, int]] = field(
        default_factory=dict[tuple[str, str], dict[str, int]]
    )
    _noted: dict[str, float] = field(default_factory=dict[str, float])
    _tidied: float = 0.0

    async def start(self) -> None:
        """Read what is known of this month; rows of gateways that are gone are added up.

        Raises:
            Unavailable: the database does not answer.
        """
        try:
            await self.tidy()
        except Away:  # it may only read for a while: what is left to be added up can wait
            self._tidied = 0.0
        self._turn()
        for gateway, meter in await self.db.read(rows.of_month, self._month):
            self._count(gateway, meter)

    async def take(
        self, report: GatewayReport, limited: Iterable[tuple[str, str]]
    ) -> dict[str, int]:
        """Keep what a gateway counted; gives what all others used this month of the limited tokens.

        Raises:
            Unavailable: the database does not answer; the gateway is to tell it again.
        """
        now = self.clock()
        latest = month(now + _AHEAD)
        meters = [one for one in report.meters if _MONTH.fullmatch(one.month)]
        meters = [one for one in meters if one.month <= latest]
        if meters:
            await self.db.write(rows.put, report.gateway, meters, now)
            self._noted[report.gateway] = now
        elif now - self._noted.get(report.gateway, 0.0) > NOTED:
            await self.db.write(rows.seen, report.gateway, now)
            self._noted[report.gateway] = now
        self._turn()
        for meter in meters:
            if meter.month == self._month:
                self._count(report.gateway, meter)
        return {
            f"{service}/{token}": used
            for service, token in limited
            if (used := self._spent(service, token, but=report.gateway))
        }

    def spent(self, service: str, token: str) -> int:
        """Tokens that were used of a token in this month, through any gateway."""
        self._turn()
        return self._spent(service, token)

    async def tidy(self) -> None:
        """Add up what gateways counted that are no more; once an hour, however often it is called.

        Raises:
            Unavailable: the database does not answer.
        """
        now = self.clock()
        if now - self._tidied < NOTED:
            return
        self._tidied = now
        folded = await self.db.write(rows.fold, now - GONE)
        if not folded:
            return
        log.info("added up what former gateways counted", rows=folded)
        self._used.clear()
        for gateway, meter in await self.db.read(rows.of_month, self._month):
            self._count(gateway, meter)

    def _turn(self) -> None:
        """A new month begins with nothing."""
        present = month(self.clock())
        if present != self._month:
            self._month = present
            self._used.clear()

    def _count(self, gateway: str, meter: Meter) -> None:
        used = self._used.setdefault((meter.service, meter.token), {})
        used[gateway] = meter.usage.tokens

    def _spent(self, service: str, token: str, but: str | None = None) -> int:
        used: Mapping[str, int] = self._used.get((service, token), {})
        return sum(tokens for gateway, tokens in used.items() if gateway != but)


async def of_service(
    platform: Platform, actor: Principal, service: str, of_month: str = "", token: str = ""
) -> list[Meter]:
    """Sums by month and token, the newest month first.

    Raises:
        NotFound: there is no such service.
        Forbidden: it is not the actor's to look at.
        Invalid: the month is not like `2026-11`.
        Unavailable: the database does not answer.
    """
    if of_month and _MONTH.fullmatch(of_month) is None:
        raise Invalid("Month", f"[{of_month[:20]}]", "like 2026-11")

    def read(tx: Connection) -> list[Meter]:
        found = service_rows.find(tx, service)
        if found is None:
            raise NotFound("service", id_of(service) or service)
        rights.demand_service(actor, found[0])
        return rows.of_service(tx, found[0].id, of_month, token)

    return await platform.db.read(read)
