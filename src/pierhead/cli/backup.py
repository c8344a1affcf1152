"""`pierhead backup` and `pierhead verify`: a platform in one file, and whether the file is whole."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pierhead.cli import processes
from pierhead.cli.options import AsJson, DataDir
from pierhead.cli.platform import Set
from pierhead.cli.screen import emit, note, pairs
from pierhead.core.resources import human_bytes
from pierhead.settings import Settings, masked_url

if TYPE_CHECKING:  # client verbs would pay for the import
    from pierhead.store.archive import Manifest

File = Annotated[Path, typer.Argument(help="The backup file.", dir_okay=False)]
#: Seconds after which, and as often, a verb says that it goes on.
_TELL_SECONDS = 2.0
#: Tables that a person knows, and what they are called.
_KNOWN = {
    "services": "services",
    "templates": "templates",
    "models": "models",
    "users": "users",
    "access_keys": "access keys",
    "connections": "storage connections",
    "audit": "audit entries",
    "events": "events",
}


def backup(
    file: File,
    *,
    without_secrets: Annotated[
        bool,
        typer.Option(
            "--without-secrets",
            help="Leave out the data folder's keys, without which what is sealed does not open.",
        ),
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="In place of a file there.")] = False,
    data_dir: DataDir = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Write the platform into one file while it runs: its database, and the keys beside it.

    \b
    Examples:
      pierhead backup ~/pierhead-2026-11-22.backup
      pierhead backup /mnt/safe/nightly.backup --replace
      pierhead backup for-support.backup --without-secrets
    """
    # It needs the database, which client verbs do without.
    from pierhead.bootstrap.backup import save

    settings = Settings.load(processes.flags_of(locals()))
    path = file.expanduser().absolute()
    with telling("writes the backup"):
        made = save(settings, path, secrets=not without_secrets, replacing=replace)
    if as_json:
        emit(document(made, path))
        return
    print(f"{path} holds {contents(made)} ({human_bytes(path.stat().st_size)}).")
    if made.secrets:
        note("It opens everything: keep it as you keep a password.")
    else:
        note("Keep run/storage.key of the data folder elsewhere: without it nothing sealed opens.")


def verify(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="The backup file; without one the platform's own database.", dir_okay=False
        ),
    ] = None,
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Check digests only; do not try to restore it.")
    ] = False,
    data_dir: DataDir = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Check a backup: read all of it, restore its rows into a database that is thrown away.

    Without a file: read all of the platform's own database, also while it runs.

    \b
    Examples:
      pierhead verify /mnt/safe/nightly.backup
      pierhead verify /mnt/safe/nightly.backup --json
      pierhead verify --data-dir ./data
    """
    if file is None:
        _verify_own(Settings.load(processes.flags_of(locals())), as_json=as_json)
        return
    from pierhead.bootstrap.restore_rows import verify as look

    path = file.expanduser().absolute()
    with telling("reads the backup"):
        found = look(path, trying=not quick)
    if as_json:
        emit(document(found.manifest, path) | {"Restorable": None if quick else True})
        return
    told = found.manifest
    pairs(
        [
            ("File", str(path)),
            ("Size", human_bytes(found.bytes)),
            ("Made", f"{_moment(told.made)} by Pierhead {told.release}"),
            ("Database", f"{told.database}, schema {told.schema}"),
            ("Account", told.account or "-"),
            ("Holds", contents(told)),
            ("Secrets", ", ".join(told.files) if told.secrets else "none"),
        ]
    )
    print("It is whole." if quick else "It is whole, and can be restored.")


def _verify_own(settings: Settings, *, as_json: bool) -> None:
    from pierhead.bootstrap.soundness import look_through

    with telling("reads the database"):
        found = look_through(settings)
    where = masked_url(settings.database)
    if as_json:
        emit({"Database": where, "Schema": found.schema, "Rows": found.rows})
        return
    counts = ", ".join(_counted(found.rows.get)) or "nothing yet"
    print(f"{where} (schema {found.schema}) is whole, and holds {counts}.")


def document(made: "Manifest", path: Path) -> dict[str, Any]:
    """A backup as `--json` tells it."""
    return {
        "File": str(path),
        "Bytes": path.stat().st_size,
        "Made": _moment(made.made),
        "Release": made.release,
        "Schema": made.schema,
        "Database": made.database,
        "Account": made.account,
        "Secrets": made.secrets,
        "LeftOut": list(made.left_out),
        "Files": list(made.files),
        "Rows": {name: member.rows for name, member in made.tables.items()},
    }


def contents(made: "Manifest") -> str:
    """What is in it, in words that a person knows."""
    return ", ".join(_counted(made.rows)) or "nothing yet"


def _counted(rows: Callable[[str], int | None]) -> list[str]:
    counts = ((rows(table), words) for table, words in _KNOWN.items())
    return [f"{count} {words}" for count, words in counts if count]


@contextmanager
def telling(what: str) -> Generator[None]:
    """Say every two seconds that it goes on: nobody should wonder whether it hangs."""
    began, done = time.monotonic(), threading.Event()

    def tell() -> None:
        while not done.wait(_TELL_SECONDS):
            note(f"{what} ({time.monotonic() - began:.0f} s)")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
