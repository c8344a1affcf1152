"""Versions of services as stored: what each was, who made it and when; the newest are kept."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from pierhead.core.services import Registration, Service, Version
from pierhead.core.workloads import version_of
from pierhead.store import codec, sealing, tables
from pierhead.store.sealing import Texts

#: Versions that are kept of each service, beside older ones that still run.
KEPT = 50
_V = tables.versions
_ADD = insert(_V)


@dataclass(frozen=True, slots=True)
class Kept:
    """One version of a service's history."""

    version: Version
    created: float  #: epoch seconds
    actor: str  #: id of the principal that made it; "" = not known
    origin: str  #: as Service.origin was then; "" = not known
    #: How the service hung together with what is registered then; None = not known.
    registration: Registration | None


def add(tx: Connection, service: Service, actor: str, created: float) -> None:
    """Append a service's current version; those that are older than the newest KEPT go."""
    row = {
        "service": service.id,
        "number": service.current.number,
        "content": content(service.id, service.current, sealing.box_of(tx)),
        "created": created,
        "actor": actor,
        "origin": service.origin,
        "registration": codec.text(codec.registration, service.registration),
    }
    tx.execute(_ADD, row)
    if service.latest > KEPT:
        _trim(tx, service)


def retell(tx: Connection, service: str, number: int, stored: str) -> None:
    """Let a version that is kept have this content, which `content` made."""
    one = (_V.c.service == service) & (_V.c.number == number)
    tx.execute(update(_V).where(one).values(content=stored))


def load(tx: Connection, service: str, number: int) -> Kept | None:
    """One version; None when it is not kept, or never was."""
    found = tx.execute(select(_V).where(_V.c.service == service, _V.c.number == number)).first()
    return None if found is None else _kept(found, sealing.box_of(tx))


def page(tx: Connection, service: str, offset: int, limit: int) -> tuple[list[Kept], int]:
    """Some of a service's versions, newest first, and how many are kept in all."""
    mine = _V.c.service == service
    total = tx.execute(select(func.count()).select_from(_V).where(mine)).scalar_one()
    rows = select(_V).where(mine).order_by(_V.c.number.desc()).offset(offset).limit(limit)
    box = sealing.box_of(tx)
    return [_kept(row, box) for row in tx.execute(rows).all()], total


def numbers(tx: Connection, service: str) -> list[int]:
    """The numbers of all versions that are kept, lowest first."""
    found = select(_V.c.number).where(_V.c.service == service).order_by(_V.c.number)
    return list(tx.execute(found).scalars())


def content(service: str, version: Version, box: Texts | None) -> str:
    """A version as it is stored: what is secret of the submitted document is sealed."""
    submitted = sealing.seal_document(box, document_of(service), version.submitted)
    if submitted is not version.submitted:
        version = replace(version, submitted=submitted)
    return codec.text(codec.version, version)


def read(service: str, stored: str, box: Texts | None) -> Version:
    """The version that `content` stored."""
    found = codec.read_version(stored)
    submitted = sealing.unseal_document(box, document_of(service), found.submitted)
    return found if submitted is found.submitted else replace(found, submitted=submitted)


def document_of(service: str) -> str:
    """What secrets of a service's documents are sealed as."""
    return f"service document:{service}"


def _kept(row: Row[Any], box: Texts | None) -> Kept:
    held = codec.read_registration(row.registration) if row.registration else None
    version = read(row.service, row.content, box)
    return Kept(version, row.created, row.actor, row.origin, held)


def _trim(tx: Connection, service: Service) -> None:
    """Of the older ones those stay that a replica still runs: it may be all that serves."""
    mine = _V.c.service == service.id
    old = select(_V.c.number).where(mine, _V.c.number <= service.latest - KEPT)
    surplus = set[int](tx.execute(old).scalars())
    if surplus:
        surplus -= _running(tx, service.id)
        tx.execute(delete(_V).where(mine, _V.c.number.in_(surplus)))


def _running(tx: Connection, service: str) -> set[int]:
    _S = tables.seen
    stored = tx.execute(select(_S.c.replicas).where(_S.c.service == service)).scalar() or "[]"
    return {version_of(replica.rollout) for replica in codec.replicas.validate_json(stored)}
