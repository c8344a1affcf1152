"""`pierhead console`: the way into the console for who has this platform's key."""

import secrets
import sys
import time
from typing import Annotated

import typer

from pierhead.cli.client import NoAccess, find_access
from pierhead.cli.options import AsJson, DataDir, Endpoint
from pierhead.cli.screen import emit
from pierhead.core import tickets


def console(
    *,
    open_: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Print an address that opens the console, already logged in; it works once, for 5 minutes.

    Whoever has it is let in as the owner of the access key: the account, where it is the key of the
    platform's own folder. Nothing is asked of the hub for it.

    \b
    Examples:
      pierhead console
      pierhead console --open
      pierhead console --data-dir ./data --json
    """
    access = find_access(data_dir, endpoint)
    if access.key.session_token:
        raise NoAccess("A temporary key opens no console: leave PIERHEAD_SECURITY_TOKEN out.")
    ticket = tickets.make(access.key.id, access.key.secret, time.time(), secrets.token_bytes)
    url = f"{access.endpoint}/login#ticket={ticket}"
    if as_json:
        emit({"Url": url, "Seconds": round(tickets.LIFE)})
    else:
        print(url)
    if open_:
        _open(url)


def _open(url: str) -> None:
    # Only this option needs it.
    import webbrowser

    if not webbrowser.open(url):
        print("pierhead: no browser was found here; open the address yourself.", file=sys.stderr)
