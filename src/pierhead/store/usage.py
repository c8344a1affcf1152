"""What was used of tokens: per gateway process, whose totals replace each other, and summed by month."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from pierhead.core.usage import Meter, Usage
from pierhead.store.token_tables import token_usage as _U

_FIGURES = ("requests", "prompt", "completion", "estimated")
_SUMS = tuple(func.sum(_U.c[name]).label(name) for name in _FIGURES)
#: The gateway under which those of processes that are no more are kept.
GONE = ""


def put(tx: Connection, gateway: str, meters: Iterable[Meter], now: float) -> None:
    """Keep what a gateway process has counted in all; told again, it counts once."""
    for meter in meters:
        one = _key(gateway, meter)
        values: dict[str, Any] = {name: getattr(meter.usage, name) for name in _FIGURES}
        values["updated"] = now
        if not tx.execute(update(_U).where(_where(one)).values(values)).rowcount:
            tx.execute(insert(_U).values(one | values))


def seen(tx: Connection, gateway: str, now: float) -> None:
    """Note that a gateway process is still there, whether or not it has anything new to tell."""
    tx.execute(update(_U).where(_U.c.gateway == gateway).values(updated=now))


def fold(tx: Connection, before: float) -> int:
    """Add up the rows of gateways that nothing was heard of since `before`; gives how many there were."""
    last = select(_U.c.gateway).where(_U.c.gateway != GONE).group_by(_U.c.gateway)
    gone = list(tx.execute(last.having(func.max(_U.c.updated) < before)).scalars())
    if not gone:
        return 0
    rows = tx.execute(select(_U).where(_U.c.gateway.in_(gone))).mappings().all()
    for row in rows:
        one: dict[str, str] = {"gateway": GONE}
        one |= {name: row[name] for name in ("service", "token", "month")}
        more: dict[str, Any] = {name: _U.c[name] + row[name] for name in _FIGURES}
        more["updated"] = row["updated"]
        if not tx.execute(update(_U).where(_where(one)).values(more)).rowcount:
            values: dict[str, Any] = {name: row[name] for name in (*_FIGURES, "updated")}
            tx.execute(insert(_U).values(one | values))
    tx.execute(delete(_U).where(_U.c.gateway.in_(gone)))
    return len(rows)


def of_month(tx: Connection, month: str) -> list[tuple[str, Meter]]:
    """(gateway, what it counted) of every token in a month."""
    found = tx.execute(select(_U).where(_U.c.month == month)).mappings()
    return [(row["gateway"], _meter(row)) for row in found]


def of_service(tx: Connection, service: str, month: str = "", token: str = "") -> list[Meter]:
    """Sums of a service's tokens by month, the newest first; of one month or token if they are given."""
    wanted = _U.c.service == service
    if month:
        wanted &= _U.c.month == month
    if token:
        wanted &= _U.c.token == token
    by = (_U.c.service, _U.c.token, _U.c.month)
    sums = select(*by, *_SUMS).where(wanted).group_by(*by).order_by(_U.c.month.desc(), _U.c.token)
    return [_meter(row) for row in tx.execute(sums).mappings()]


def totals(tx: Connection) -> list[Meter]:
    """Sums of every token over all months, whose `month` is ""."""
    sums = select(_U.c.service, _U.c.token, *_SUMS).group_by(_U.c.service, _U.c.token)
    return [_meter({**row, "month": ""}) for row in tx.execute(sums).mappings()]


def _meter(row: Any) -> Meter:
    # PostgreSQL gives sums of large integers as decimals.
    usage = Usage(**{name: int(row[name]) for name in _FIGURES})
    return Meter(row["service"], row["token"], row["month"], usage)


def _key(gateway: str, meter: Meter) -> dict[str, str]:
    return {
        "gateway": gateway,
        "service": meter.service,
        "token": meter.token,
        "month": meter.month,
    }


def _where(one: dict[str, str]) -> Any:
    found = _U.c.gateway == one["gateway"]
    for name in ("service", "token", "month"):
        found &= _U.c[name] == one[name]
    return found
