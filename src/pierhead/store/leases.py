"""The lease of the active hub, and what others ask of it. PostgreSQL alone: no other has several hubs.

A transaction of the active hub holds the lease's row shared, so that nobody takes the lease until it has
ended; one that comes after that finds another token, and changes nothing.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    cast,
    delete,
    extract,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from pierhead.core.errors import Stale
from pierhead.core.lease import Lease
from pierhead.store.lease_tables import calls as _C
from pierhead.store.lease_tables import leases as _L

_NAME = "hub"
_ONE = _L.c.name == _NAME
#: Not the transaction's begin, which may be long ago when its turn comes.
_NOW = cast(extract("epoch", func.clock_timestamp()), Float)


def look(tx: Connection) -> tuple[Lease | None, float]:
    """The lease, and the database's present time; None = nobody ever had it."""
    now = float(tx.execute(select(_NOW)).scalar_one())
    row = tx.execute(select(_L).where(_ONE)).first()
    return (None if row is None else Lease(row.holder, row.token, row.expires)), now


def take(tx: Connection, holder: str, seen: Lease | None, seconds: float) -> int | None:
    """Take the lease that was seen to be free; its new token, or None if somebody was faster."""
    until = _NOW + seconds
    if seen is None:
        first = {"name": _NAME, "holder": holder, "token": 1, "expires": until}
        try:
            with tx.begin_nested():
                tx.execute(insert(_L).values(first))
        except (
            IntegrityError
        ):  # not `on conflict`: PostgreSQL's own words are loaded for all databases
            return None
        return 1
    token = seen.token + 1
    same = _ONE & (_L.c.token == seen.token) & (_L.c.expires == seen.expires)
    new = {"holder": holder, "token": token, "expires": until}
    return token if tx.execute(update(_L).where(same).values(new)).rowcount else None


def _mine(holder: str, token: int) -> ColumnElement[bool]:
    """By both: a database that lost its last moments with a fail-over gives a token a second time."""
    return _ONE & (_L.c.holder == holder) & (_L.c.token == token)


def renew(tx: Connection, holder: str, token: int, seconds: float) -> bool:
    """Let it last for `seconds` from now; False if somebody else has it."""
    lasting = update(_L).where(_mine(holder, token)).values(expires=_NOW + seconds)
    return bool(tx.execute(lasting).rowcount)


def release(tx: Connection, holder: str, token: int) -> None:
    """Let the next one have it at once."""
    tx.execute(update(_L).where(_mine(holder, token)).values(expires=0.0))


def demand(tx: Connection, holder: str, token: int) -> None:
    """See to it that the lease stays with this holder and token until the transaction ends.

    Raises:
        Stale: somebody else has it.
    """
    mine = select(_L.c.token).where(_mine(holder, token)).with_for_update(read=True)
    if tx.execute(mine).first() is None:
        raise Stale("Another hub has taken over: nothing is written by this one any more.")


def call(tx: Connection, subjects: Iterable[tuple[str, str]], now: float) -> None:
    """Ask the active hub to look at these; (an id that nobody else has, what to look at) of each."""
    rows = [{"id": id_, "subject": subject, "created": now} for id_, subject in subjects]
    tx.execute(insert(_C), rows)


def called(tx: Connection) -> bool:
    """Was anything asked?"""
    return tx.execute(select(_C.c.id).limit(1)).first() is not None


def answer(tx: Connection) -> Sequence[str]:
    """What was asked, each thing once; it is not asked any more then."""
    return sorted(set(tx.execute(delete(_C).returning(_C.c.subject)).scalars()))
