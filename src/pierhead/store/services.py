"""Services as stored: wanted state with a guard, its versions and labels."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import (
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from pierhead.core.errors import Conflict, Stale
from pierhead.core.names import ID_DIGITS, id_of
from pierhead.core.services import Change, Seen, Service, Version, Wanted
from pierhead.store import codec, history, sealing, tables
from pierhead.store import seen as seen_rows
from pierhead.store.sealing import Texts

_S = tables.services
_WIDTH = len(_S.columns)
#: How many rows are remembered with what they mean; each is some kilobytes.
_REMEMBERED = 1024
_BOTH = select(_S, *seen_rows.COLUMNS).outerjoin(tables.seen, tables.seen.c.service == _S.c.id)
# Made once: SQLAlchemy takes longer to build such a statement than SQLite to run it.
_BY_ID = _BOTH.where(_S.c.id == bindparam("id"))
_BY_NAME = _BOTH.where(_S.c.name == bindparam("name"))
_NAMED = select(_S.c.id).where(_S.c.name == bindparam("name"))
_IN_GROUP = _BY_NAME.where(_S.c.group_name == bindparam("group"))
_OLDEST_FIRST = _BOTH.order_by(_S.c.created, _S.c.id)
_BY_TEMPLATE = _OLDEST_FIRST.where(_S.c.template == bindparam("uuid"))
_BY_MODEL = _OLDEST_FIRST.where(_S.c.model == bindparam("uuid"))
_NEEDING = _OLDEST_FIRST.where(_S.c.registration.contains(bindparam("uuid")))
#: Ids that begin with `digits`; `beyond` is past every one of them, since an id has hex digits only.
_BY_DIGITS = _OLDEST_FIRST.where(
    _S.c.id >= bindparam("digits"), _S.c.id < bindparam("beyond")
).limit(1)
_ADD, _ADD_SEEN = insert(_S), insert(tables.seen)

#: What stands in a stored registration (and, with these quotes, in none of its texts) of a service
#: that takes no part in the traffic of its group.
_STANDALONE = '"standalone":true'

Sort = Literal["created", "updated", "name"]


@dataclass(frozen=True, slots=True)
class ServiceQuery:
    """Which services; every condition that is set must hold."""

    name: str = ""
    contains: str = ""  #: substring of the name
    id: str = ""  #: or the first digits of one
    group: str = ""
    workspace: str = ""
    or_no_workspace: bool = False  #: also those that have no workspace
    within: tuple[str, ...] | None = None  #: in one of these workspaces; None = anywhere
    quota: str = ""
    #: Its document asked for the pool of machines with this id, and with each of these.
    pools: tuple[str, ...] = ()
    member: bool = False  #: in a group, whether it takes part there or not
    grouped: bool | None = None  #: it takes part in the traffic of a group, or not
    caller: str = ""
    #: With a scaler of this kind (see store/scalers.py), or without one.
    scaled: Mapping[str, bool] = field(default_factory=dict[str, bool])
    labels: Mapping[str, str | None] = field(
        default_factory=dict[str, str | None]
    )  #: None = the key exists
    sort: Sort = "created"
    descending: bool = True
    offset: int = 0
    limit: int | None = None


def add(tx: Connection, service: Service) -> None:
    """Store a new service with its first version.

    Raises:
        Conflict: another service has this name.
    """
    try:
        tx.execute(_ADD, _row(service, sealing.box_of(tx)))
    except IntegrityError as error:
        raise Conflict("service", service.name, "already exists") from error
    tx.execute(_ADD_SEEN, seen_rows.row(service.id, Seen()))
    _write_labels(tx, service)
    history.add(tx, service, service.caller, service.created)


def change(tx: Connection, service: Service, actor: str = "") -> None:
    """Store a changed service; its revision must be one above the stored one.

    `actor`: id of the principal that changes it, for the history of its versions.

    Raises:
        Stale: somebody was faster.
    """
    values = _row(service, sealing.box_of(tx))
    if not service.token:  # it could not be opened: it stays for the key that can
        del values["token"]
    guard = (_S.c.id == service.id) & (_S.c.revision == service.revision - 1)
    columns = (_S.c.labels, _S.c.latest, _S.c.content)
    old = tx.execute(select(*columns).where(guard)).first()
    if old is None or not tx.execute(update(_S).where(guard).values(values)).rowcount:
        raise Stale(service.id)
    if old.labels != values["labels"]:
        tx.execute(delete(tables.labels).where(tables.labels.c.service == service.id))
        _write_labels(tx, service)
    if service.latest > old.latest:
        history.add(tx, service, actor, service.updated)
    elif old.content != values["content"]:
        # Its owner told of it anew, such as another count: it is remembered as it was told last.
        history.retell(tx, service.id, service.current.number, values["content"])


def skip_versions(tx: Connection, service: str, number: int) -> None:
    """Let the next version have a higher number than this one, which was lost."""
    lower = (_S.c.id == service) & (_S.c.latest < number)
    tx.execute(update(_S).where(lower).values(latest=number))


def version(tx: Connection, service: str, number: int) -> Version | None:
    """One version of a service's history."""
    kept = history.load(tx, service, number)
    return None if kept is None else kept.version


def remove(tx: Connection, service: str, revision: int) -> None:
    """Remove the record, the last trace of a service.

    Raises:
        Stale: it changed meanwhile.
    """
    if not tx.execute(delete(_S).where(_S.c.id == service, _S.c.revision == revision)).rowcount:
        raise Stale(service)


def load(tx: Connection, service: str) -> tuple[Service, Seen] | None:
    """A service by its id, with what was seen of it."""
    return _pair(tx, tx.execute(_BY_ID, {"id": service}).first())


def find(tx: Connection, name: str) -> tuple[Service, Seen] | None:
    """A service by its name, its `<group>.<name>`, its id, or what `names.by_id` gives for one."""
    digits = id_of(name)
    if digits is not None:
        return beginning(tx, digits)
    found = _pair(tx, tx.execute(_BY_NAME, {"name": name}).first())
    if found is None and "." in name:
        group, _, bare = name.rpartition(".")
        found = _pair(tx, tx.execute(_IN_GROUP, {"name": bare, "group": group}).first())
    return found or load(tx, name)


def is_taken(tx: Connection, name: str) -> bool:
    """Has a service this name?"""
    return tx.execute(_NAMED, {"name": name}).first() is not None


def beginning(tx: Connection, digits: str) -> tuple[Service, Seen] | None:
    """A service by its id, or by ID_DIGITS or more digits that its id begins with."""
    if len(digits) < ID_DIGITS:
        return None
    return _pair(tx, tx.execute(_BY_DIGITS, {"digits": digits, "beyond": f"{digits}g"}).first())


def page(tx: Connection, query: ServiceQuery) -> tuple[list[tuple[Service, Seen]], int]:
    """One page of services and how many there are in all."""
    rows = _where(_BOTH, query)
    total = tx.execute(_where(select(func.count()).select_from(_S), query)).scalar_one()
    by = {"created": _S.c.created, "updated": _S.c.updated, "name": _S.c.name}[query.sort]
    rows = rows.order_by(by.desc() if query.descending else by.asc(), _S.c.id)
    rows = rows.offset(query.offset).limit(query.limit)
    return _pairs(tx, rows), total


def ids(tx: Connection) -> list[str]:
    """The id of every service."""
    return list(tx.execute(select(_S.c.id)).scalars())


def everything(tx: Connection) -> list[tuple[Service, Seen]]:
    """Every service with what was seen of it."""
    return _pairs(tx, _BOTH)


def versions(tx: Connection) -> list[Version]:
    """What services serve or want to serve: each one's current version, and older ones that still run."""
    found: list[Version] = []
    for service, seen in everything(tx):
        found.append(service.current)
        for rollout in {replica.rollout for replica in seen.replicas} - {service.rollout}:
            older = version(tx, service.id, int(rollout.partition(".")[0]))
            if older is not None:
                found.append(older)
    return found


def using_template(tx: Connection, template: str) -> list[Service]:
    """Services that were made from a registered template, oldest first."""
    return _services(tx, _BY_TEMPLATE, template)


def using_model(tx: Connection, model: str) -> list[Service]:
    """Services that serve a registered model, oldest first."""
    return _services(tx, _BY_MODEL, model)


def needing(tx: Connection, service: str) -> list[Service]:
    """Services that must not start before this one runs, oldest first."""
    found = _services(tx, _NEEDING, service)
    return [one for one in found if service in one.registration.needs]


def _services(tx: Connection, statement: Select[Any], uuid: str) -> list[Service]:
    return [pair[0] for pair in _pairs(tx, statement, uuid=uuid)]


def _where(statement: Select[Any], query: ServiceQuery) -> Select[Any]:
    exact = {
        "name": query.name,
        "group_name": query.group,
        "quota": query.quota,
        "caller": query.caller,
    }
    for column, value in exact.items():
        if value:
            statement = statement.where(_S.c[column] == value)
    if query.id:
        beyond = f"{query.id}g" if len(query.id) >= ID_DIGITS else query.id
        statement = statement.where((_S.c.id == query.id) | _S.c.id.between(query.id, beyond))
    statement = statement.where(*_in_workspaces(query))
    if query.member:
        statement = statement.where(_S.c.group_name != "")
    if query.grouped is not None:
        takes_part = (_S.c.group_name != "") & ~_S.c.registration.contains(_STANDALONE)
        statement = statement.where(takes_part if query.grouped else ~takes_part)
    if query.contains:
        statement = statement.where(_S.c.name.icontains(query.contains, autoescape=True))
    for key, value in query.labels.items():
        statement = statement.where(_labelled(key, value))
    return statement.where(*_pooled(query), *_scaled(query))


def _in_workspaces(query: ServiceQuery) -> Iterator[Any]:
    if query.workspace:
        own = _S.c.workspace == query.workspace
        yield own | (_S.c.workspace == "") if query.or_no_workspace else own
    if query.within is not None:
        yield _S.c.workspace.in_(query.within)


def _pooled(query: ServiceQuery) -> Iterator[Any]:
    for pool in query.pools:
        # A text in a document has its quotes escaped: so nothing but the field looks like this.
        named = f'"resource":{json.dumps(pool, ensure_ascii=False)}'
        yield _S.c.content.contains(named, autoescape=True)


def _labelled(key: str, value: str | None) -> Any:
    _L = tables.labels
    condition = exists().where(_L.c.service == _S.c.id, _L.c.key == key)
    return condition if value is None else condition.where(_L.c.value == value)


def _scaled(query: ServiceQuery) -> Iterator[Any]:
    _T = tables.scalers
    for kind, present in query.scaled.items():
        condition = exists().where(_T.c.service == _S.c.id, _T.c.kind == kind)
        yield condition if present else ~condition


def _write_labels(tx: Connection, service: Service) -> None:
    rows = [
        {"service": service.id, "key": key, "value": value} for key, value in service.labels.items()
    ]
    if rows:
        tx.execute(insert(tables.labels), rows)


def _row(service: Service, box: Texts | None) -> dict[str, Any]:
    same = (
        "id",
        "name",
        "account",
        "caller",
        "origin",
        "replicas",
        "latest",
        "epoch",
        "revision",
        "created",
        "updated",
        "workspace",
        "quota",
    )
    row: dict[str, Any] = {name: getattr(service, name) for name in same}
    return row | {
        "wanted": str(service.wanted),
        "change": str(service.change),
        "token": sealing.seal(box, _token_of(service.id), service.token),
        "content": history.content(service.id, service.current, box),
        "group_name": service.group,
        "labels": codec.text(codec.labels, dict(service.labels)),
        "registration": codec.text(codec.registration, service.registration),
        "template": service.registration.template or None,
        "model": service.registration.model or None,
    }


def _token_of(service: str) -> str:
    """What a service's token is sealed as."""
    return f"endpoint token:{service}"


def seal_plain(tx: Connection) -> int:
    """Seal what an older release stored in plain, all of it; gives how many services there are."""
    box, versions_ = sealing.box_of(tx), tables.versions

    def sealed(id_: str, content: str) -> str:
        version = codec.read_version(content)
        document = sealing.seal_document_once(box, history.document_of(id_), version.submitted)
        return codec.text(codec.version, replace(version, submitted=document))

    found = tx.execute(select(_S.c.id, _S.c.token, _S.c.content)).all()
    for id_, token, content in found:
        values = {
            "token": sealing.seal_once(box, _token_of(id_), token),
            "content": sealed(id_, content),
        }
        tx.execute(update(_S).where(_S.c.id == id_).values(**values))
    older = select(versions_.c.service, versions_.c.number, versions_.c.content)
    for id_, number, content in tx.execute(older).all():
        one = (versions_.c.service == id_) & (versions_.c.number == number)
        tx.execute(update(versions_).where(one).values(content=sealed(id_, content)))
    return len(found)


def renew_tokens(tx: Connection, fresh: Callable[[], str]) -> int:
    """Give every service a new token whose own is missing or does not open; gives how many.

    `fresh` makes a token; each call another one.
    """
    box, count = sealing.box_of(tx), 0
    for id_, token in tx.execute(select(_S.c.id, _S.c.token)).all():
        name = _token_of(id_)
        if not sealing.unseal_or_none(box, name, token):
            values = {"token": sealing.seal(box, name, fresh())}
            count += tx.execute(update(_S).where(_S.c.id == id_).values(**values)).rowcount
    return count


def unreadable(tx: Connection) -> int:
    """Of how many services the token cannot be opened with this database's key."""
    return sum(not service.token for service, _seen in everything(tx))


def _pair(tx: Connection, row: Row[Any] | None) -> tuple[Service, Seen] | None:
    return None if row is None else _both(tuple(row), sealing.box_of(tx))


def _pairs(tx: Connection, statement: Select[Any], **values: str) -> list[tuple[Service, Seen]]:
    box = sealing.box_of(tx)
    return [_both(tuple(row), box) for row in tx.execute(statement, values).all()]


@lru_cache(_REMEMBERED)  # by its whole content: most rows are as they were at the last look
def _both(values: tuple[Any, ...], box: Texts | None) -> tuple[Service, Seen]:
    return _service(values[:_WIDTH], box), seen_rows.read(values[_WIDTH:])


def _service(values: tuple[Any, ...], box: Texts | None) -> Service:
    """The values of a row by their place in `services`: by name it takes three times as long."""
    # fmt: off
    (id_, name, account, caller, origin, wanted, change_, replicas, content, latest, epoch, revision,
     token, created, updated, workspace, quota, group, labels, registration, _template, _model) = values
    # fmt: on
    return Service(
        id=id_,
        name=name,
        account=account,
        caller=caller,
        origin=origin,
        wanted=Wanted(wanted),
        change=Change(change_),
        replicas=replicas,
        current=history.read(id_, content, box),
        latest=latest,
        epoch=epoch,
        revision=revision,
        token=sealing.unseal_or_none(box, _token_of(id_), token),
        created=created,
        updated=updated,
        workspace=workspace,
        quota=quota,
        group=group,
        labels=codec.labels.validate_json(labels) if labels != "{}" else {},
        registration=codec.read_registration(registration),
    )
