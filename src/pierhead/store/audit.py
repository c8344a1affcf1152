"""The audit trail. Entries are appended to the chain and, after their time, the oldest are forgotten."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, text

from pierhead.core.audit import START, Entry, Mark, Outcome, chained
from pierhead.store import facts, tables

_A = tables.audit
_ADD = insert(_A)
_COLUMNS = tuple(column.name for column in _A.columns)
_LAST = select(_A.c.number, _A.c.digest).order_by(_A.c.number.desc()).limit(1)
#: Key of PostgreSQL's advisory lock: "audt" in ASCII. The chain has one end, and hubs take turns.
_LOCK = 0x61756474
#: Fact: what was before the oldest entry that is still there.
_ANCHOR = "audit_anchor"
#: Entries that one transaction forgets at most: others wait for it.
MOST_FORGOTTEN = 5000


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which entries. Texts may hold `*`; an empty one is every one."""

    actor: str = ""  #: principal id or ARN
    action: str = ""
    resource: str = ""
    outcome: Outcome | str = ""
    door: str = ""
    since: float = 0.0
    until: float = float("inf")
    before: int = 0  #: entries with a smaller number, newest first; 0 = from the newest on
    after: int = -1  #: entries with a greater number, oldest first; -1 = newest first
    limit: int = 100


def append(tx: Connection, key: bytes, entries: Iterable[Entry]) -> Mark:
    """Add entries to the chain's end; where that is then."""
    if tx.dialect.name == "postgresql":
        tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    end = last(tx, key)
    found = chained(key, end.number, end.digest, entries)
    if not found:
        return end
    tx.execute(_ADD, [{name: getattr(one, name) for name in _COLUMNS} for one in found])
    return Mark(found[-1].number, found[-1].digest)


def last(tx: Connection, key: bytes) -> Mark:
    """The chain's end: its newest entry, or what was forgotten last, or its beginning."""
    row = tx.execute(_LAST).first()
    return Mark(row.number, row.digest) if row is not None else anchor(tx, key) or START


def anchor(tx: Connection, key: bytes) -> Mark | None:
    """What was before the oldest entry; None if what is written there is not ours."""
    written = facts.get(tx, _ANCHOR)
    return Mark.read(key, written) if written else START


def page(tx: Connection, query: AuditQuery) -> list[Entry]:
    """Entries that meet the query."""
    forward = query.after >= 0
    order = _A.c.number.asc() if forward else _A.c.number.desc()
    wanted = select(_A).where(_where(query)).order_by(order).limit(query.limit)
    return [Entry(**row) for row in tx.execute(wanted).mappings()]


def recent(tx: Connection, count: int) -> list[Entry]:
    """The newest `count` entries."""
    wanted = select(_A).order_by(_A.c.number.desc()).limit(count)
    return [Entry(**row) for row in tx.execute(wanted).mappings()]


def forget(tx: Connection, key: bytes, before: float) -> int:
    """Forget entries older than `before`, from the oldest on, and mark the place; how many."""
    keep = tx.execute(select(func.min(_A.c.number)).where(_A.c.at >= before)).scalar()
    first = tx.execute(select(func.min(_A.c.number))).scalar()
    if first is None:
        return 0
    end = last(tx, key).number + 1 if keep is None else keep
    end = min(end, first + MOST_FORGOTTEN)
    gone = tx.execute(select(_A.c.number, _A.c.digest).where(_A.c.number == end - 1)).first()
    if gone is None:
        return 0
    facts.put(tx, _ANCHOR, Mark(gone.number, gone.digest).text(key))
    return tx.execute(delete(_A).where(_A.c.number < end)).rowcount


def _where(query: AuditQuery) -> ColumnElement[bool]:
    asked: list[ColumnElement[bool]] = [
        _alike(_A.c[name], value)
        for name, value in (
            ("action", query.action),
            ("resource", query.resource),
            ("outcome", query.outcome),
            ("door", query.door),
        )
        if value
    ]
    if query.actor:
        asked.append(_alike(_A.c.actor, query.actor) | _alike(_A.c.actor_arn, query.actor))
    if query.since > 0:
        asked.append(_A.c.at >= query.since)
    if query.until != float("inf"):
        asked.append(_A.c.at <= query.until)
    if query.before > 0:
        asked.append(_A.c.number < query.before)
    if query.after >= 0:
        asked.append(_A.c.number > query.after)
    return and_(*asked) if asked else _A.c.number > 0


def _alike(column: ColumnElement[str], wanted: str) -> ColumnElement[bool]:
    """Equal, where `*` stands for anything; without regard to case."""
    pattern = wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return column.ilike(pattern.replace("*", "%"), escape="\\")
