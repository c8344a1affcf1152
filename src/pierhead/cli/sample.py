"""`pierhead sample`: the code of one call. It needs no server, no key and no network."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pierhead.cli.client import NoAccess, read_credentials
from pierhead.cli.options import DataDir
from pierhead.core.errors import Refused
from pierhead.settings import Settings

if TYPE_CHECKING:  # every verb would pay for the import
    from pierhead.core.reference import Operation
    from pierhead.web.samples.calls import Origin


def sample(
    operation: Annotated[
        str, typer.Argument(help="Name of the operation: CreateAppService, AddModel, CreateUser.")
    ] = "",
    *,
    language: Annotated[
        str, typer.Option(help="python, typescript, java, go, php, csharp or curl.")
    ] = "python",
    product: Annotated[
        str, typer.Option(help="eas, zstack, ram, sts, pierhead or openai; without: any.")
    ] = "",
    typed: Annotated[
        bool, typer.Option("--typed/--generic", help="By the typed client, where there is one.")
    ] = True,
    param: Annotated[
        list[str] | None,
        typer.Option(help="Name=value, again and again. Without any: the documented example."),
    ] = None,
    params: Annotated[
        Path | None,
        typer.Option(help="JSON file with all parameters by name; - is standard input."),
    ] = None,
    every: Annotated[bool, typer.Option("--list", help="Name all operations instead.")] = False,
    endpoint: Annotated[
        str | None, typer.Option(help="URL of the control plane that the sample calls.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write the code of one call, ready to run: credentials come from its environment.

    \b
    Examples:
      pierhead sample CreateAppService --language curl
      pierhead sample CreateAppService --param ServiceName=chat --param Replicas=2
      pierhead sample AddModel --product zstack --language python
      pierhead sample --list
    """
    from pierhead.bootstrap.samples import find, operations
    from pierhead.web.samples.making import made

    if every:
        _listed(operations(product))
        return
    if not operation:
        raise typer.BadParameter("name an operation, or ask for --list", param_hint="OPERATION")
    try:
        found = find(product, operation)
        values = _values(found, param or (), params)
        written = made(found, values, _origin(data_dir, endpoint), language, typed=typed)
    except Refused as error:
        raise typer.BadParameter(error.message) from error
    sys.stdout.write(written.code)


def _listed(operations: "Sequence[Operation]") -> None:
    for one in operations:
        note = "  (not supported here)" if one.unsupported else ""
        print(f"{one.product:9} {one.id}{note}")


def _values(
    operation: "Operation", given: Sequence[str], file: Path | None
) -> Mapping[str, Any] | None:
    """None: nothing is given, so the documented example is shown."""
    from pierhead.web.samples.making import from_json, read

    if file is None and not given:
        return None
    values = {} if file is None else from_json(_text(file))
    for one in given:
        name, equals, text = one.partition("=")
        if not equals:
            raise typer.BadParameter(f"[{one}] is no Name=value", param_hint="--param")
        values[name] = read(operation, name, text)
    return values


def _text(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise typer.BadParameter(f"{file}: {problem}", param_hint="--params") from problem


def _origin(data_dir: Path | None, endpoint: str | None) -> "Origin":
    """The platform that was started on this folder, else where one is by default."""
    from pierhead.web.samples.calls import Origin

    settings = Settings.load({"data_dir": data_dir})
    found = Origin(settings.hub_endpoint, settings.gateway_endpoint, settings.region)
    try:
        known = read_credentials(settings.credentials_file)
        places = known["endpoints"]
        found = Origin(str(places["eas"]), str(places["gateway"]), str(known["region"]))
    except NoAccess:
        pass  # nothing was started yet: a sample needs no server
    return Origin(endpoint, found.gateway, found.region) if endpoint else found
