"""`pierhead restore`: puts a backup into a data folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pierhead.cli import processes
from pierhead.cli.backup import File, contents, document, telling
from pierhead.cli.options import AsJson, DataDir
from pierhead.cli.platform import Set
from pierhead.cli.screen import emit, note
from pierhead.settings import Settings

if TYPE_CHECKING:  # client verbs would pay for the import
    from pierhead.bootstrap.restore import Done


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
    new_secrets: Annotated[
        bool,
        typer.Option(
            "--new-secrets",
            help="Also without the key of a backup without secrets: what it opened is new, or gone.",
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
    with telling("restores the backup"):
        done = put_back(settings, path, force=force, new_secrets=new_secrets)
    made, plan = done.manifest, done.plan
    if as_json:
        told = {"Into": str(settings.data_dir), "Before": plan.aside, "New": list(_new(done))}
        emit(document(made, path) | told)
        return
    print(f"{path.name} was restored into {settings.data_dir}: {contents(made)}.")
    if plan.aside:
        note(f"What was there before is kept in {plan.aside}.")
    for line in _new(done):
        note(f"{line}.")
    note("Weights are not in a backup: those that are missing are fetched again at the next start.")


def _new(done: "Done") -> Iterator[str]:
    """What is not as it was, because the backup had no secrets."""
    if done.manifest.secrets:
        return
    renewed = done.renewed
    yield "The account's key pair and password are those of this folder: see credentials.json"
    if renewed.services:
        yield f"New tokens: the own one of {renewed.services} service(s)"
    if renewed.tokens:
        yield f"New secrets: {renewed.tokens} further endpoint token(s)"
    if renewed.keys:
        yield f"Removed, because nothing opens them: {renewed.keys} access key(s)"
    if renewed.connections:
        names = ", ".join(renewed.connections)
        yield f"Storage connections to remove and add again, with their secrets: {names}"
