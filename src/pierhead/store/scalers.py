"""Scalers as stored: what owners want of counts, and what the scalers have to remember of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, delete, insert, select, update

from pierhead.core.cron_scalers import CronScaler, Runs
from pierhead.core.scalers import AutoScaler, Deeds
from pierhead.store import codec, tables

_T = tables.scalers
Kind = Literal["load", "cron"]
LOAD: Kind = "load"
CRON: Kind = "cron"


@dataclass(frozen=True, slots=True)
class LoadScaler:
    """An auto-scaler of a service."""

    service: str  #: service id
    scaler: AutoScaler
    deeds: Deeds
    created: float
    revision: int


@dataclass(frozen=True, slots=True)
class ClockScaler:
    """A cron-scaler of a service."""

    service: str  #: service id
    scaler: CronScaler
    runs: Runs
    created: float
    revision: int


def put_load(tx: Connection, service: str, scaler: AutoScaler, now: float) -> None:
    """Give a service this auto-scaler, in the place of any other."""
    _put(
        tx,
        service,
        LOAD,
        codec.text(codec.auto_scaler, scaler),
        codec.text(codec.deeds, Deeds()),
        now,
    )


def put_cron(tx: Connection, service: str, scaler: CronScaler, now: float) -> None:
    """Give a service this cron-scaler, in the place of any other; moments before `now` do not count."""
    content, runs = codec.text(codec.cron_scaler, scaler), Runs(probed=now)
    _put(tx, service, CRON, content, codec.text(codec.runs, runs), now)


def load_of(tx: Connection, service: str) -> LoadScaler | None:
    """The auto-scaler of a service."""
    row = _row(tx, service, LOAD)
    return None if row is None else _load(row)


def cron_of(tx: Connection, service: str) -> ClockScaler | None:
    """The cron-scaler of a service."""
    row = _row(tx, service, CRON)
    return None if row is None else _cron(row)


def sleepers(tx: Connection, service: str | None = None) -> frozenset[str]:
    """Ids of services whose auto-scaler may take their last replica; of `service` only, if it is one."""
    wanted = select(_T.c.service, _T.c.content).where(_T.c.kind == LOAD)
    if service is not None:
        wanted = wanted.where(_T.c.service == service)
    return frozenset(
        row.service
        for row in tx.execute(wanted)
        if codec.auto_scaler.validate_json(row.content).low == 0
    )


def everything(tx: Connection) -> tuple[list[LoadScaler], list[ClockScaler]]:
    """All scalers of all services."""
    found = list(tx.execute(select(_T).order_by(_T.c.service)).all())
    return (
        [_load(row) for row in found if row.kind == LOAD],
        [_cron(row) for row in found if row.kind == CRON],
    )


def remove(tx: Connection, service: str, kind: Kind) -> bool:
    """Take a scaler from a service; False when it has none of the kind."""
    return bool(tx.execute(delete(_T).where(*_is(service, kind))).rowcount)


def remember_deeds(tx: Connection, kept: LoadScaler, deeds: Deeds) -> bool:
    """Write down what an auto-scaler did; False when it was changed meanwhile, and nothing is written."""
    return _remember(tx, LOAD, kept, codec.text(codec.deeds, deeds))


def remember_runs(tx: Connection, kept: ClockScaler, runs: Runs) -> bool:
    """Write down what a cron-scaler did; False when it was changed meanwhile, and nothing is written."""
    return _remember(tx, CRON, kept, codec.text(codec.runs, runs))


def _put(tx: Connection, service: str, kind: Kind, content: str, state: str, now: float) -> None:
    present = _row(tx, service, kind)
    values = {"content": content, "state": state, "created": now}
    if present is None:
        tx.execute(insert(_T).values(service=service, kind=kind, revision=1, **values))
        return
    changed = update(_T).where(*_is(service, kind))
    tx.execute(changed.values(revision=present.revision + 1, **values))


def _remember(tx: Connection, kind: Kind, kept: LoadScaler | ClockScaler, state: str) -> bool:
    # One that was removed and made anew begins with the first revision again.
    guard = (_T.c.revision == kept.revision) & (_T.c.created == kept.created)
    changed = update(_T).where(*_is(kept.service, kind), guard)
    return bool(tx.execute(changed.values(state=state)).rowcount)


def _row(tx: Connection, service: str, kind: Kind) -> Any:
    return tx.execute(select(_T).where(*_is(service, kind))).first()


def _is(service: str, kind: Kind) -> Iterator[Any]:
    yield _T.c.service == service
    yield _T.c.kind == kind


def _load(row: Any) -> LoadScaler:
    scaler = codec.auto_scaler.validate_json(row.content)
    deeds = codec.deeds.validate_json(row.state)
    return LoadScaler(row.service, scaler, deeds, row.created, row.revision)


def _cron(row: Any) -> ClockScaler:
    scaler = codec.cron_scaler.validate_json(row.content)
    runs = codec.runs.validate_json(row.state)
    return ClockScaler(row.service, scaler, runs, row.created, row.revision)
