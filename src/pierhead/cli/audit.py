"""`pierhead audit`: who did what to which object from where, with what outcome."""

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, TextIO, cast

import typer

from pierhead.cli.client import EasClient, Json
from pierhead.cli.options import AsJson, DataDir, Endpoint, connect
from pierhead.cli.screen import emit, note, seconds_of, table
from pierhead.core.errors import PierheadError
from pierhead.settings import Settings

app = typer.Typer(rich_markup_mode=None, help="Who did what: list, verify, export.")

_PATH, _OPERATION, _PAGE = "/audit", "ListAuditEntries", 1000
_PERIOD = 1.0  #: seconds between two looks of --follow

Since = Annotated[
    str, typer.Option(help="From then on: 2h, 7d (ago), or a time such as 2026-11-21T19:27:22Z.")
]
Until = Annotated[str, typer.Option(help="Up to then; the same forms.")]
Actor = Annotated[str, typer.Option(help="Only of this principal's id or ARN; * is anything.")]
Action = Annotated[str, typer.Option(help="Only this action, such as 'eas:*'.")]
Resource = Annotated[str, typer.Option(help="Only about this, such as '*service/my_llm'.")]
Outcome = Annotated[str, typer.Option(help="Success, Denied or Failed.")]


class Broken(PierheadError):
    """The chain does not hold."""


@app.callback(invoke_without_command=True)
def audit(
    context: typer.Context,
    *,
    since: Since = "",
    until: Until = "",
    actor: Actor = "",
    action: Action = "",
    resource: Resource = "",
    outcome: Outcome = "",
    lines: Annotated[int, typer.Option(min=1, help="The newest entries to show.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they come.")] = False,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Show the audit trail, oldest entry first.

    \b
    Examples:
      pierhead audit --since 1h
      pierhead audit --outcome Denied --follow
      pierhead audit --action 'eas:Delete*' --resource '*service/my_llm' --json
    """
    if context.invoked_subcommand is not None:
        return
    if follow and as_json:
        raise typer.BadParameter("it does not go with --json", param_hint="--follow")
    client = connect(data_dir, endpoint)
    query = _query(since, until, actor, action, resource, outcome)
    found = _newest(client, query, lines)
    if as_json:
        emit({"Entries": found})
        return
    table(("TIME", "ACTOR", "FROM", "ACTION", "RESOURCE", "OUTCOME", "CODE"), _rows(found))
    if follow:
        _follow(client, query, found[-1]["Number"] if found else 0)


@app.command()
def verify(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Check that no entry was changed, removed or put in; works on the database itself.

    \b
    Examples:
      pierhead audit verify --data-dir ./data
    """
    # It needs the database, which client verbs do without.
    from pierhead.bootstrap.audit import verify as follow_chain

    found = follow_chain(Settings.load({"data_dir": data_dir}))
    last = {"Number": found.last.number, "Digest": found.last.digest}
    if as_json:
        emit(
            {
                "Holds": not found.problem,
                "Entries": found.entries,
                "First": found.first,
                "Last": last,
                "Problem": found.problem,
            }
        )
    if found.problem:
        raise Broken(f"The audit trail is broken after entry {found.last.number}: {found.problem}.")
    if not as_json:
        print(f"{found.entries} entries hold together; the last is {found.last.number}.")
        print(f"digest {found.last.digest}")


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="File to write; - is standard output.")],
    *,
    since: Since = "",
    until: Until = "",
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
) -> None:
    """Write all entries to a file, oldest first, one JSON object a line.

    \b
    Examples:
      pierhead audit export audit.jsonl --since 30d
    """
    client, query = connect(data_dir, endpoint), _query(since, until)
    count = 0
    try:
        with _opened(file) as out:
            for one in _all(client, query):
                out.write(json.dumps(one) + "\n")
                count += 1
    except OSError as problem:
        raise PierheadError(f"{file} cannot be written ({problem.strerror}).") from problem
    note(f"{count} entries")


def _opened(file: Path) -> "nullcontext[TextIO] | TextIO":
    if str(file) == "-":
        return nullcontext(sys.stdout)
    # Who did what is not everybody's business.
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w")


def _query(
    since: str, until: str, actor: str = "", action: str = "", resource: str = "", outcome: str = ""
) -> dict[str, str]:
    return {
        "Since": _moment(since, "--since"),
        "Until": _moment(until, "--until"),
        "Actor": actor,
        "Action": action,
        "Resource": resource,
        "Outcome": outcome,
    }


def _moment(text: str, option: str) -> str:
    if not text or re.match(r"\d{4}-", text):
        return text
    try:
        return f"{time.time() - seconds_of(text):.3f}"
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint=option) from problem


def _page(client: EasClient, query: dict[str, str], **more: int) -> tuple[list[Json], int]:
    asked = {**query, **{name: str(value) for name, value in more.items()}}
    answer = client.call(_OPERATION, "GET", _PATH, query=asked)
    return cast("list[Json]", answer["Entries"]), int(answer["Next"])


def _newest(client: EasClient, query: dict[str, str], lines: int) -> list[Json]:
    found: list[Json] = []
    before = 0
    while len(found) < lines:
        page, before = _page(client, query, Limit=min(_PAGE, lines - len(found)), Before=before)
        found += page
        if not before:
            break
    return found[::-1]


def _all(client: EasClient, query: dict[str, str]) -> Iterator[Json]:
    after = 0
    while True:
        page, after = _page(client, query, Limit=_PAGE, After=after)
        yield from page
        if not after:
            return


def _follow(client: EasClient, query: dict[str, str], after: int) -> None:
    while True:
        time.sleep(_PERIOD)
        page, _ = _page(client, query, Limit=_PAGE, After=after)
        for one, row in zip(page, _rows(page), strict=True):
            print("  ".join(row), flush=True)
            after = int(one["Number"])


def _rows(found: list[Json]) -> list[tuple[str, ...]]:
    return [
        (
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(one["Time"])),
            one["ActorArn"].partition("::")[2] or one["Actor"] or "-",
            one["SourceIp"] or "-",
            one["Action"],
            one["Resource"] or "-",
            one["Outcome"],
            one["Code"],
        )
        for one in found
    ]
