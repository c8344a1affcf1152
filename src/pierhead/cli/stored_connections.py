"""Storage connections in this platform's own database, for the verbs that keep and try them."""

import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

from pierhead.cli.screen import emit, note
from pierhead.core.connections import HUBS, Account, Connection, named, source_of
from pierhead.core.egress import refusal
from pierhead.core.errors import Invalid, Missing, Unavailable
from pierhead.core.mounts import NasSource, Remote, parse_source
from pierhead.settings import Settings

if TYPE_CHECKING:  # every verb would pay for the import
    from sqlalchemy import Connection as Transaction

T = TypeVar("T")


def content(file: str, option: str) -> str:
    """The one line in a file; "" when none is named.

    Raises:
        Unavailable: it cannot be read. Invalid: it holds no line of text.
    """
    if not file:
        return ""
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        text = raw.decode().strip()
    except OSError as error:
        raise Unavailable(f"The file {file}", f"{error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise Invalid(option, f"{file} holds no text") from error
    if not text:
        raise Invalid(option, f"{file} is empty")
    return text


def store(account: Account, replace: bool, data_dir: Path | None, as_json: bool) -> None:
    """Keep a connection, and say so."""
    from pierhead.bootstrap.storage import box
    from pierhead.operations import connections

    def put(tx: "Transaction", settings: Settings) -> tuple[Connection, Connection | None]:
        added = connections.add(tx, box(settings), account, replace=replace)
        return added, connections.instead(tx, added)

    added, other = write(data_dir, "AddStorageConnection", account.connection.name, put)
    why = _unreachable(added)
    if as_json:
        emit(document(added))
    elif other is not None or why is not None:
        print(f"The storage connection {added.name} is kept.", flush=True)
    else:
        print(f"{added.serves} is served by the storage connection {added.name} now.", flush=True)
    if other is not None:
        note(f"{added.serves} is served by the older one of them still: {other.name}.")
    if why is not None:
        note(why)
    elif not as_json:
        source = f" {added.serves}ORG/NAME" if added.kind in HUBS else ""
        note(f"Try it: pierhead storage test {added.name}{source}")


def _unreachable(connection: Connection) -> str | None:
    """What is said of an address that this platform will not connect to; of names it is seen later."""
    host = urlsplit(connection.endpoint).hostname or ""
    try:
        why = refusal(str(ip_address(host)), private=connection.allow_private)
    except ValueError:  # a name
        return None
    if why is None:
        return None
    told = f"Nothing will be read over it: {host} is {why}"
    if refusal(host, private=True) is not None:
        return f"{told}, where no connection may lead."
    return f"{told}. If it is meant, add it again with --replace and --allow-private."


def read(data_dir: Path | None, fn: "Callable[[Transaction], T]") -> T:
    """What `fn` finds in the database."""
    return _run(Settings.load({"data_dir": data_dir}), fn, writing=False)


def write(
    data_dir: Path | None, action: str, name: str, fn: "Callable[[Transaction, Settings], T]"
) -> T:
    """Let `fn` change the database, with an entry of the audit trail about it."""
    from pierhead.bootstrap.audit import by_operator

    settings = Settings.load({"data_dir": data_dir})

    def change(tx: "Transaction") -> T:
        done = fn(tx, settings)
        told(tx)
        return done

    told = by_operator(settings, f"pierhead:{action}", f"StorageConnection/{name}")
    return _run(settings, change, writing=True)


def _run(settings: Settings, fn: "Callable[[Transaction], T]", *, writing: bool) -> T:
    from pierhead.bootstrap.database import migrate
    from pierhead.store import db

    migrate(settings)  # a platform that was never started has no tables yet
    engine = db.connect(settings.database, writing=writing)
    try:
        return db.run(engine, fn)
    finally:
        engine.dispose()


def document(connection: Connection) -> dict[str, Any]:
    """A connection as JSON, without what is empty."""
    shown = {name: value for name, value in asdict(connection).items() if value not in ("", ())}
    return {
        **shown,
        "serves": connection.serves,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(connection.created)),
    }


def listed(name: str, text: str, data_dir: Path | None) -> tuple[str, list[tuple[str, int]]]:
    """(what is listed, its files with their sizes) behind the connection of that name.

    Raises:
        NotFound: there is no such connection. Missing, Invalid: `text` names nothing that it serves.
        Unavailable, OSError: it cannot be listed.
    """
    from pierhead.bootstrap.storage import box
    from pierhead.operations import connections
    from pierhead.sources import nas
    from pierhead.sources.openers import opened

    settings = Settings.load({"data_dir": data_dir})

    def look(tx: "Transaction") -> Account:
        return connections.opener(tx, box(settings), name)

    account = _run(settings, look, writing=False)
    source = _served(account.connection, text)
    if isinstance(source, NasSource) and account.connection.local_path:
        return str(source), _here(nas.folder(Path(account.connection.local_path), source))
    with closing(opened(source, account, lambda _: account, time.time)) as remote:
        return str(source), [(each.key, each.size) for each in remote.listing().entries]


def _served(connection: Connection, text: str) -> Remote:
    """What is to be listed; all of it, where no more is said."""
    if not text and connection.kind in HUBS:
        raise Missing("source", f"a repository of the hub, such as {connection.serves}org/name")
    source = parse_source(text) if text else source_of(f"{connection.serves}/")
    if source is None or named(source) != connection.serves:
        served = f"[{text[:200]}] is not served by it"
        raise Invalid("source", served, f"what begins with {connection.serves}")
    return cast("Remote", source)


def _here(folder: Path) -> list[tuple[str, int]]:
    """The files right in a folder, or the file."""
    if folder.is_file():
        return [(folder.name, folder.stat().st_size)]
    return [(each.name, each.stat().st_size) for each in sorted(folder.iterdir()) if each.is_file()]
