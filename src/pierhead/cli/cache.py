"""`pierhead cache ...`: what was fetched or converted for services, checked, mended and cleared away.

The verbs work on the cache's folder itself; locks keep them and the platform apart.
"""

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pierhead.cli.options import AsJson, DataDir
from pierhead.cli.screen import emit, note, table
from pierhead.core.errors import PierheadError, Unavailable
from pierhead.core.resources import human_bytes
from pierhead.settings import Settings

if TYPE_CHECKING:  # every verb would pay for these
    from sqlalchemy import Connection as Transaction

    from pierhead.core.connections import Account
    from pierhead.core.mounts import Source
    from pierhead.core.services import Version
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
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


class CacheDamaged(PierheadError):
    """Files in the cache are not what was fetched."""


@app.command()
def ls(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the snapshots in the cache.

    \b
    Examples:
      pierhead cache ls
    """
    from pierhead.bootstrap.storage import snapshots

    found = snapshots(Settings.load({"data_dir": data_dir})).all()
    if as_json:
        emit([_document(each) for each in found])
        return
    rows = [
        (
            each.id,
            each.name,
            human_bytes(each.bytes),
            "whole" if each.ready else "unfinished",
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


@app.command()
def prune(
    limit: Annotated[
        str, typer.Option("--limit", help="What unused snapshots may leave taken: 0, 500Mi, 20Gi.")
    ] = "0",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Remove snapshots that no service names, longest unused first, down to a limit.

    \b
    Examples:
      pierhead cache prune
      pierhead cache prune --limit 20Gi
    """
    from pierhead.bootstrap.storage import snapshots

    settings = Settings.load({"data_dir": data_dir})
    cache = snapshots(settings)
    cache.release_others(_named(settings, cache))
    removed = cache.prune(_bytes(limit), unfinished_before=time.time() - _DAY)
    if as_json:
        emit([_document(each) for each in removed])
        return
    freed = human_bytes(sum(each.bytes for each in removed))
    print(f"{len(removed)} snapshots were removed, which took {freed}.")


def _chosen(cache: "Snapshots", ids: list[str] | None) -> "Iterator[Snapshot]":
    yield from [cache.find(each) for each in ids] if ids else cache.all()


def _named(settings: Settings, cache: "Snapshots") -> list[str]:
    """Those that the services of this platform keep snapshots for."""
    from pierhead.sources.kept import users_of
    from pierhead.sources.model_shapes import local_place
    from pierhead.sources.weights import Places, named
    from pierhead.store import services

    def versions(tx: "Transaction") -> "list[Version]":
        return [service.current for service, _seen in services.everything(tx)]

    served = [(each.template, each.source) for each in _read(settings, versions)]
    places = Places(settings.cache_dir, settings.models_dir, dict(settings.weights))
    configured = [str(named(places, spec)) for spec in places.specs]
    return [*users_of(cache.all(), served, local_place(places)), *configured]


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
        "used": _moment(each.used),
        "kept_for": list(each.users),
        "folder": str(each.files),
    }


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) if at else "-"


def _bytes(text: str) -> int:
    """`20Gi`, `500MiB`, `1000000` in bytes."""
    found = re.fullmatch(r"(\d{1,15})\s*([kmgt]?)(?:i?b?)", text.strip().lower())
    if found is None:
        raise typer.BadParameter(f"[{text}] is no size such as 20Gi", param_hint="--limit")
    return int(found[1]) * 1024 ** _UNITS[found[2]]
