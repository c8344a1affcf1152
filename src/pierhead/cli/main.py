"""The command `pierhead`: its verbs, and how errors become one sentence and an exit code."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from pierhead.cli import (
    audit,
    backup,
    cache,
    console,
    credentials,
    deployments,
    doctor,
    export,
    fetch,
    models,
    plan,
    platform,
    policies,
    processes,
    quotas,
    reports,
    restore,
    roles,
    sample,
    scalers,
    service_documents,
    services,
    storage,
    template_documents,
    templates,
    top,
    users,
    why,
    workspaces,
)
from pierhead.cli.client import CA_FILE

app = typer.Typer(
    name="pierhead",
    no_args_is_help=True,
    rich_markup_mode=None,  # errors are sentences, not boxes; and rich costs 60 ms
    pretty_exceptions_enable=False,
    help="Self-hosted model serving that speaks PAI-EAS and ZStack AIOS on the wire.",
    epilog="Begin with: pierhead demo, or: pierhead up",
)

for verb in (
    platform.up,
    platform.hub,
    platform.gateway,
    console.console,
    doctor.doctor,
    fetch.fetch,
    why.why,
    top.top,
    plan.plan,
    export.export,
    sample.sample,
    platform.settings,
    platform.version,
    platform.migrate,
    backup.backup,
    backup.verify,
    restore.restore,
):
    app.command()(verb)
app.add_typer(services.app, name="services")
app.add_typer(templates.app, name="templates")
app.add_typer(models.app, name="models")
app.add_typer(credentials.app, name="credentials")
app.add_typer(storage.app, name="storage")
app.add_typer(cache.app, name="cache")
app.add_typer(audit.app, name="audit")
app.add_typer(users.app, name="users")
app.add_typer(users.keys, name="keys")
app.add_typer(roles.groups, name="groups")
app.add_typer(roles.app, name="roles")
app.add_typer(policies.app, name="policies")
app.add_typer(policies.asking, name="policy")
app.add_typer(quotas.app, name="quota")
app.add_typer(workspaces.app, name="workspace")
for shortcut in (reports.logs, reports.events, reports.instances):
    app.command()(shortcut)

#: Importing them is what adds their verbs to `services` and `templates`.
__all__ = ["app", "deployments", "run", "scalers", "service_documents", "template_documents"]


@app.callback()
def everywhere(
    ca_file: Annotated[
        Path | None,
        typer.Option(
            "--ca-file",
            help="PEM file of the authority that signed the hub's certificate.",
            envvar=CA_FILE,
        ),
    ] = None,
) -> None:
    """Self-hosted model serving that speaks PAI-EAS and ZStack AIOS on the wire."""
    if ca_file is not None:
        os.environ[CA_FILE] = str(ca_file)


@app.command()
def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave it running and print what to try next.")
    ] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder to use; else a temporary one, removed at the end.")
    ] = None,
) -> None:
    """Show the whole path at work: weights, service, answers through the official SDKs, figures.

    \b
    Examples:
      pierhead demo
      pierhead demo --keep
    """
    # The demo brings more along than other verbs should wait for.
    from pierhead.cli.demo import Options
    from pierhead.cli.demo import run as run_demo

    run_demo(Options(keep=keep, data_dir=data_dir))


def run() -> None:
    """The entry point: exit code 0, 1 when something failed, 2 for bad usage."""
    processes.guarded(processes.plainly(sys.argv[1:]) or app)
