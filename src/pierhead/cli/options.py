"""Arguments and options that several verbs share, with what they mean."""

from pathlib import Path
from typing import Annotated

import typer

from pierhead.cli.client import EasClient, find_access
from pierhead.core.errors import PierheadError

#: What every client verb can raise is turned into one sentence and exit code 1 by `main.run`.


def complete_service(incomplete: str) -> list[str]:
    """Names of services for shell completion; none when no hub answers within a second."""
    try:
        client = EasClient(find_access(None, None), timeout=1.0)
        query = {"Filter": incomplete}
        found = client.pages("ListServices", "/api/v2/services", "Services", query)
        return [name for item in found if (name := str(item["ServiceName"])).startswith(incomplete)]
    except PierheadError:
        return []  # completion has nowhere to say why


def connect(data_dir: Path | None, endpoint: str | None) -> EasClient:
    """The client of the hub that the options name.

    Raises:
        NoAccess: no endpoint or key is known.
    """
    return EasClient(find_access(data_dir, endpoint))


Name = Annotated[str, typer.Argument(help="Name of the service.", autocompletion=complete_service)]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="PIERHEAD_DATA_DIR",
        help="The platform's folder; endpoint and key are read from its credentials.json.",
        show_envvar=True,
    ),
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        envvar="PIERHEAD_ENDPOINT",
        help="URL of a hub; the key comes from PIERHEAD_ACCESS_KEY_ID and _SECRET.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Wait = Annotated[
    bool, typer.Option("--wait", help="Show progress until the change is done, or has failed.")
]
Timeout = Annotated[
    float, typer.Option("--timeout", min=1, help="Longest time that --wait waits, in seconds.")
]
