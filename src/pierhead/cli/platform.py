"""The verbs that run or describe the platform itself: up, hub, gateway, migrate, settings, version.

What they do stands in `processes.py`; here is what they take.
"""

from typing import Annotated

import typer

from pierhead import __version__
from pierhead.cli import processes
from pierhead.cli.options import AsJson, DataDir
from pierhead.cli.screen import emit, pairs, table
from pierhead.settings import Settings, environment_name

Listen = Annotated[
    str | None, typer.Option(help="host:port of the control plane; port 0 takes a free one.")
]
GatewayListen = Annotated[
    str | None, typer.Option(help="host:port of the data plane; port 0 takes a free one.")
]
Region = Annotated[str | None, typer.Option(help="Region id that clients name.")]
Runtime = Annotated[
    str | None,
    typer.Option(
        help="Where replicas run: process, kubernetes, or auto = a cluster if one answers."
    ),
]
LogLevel = Annotated[str | None, typer.Option(help="debug, info, warning or error.")]
LogFormat = Annotated[str | None, typer.Option(help="auto, json or console.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any other setting; repeatable."),
]
DieWithParent = Annotated[int | None, typer.Option("--die-with-parent", hidden=True)]
Worker = Annotated[int | None, typer.Option("--worker", hidden=True)]


def up(
    *,
    data_dir: DataDir = None,
    listen: Listen = None,
    gateway_listen: GatewayListen = None,
    region: Region = None,
    runtime: Runtime = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
    set_: Set = None,
) -> None:
    """Start the platform in the foreground: control plane and gateway. Ctrl-C stops it.

    \b
    Examples:
      pierhead up
      pierhead up --data-dir ./data --listen 127.0.0.1:9080 --gateway-listen 127.0.0.1:9090
      pierhead up --set event_days=30
      pierhead up --runtime kubernetes --set kubernetes.image=registry.example/pierhead:1
    """
    processes.up(locals())


def hub(
    *,
    data_dir: DataDir = None,
    listen: Listen = None,
    gateway_listen: GatewayListen = None,
    region: Region = None,
    runtime: Runtime = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
    set_: Set = None,
    stop_replicas_on_exit: Annotated[
        bool, typer.Option("--stop-replicas-on-exit", help="Replicas end with the hub.")
    ] = False,
    die_with_parent: DieWithParent = None,
) -> None:
    """Run the control plane alone. Replicas outlive it unless told otherwise.

    \b
    Examples:
      pierhead hub --data-dir ./data
    """
    processes.hub(locals())


def gateway(
    *,
    data_dir: DataDir = None,
    listen: Listen = None,
    gateway_listen: GatewayListen = None,
    region: Region = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
    set_: Set = None,
    die_with_parent: DieWithParent = None,
    worker: Worker = None,
) -> None:
    """Run the data plane alone. It serves on while the hub is down.

    \b
    Examples:
      pierhead gateway --data-dir ./data
      pierhead gateway --data-dir ./data --set hub_url=http://10.0.0.5:8080
    """
    processes.gateway(locals())


def migrate(data_dir: DataDir = None, set_: Set = None, as_json: AsJson = False) -> None:
    """Bring the database to this release's schema; the hub does so at start by itself.

    \b
    Examples:
      pierhead migrate --data-dir ./data
    """
    from pierhead import telemetry
    from pierhead.bootstrap.database import migrate as bring_up_to_date

    telemetry.configure("migrate", "info", "auto")  # what it tells goes beside the one answer
    done = bring_up_to_date(Settings.load(processes.flags_of(locals())))
    if as_json:
        emit({"migrated": done})
    else:
        print("The database was migrated." if done else "The database is up to date.")


def settings(
    *,
    data_dir: DataDir = None,
    listen: Listen = None,
    gateway_listen: GatewayListen = None,
    region: Region = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Print every setting with its value, where it came from, and what it means.

    \b
    Examples:
      pierhead settings
      PIERHEAD_LISTEN=0.0.0.0:8080 pierhead settings --json
    """
    rows = Settings.load(processes.flags_of(locals())).explain()
    if as_json:
        emit([{**row._asdict(), "environment": environment_name(row.name)} for row in rows])
    else:
        table(("SETTING", "VALUE", "SOURCE", "MEANING"), rows)


def version(as_json: AsJson = False) -> None:
    """Print the versions of Pierhead, Python and the engine.

    \b
    Examples:
      pierhead version --json
    """
    import platform
    from importlib import metadata

    try:
        engine = metadata.version("xllamacpp")
    except metadata.PackageNotFoundError:
        engine = "not installed"
    found = {"pierhead": __version__, "python": platform.python_version(), "xllamacpp": engine}
    if as_json:
        emit(found)
    else:
        pairs(list(found.items()))
