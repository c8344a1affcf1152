"""The audit trail without a hub: what operators do on the database itself, and whether the chain holds."""

import getpass
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pierhead.bootstrap.watching import HEAD, audit_key
from pierhead.core.audit import START, Act, Entry, Mark, Source, broken, entry
from pierhead.core.errors import NotFound
from pierhead.settings import Settings
from pierhead.store import audit as rows
from pierhead.store import db, schema

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the chain holds."""

    entries: int
    first: int  #: number of the oldest entry that is still there
    last: Mark  #: as far as it holds
    problem: str  #: "" = none


def by_operator(
    settings: Settings, action: str, resource: str, detail: object = None
) -> Callable[[db.Connection], None]:
    """Writes an entry about a deed of somebody at the machine, in the transaction of the deed."""
    key, user = audit_key(settings.data_dir), _user()

    def write(tx: db.Connection) -> None:
        act = Act("cli", action, (resource,), "OK", detail=detail)
        told = entry(act, None, Source(agent="pierhead"), time.time())
        rows.append(tx, key, [replace(told, actor=f"os:{user}")])

    return write


def verify(settings: Settings) -> Verdict:
    """Follow the whole chain.

    Raises:
        NotFound: there is no database yet, or one of an older release.
        Unavailable: it does not answer.
    """
    if schema.version(settings.database) != schema.HEAD:
        raise NotFound("audit trail", settings.database_url or str(settings.data_dir))
    key, head = audit_key(settings.data_dir), settings.data_dir / HEAD
    engine = db.connect(settings.database, writing=False)
    try:
        return _follow(engine, key, _seen(head, key))
    finally:
        engine.dispose()


def _follow(engine: "db.Engine", key: bytes, seen: Mark | None) -> Verdict:
    anchor = db.run(engine, rows.anchor, key)
    if anchor is None:
        return Verdict(0, 0, START, "what was before the oldest entry is not what was written")
    here, count, problem = anchor, 0, ""
    while not problem:
        page = db.run(engine, rows.page, rows.AuditQuery(after=here.number, limit=_PAGE))
        problem = _met(page, seen)
        if not page or problem:
            break
        here, problem = broken(key, here, page)
        count += len(page) if not problem else 0
    if not problem and seen is not None and seen.number > here.number:
        problem = f"entries {here.number + 1} to {seen.number} were there and are gone"
    return Verdict(count, anchor.number + 1, here, problem)


def _met(page: list[Entry], seen: Mark | None) -> str:
    """The hub has seen an entry, and keeps its digest beside the database."""
    same = next((one for one in page if seen is not None and one.number == seen.number), None)
    if same is None or seen is None or same.digest == seen.digest:
        return ""
    return f"entry {same.number} is not the one that this hub has written"


def _seen(head: Path, key: bytes) -> Mark | None:
    try:
        return Mark.read(key, head.read_text("ascii"))
    except (OSError, UnicodeDecodeError):
        return None  # no hub has written any, or it is another machine's


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
