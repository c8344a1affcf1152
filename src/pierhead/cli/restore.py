"""`pierhead restore`: puts a backup into a data folder."""

from pathlib import Path
from typing import Annotated

import typer

from pierhead.cli import processes
from pierhead.cli.backup import File, contents, document
from pierhead.cli.options import AsJson, DataDir
from pierhead.cli.platform import Set
from pierhead.cli.screen import emit, note
from pierhead.settings import Settings


def restore(
    file: File,
    *,
    into: Annotated[
        Path | None,
        typer.Option("--into", help="Data folder to put it into; else that of --data-dir."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Also over a platform that is there; it is kept as a backup first."
        ),
    ] = False,
    data_dir: DataDir = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup into a data folder: all of it or nothing, also when it is cut off.

    The platform must not run. With --set database_url=... a backup of SQLite is restored into
    PostgreSQL, and the other way round.

    \b
    Examples:
      pierhead restore nightly.backup --into ./data
      pierhead restore nightly.backup --force
      pierhead restore nightly.backup --into ./data \\
        --set database_url=postgresql+psycopg://pierhead@127.0.0.1/pierhead
    """
    # It needs the database, which client verbs do without.
    from pierhead.bootstrap.restore import restore as put_back

    flags = processes.flags_of(locals())
    settings = Settings.load(flags if into is None else flags | {"data_dir": into})
    path = file.expanduser().absolute()
    made, plan = put_back(settings, path, force=force)
    if as_json:
        emit(document(made, path) | {"Into": str(settings.data_dir), "Before": plan.aside})
        return
    print(f"{path.name} was restored into {settings.data_dir}: {contents(made)}.")
    if plan.aside:
        note(f"What was there before is kept in {plan.aside}.")
    if not made.secrets:
        note("Services whose tokens were left out have new ones; the account has its own key pair.")
    note("Weights are not in a backup: those that are missing are fetched again at the next start.")
