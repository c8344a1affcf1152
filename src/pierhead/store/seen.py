"""What the reconciler saw of each service: written by it alone, read by everybody."""

from typing import Any

from sqlalchemy import Connection, bindparam, update

from pierhead.core.services import Seen
from pierhead.store import codec, tables

_T = tables.seen

#: Labelled so that they can stand in one row beside the columns of `services`.
COLUMNS = tuple(column.label(f"seen_{column.name}") for column in _T.columns)
# Made once: it runs at every look that finds something new.
_SAVE = update(_T).where(_T.c.service == bindparam("of"))


def save(tx: Connection, service: str, seen: Seen) -> None:
    """Store what was seen; a service that is gone meanwhile is no error."""
    tx.execute(_SAVE, row(service, seen) | {"of": service})


def row(service: str, seen: Seen) -> dict[str, Any]:
    """The columns of one service's `seen`."""
    return {
        "service": service,
        "revision": seen.revision,
        "settled": seen.settled,
        "since": seen.since,
        "hold": codec.text(codec.hold, seen.hold) if seen.hold else "",
        "replicas": codec.text(codec.replicas, seen.replicas),
        "failed_roll": seen.failed_roll,
        "served": seen.served,
        "broken": seen.broken,
        "granted": seen.granted,
    }


def read(values: tuple[Any, ...]) -> Seen:
    """The `Seen` in the values of COLUMNS."""
    # fmt: off
    service, revision, settled, since, hold, replicas, failed_roll, served, broken, granted = values
    # fmt: on
    if service is None:
        return Seen()
    return Seen(
        revision=revision,
        settled=settled,
        since=since,
        hold=codec.read_hold(hold) if hold else None,
        replicas=codec.replicas.validate_json(replicas) if replicas != "[]" else (),
        failed_roll=failed_roll,
        served=served,
        broken=broken,
        granted=granted,
    )
