"""`pierhead cache ...`: what was fetched or converted for services, checked, mended and cleared away.

The verbs work on the cache's folder itself; locks keep them and the platform apart.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pierhead.cli.options import AsJson, DataDir
from pierhead.cli.screen import emit, note, table
from pierhead.core.errors import PierheadError, Unavailable
from pierhead.core.resources import human_bytes
from pierhead.setting_values import amount
from pierhead.settings import Settings

if TYPE_CHECKING:  # every verb would pay for these
    from sqlalchemy import Connection as Transaction

    from pierhead.core.connections import Account
    from pierhead.core.mounts import Source
    from pierhead.sources.openers import Opened
    from pierhead.sources.progress import Progress
    from pierhead.sources.snapshots import Snapshot, Snapshots

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Fetched and converted weights."
)

Ids = Annotated[
    list[str] | None, typer.Argument(help="Snapshots as `cache ls` names them; none: all.")
]
_DAY = 86400.0


class CacheDamaged(PierheadError):
    """Files in the cache are not what was fetched."""


@app.command()
def ls(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the snapshots in the cache, with how far those are that are being fetched.

    \b
    Examples:
      pierhead cache ls
    """
    from pierhead.bootstrap.storage import snapshots

    settings = Settings.load({"data_dir": data_dir})
    cache = snapshots(settings)
    found = cache.all()
    if found:  # a mark may be left of a service that is gone
        named = set(_named(settings, cache))
        found = [replace(each, users=tuple(named & set(each.users))) for each in found]
    if as_json:
        emit([_document(each) for each in found])
        return
    if not found:
        print("The cache is empty: what services need from a bucket, a hub or a NAS is kept here.")
        return
    rows = [
        (
            each.id,
            each.name,
            human_bytes(each.bytes),
            _state(each),
            _moment(each.used),
            ", ".join(each.users) or "-",
        )
        for each in found
    ]
    table(("SNAPSHOT", "OF", "SIZE", "STATE", "LAST USED", "KEPT FOR"), rows)


@app.command()
def verify(ids: Ids = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Read every byte and compare it with what was fetched; exit code 1 when something differs.

    \b
    Examples:
      pierhead cache verify
      pierhead cache verify 3f2a.../91bc... --json
    """
    from pierhead.bootstrap.storage import snapshots

    cache = snapshots(Settings.load({"data_dir": data_dir}))
    report: list[dict[str, Any]] = []
    for each in _chosen(cache, ids):
        if each.ready:
            damages = cache.verify(each, _shown, _never)
            report.append({"snapshot": each.id, "damaged": [_damage(one) for one in damages]})
    _tell(report, as_json, "is whole")
    damaged = [row["snapshot"] for row in report if row["damaged"]]
    if damaged:
        raise CacheDamaged(f"Damaged: {', '.join(damaged)}. `pierhead cache repair` mends it.")


@app.command()
def repair(ids: Ids = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Fetch again what is damaged, and only that; a damaged conversion is made anew at the next start.

    \b
    Examples:
      pierhead cache repair
    """
    from pierhead.bootstrap.storage import snapshots

    settings = Settings.load({"data_dir": data_dir})
    cache = snapshots(settings)
    report: list[dict[str, Any]] = []
    for each in _chosen(cache, ids):
        if each.converted and not each.ready:
            continue  # the next start makes it
        if each.converted:
            mended = cache.verify(each, _shown, _never)
            if mended:
                cache.remove(each, even_used=True)
        else:
            with closing(_remote(settings, each)) as remote:
                mended = cache.repair(each, remote, _shown, _never)
        report.append({"snapshot": each.id, "damaged": [_damage(one) for one in mended]})
    _tell(report, as_json, "was whole")
    mended = [row["snapshot"] for row in report if row["damaged"]]
    if mended and not as_json:
        print(f"Mended: {', '.join(mended)}.")


@app.command()
def prune(
    limit: Annotated[
        str,
        typer.Option(
            "--limit", help="Bytes that all snapshots may take afterwards: 0, 500MiB, 20GiB."
        ),
    ] = "0",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Remove snapshots that no service names, longest unused first, down to a limit.

    The platform does so by itself where the settings cache.limit and cache.keep_free ask for it. What
    stopped services name stays. Fetches that did not end within a day go, too.

    \b
    Examples:
      pierhead cache prune --dry-run
      pierhead cache prune
      pierhead cache prune --limit 20GiB
    """
    from pierhead.bootstrap.storage import snapshots

    settings = Settings.load({"data_dir": data_dir})
    cache = snapshots(settings)
    most, now = _bytes(limit), time.time()  # before it is read who uses what: see release_others
    cache.release_others(_named(settings, cache), before=now)
    removed = cache.prune(most, unfinished_before=now - _DAY, dry_run=dry_run)
    if as_json:
        emit([_document(each) for each in removed])
        return
    for each in removed:
        print(f"{each.id} {each.name} {human_bytes(each.bytes)}")
    freed = human_bytes(sum(each.bytes for each in removed))
    done = "would be removed, which take" if dry_run else "were removed, which took"
    print(f"{len(removed)} snapshots {done} {freed}.")


def _chosen(cache: "Snapshots", ids: list[str] | None) -> "Iterator[Snapshot]":
    yield from [cache.find(each) for each in ids] if ids else cache.all()


def _named(settings: Settings, cache: "Snapshots") -> list[str]:
    """Those that the services of this platform keep snapshots for."""
    from pierhead.bootstrap.upkeep import users
    from pierhead.store import services

    return users(settings, cache, _read(settings, services.versions))


def _remote(settings: Settings, snapshot: "Snapshot") -> "Opened":
    """Where a snapshot came from.

    Raises:
        Unavailable: no connection leads there now, or not to the same place.
    """
    from pierhead.bootstrap.storage import box
    from pierhead.core.connections import source_of
    from pierhead.operations import connections
    from pierhead.sources.openers import opened

    source = source_of(snapshot.name)

    def find(wanted: "Source") -> "Account | None":
        online = settings.hubs_online
        return _read(
            settings, lambda tx: connections.account(tx, box(settings), wanted, online=online)
        )

    account = source and find(source)
    if source is None or account is None:
        raise Unavailable(f"The origin of {snapshot.id}", f"no connection serves {snapshot.name}")

    return opened(source, account, find, time.time)


def _read(settings: Settings, fn: "Callable[[Transaction], Any]") -> Any:
    from pierhead.bootstrap.database import migrate
    from pierhead.store import db

    migrate(settings)
    engine = db.connect(settings.database, writing=False)
    try:
        return db.run(engine, fn)
    finally:
        engine.dispose()


def _tell(report: list[dict[str, Any]], as_json: bool, whole: str) -> None:
    if as_json:
        emit(report)
        return
    if not report:
        print("There is nothing in the cache to check.")
    for row in report:
        if not row["damaged"]:
            print(f"{row['snapshot']} {whole}")
        for damage in row["damaged"]:
            print(f"{row['snapshot']} {damage['file']}: {damage['problem']}")


def _shown(progress: "Progress") -> None:
    """How far it is, on a terminal only."""
    if sys.stderr.isatty():
        note(str(progress))


def _never() -> bool:
    return False


def _damage(damage: Any) -> dict[str, str]:
    return {"file": damage.key, "problem": damage.problem}


def _document(each: "Snapshot") -> dict[str, Any]:
    return {
        "snapshot": each.id,
        "name": each.name,
        "bytes": each.bytes,
        "whole": each.ready,
        "state": _state(each),
        "used": _moment(each.used),
        "kept_for": list(each.users),
        "folder": str(each.files),
    }


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) if at else "-"


def _state(each: "Snapshot") -> str:
    """`whole`, `fetching 42 %` while somebody does, or `unfinished 42 %`."""
    from pierhead.sources.snapshot_locks import progress_of

    if each.ready:
        return "whole"
    seen, running = progress_of(each.folder)
    share = f" {100 * min(seen.done, seen.total) // seen.total} %" if seen.total else ""
    return f"{'fetching' if running else 'unfinished'}{share}"


def _bytes(text: str) -> int:
    try:
        return amount(text)
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--limit") from None
