"""`pierhead services logs|events|instances`: what a service's replicas wrote, did and are."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from pierhead.cli import attempts, ram_client
from pierhead.cli.client import EasClient, Json
from pierhead.cli.options import AsJson, DataDir, Endpoint, Lang, Name, connect, language_of
from pierhead.cli.screen import coloured, emit, since, table
from pierhead.cli.services import app, cut

PAGE = 1000


@app.command()
def logs(
    *,
    name: Name,
    instance: Annotated[str, typer.Option(help="Only this replica.")] = "",
    previous: Annotated[
        bool, typer.Option("--previous", help="Of the run before the last restart.")
    ] = False,
    attempt: Annotated[
        str,
        typer.Option(
            "--attempt",
            help="Of this run of each replica: first, last or a number; also of replaced replicas.",
        ),
    ] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    lines: Annotated[int, typer.Option(min=1, help="Newest lines; of a run at most 1000.")] = 200,
    keyword: Annotated[str, typer.Option(help="Only lines that contain this.")] = "",
    lang: Lang = "",
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Show what the replicas wrote, oldest line first.

    \b
    Examples:
      pierhead services logs my_llm --lines 50
      pierhead services logs my_llm --previous
      pierhead services logs my_llm --attempt first
      pierhead services logs my_llm --follow --keyword error
    """
    _check(follow=follow, alone=as_json or previous, attempt=attempt, previous=previous)
    if attempt:
        told = attempts.attempts(
            ram_client.connect(data_dir, endpoint),
            name,
            instance=instance,
            which=attempt,
            lines=lines,
            keyword=keyword,
        )
        attempts.show(told, as_json=as_json, language=language_of(lang))
        return
    client = connect(data_dir, endpoint, language_of(lang))
    query = {
        "InstanceName": instance,
        "Keyword": keyword,
        "Previous": "true" if previous else "",
    }
    if as_json:
        emit({"Logs": _newest(client, name, query, lines)})
        return
    shown = _newest(client, name, query, lines)
    clean = coloured if sys.stdout.isatty() else str
    for line in shown:
        print(clean(line))
    if follow:
        for line in _following(client, name, query):
            print(clean(line), flush=True)


def _check(*, follow: bool, alone: bool, attempt: str, previous: bool) -> None:
    if follow and alone:
        raise typer.BadParameter(
            "it goes neither with --json nor --previous", param_hint="--follow"
        )
    if attempt and (follow or previous):
        raise typer.BadParameter(
            "it goes neither with --follow nor --previous", param_hint="--attempt"
        )


def _page(client: EasClient, name: str, query: dict[str, str], number: int, size: int) -> Json:
    paging = {**query, "PageNum": str(number), "PageSize": str(size)}
    return client.of("DescribeServiceLog", name, "/logs", query=paging)


def _newest(client: EasClient, name: str, query: dict[str, str], wanted: int) -> list[str]:
    """Page 1 holds the newest lines, oldest first within a page."""
    size, found, number = min(wanted, PAGE), list[str](), 1
    while len(found) < wanted:
        answer = _page(client, name, query, number, size)
        found = [*answer.get("Logs", []), *found]
        if number >= int(answer.get("TotalPageNum", 1)):
            break
        number += 1
    return found[-wanted:]


def _following(client: EasClient, name: str, query: dict[str, str]) -> Iterator[str]:
    before = _page(client, name, query, 1, PAGE)
    while True:
        time.sleep(1.0)
        now = _page(client, name, query, 1, PAGE)
        yield from new_lines(before["Logs"], before["TotalCount"], now["Logs"], now["TotalCount"])
        before = now


def new_lines(
    old: Sequence[str], old_total: int, now: Sequence[str], now_total: int
) -> Sequence[str]:
    """The lines of the newest page that were not there at the last look.

    Counted while the total grows; once the log is full or was rotated, found by the overlap.
    """
    if now_total > old_total:
        return now[-(now_total - old_total) :]
    for size in range(min(len(old), len(now)), 0, -1):
        if old[-size:] == now[:size]:
            return now[size:]
    return now


@app.command()
def events(
    *,
    name: Name,
    warnings: Annotated[bool, typer.Option("--warnings", help="Only warnings.")] = False,
    instance: Annotated[str, typer.Option(help="Only of this replica.")] = "",
    lines: Annotated[int, typer.Option(min=1, max=1000, help="The newest events to show.")] = 50,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Show what happened to a service and why, newest last.

    \b
    Examples:
      pierhead services events my_llm
      pierhead services events my_llm --warnings --json
    """
    query = {
        "EventType": "Warning" if warnings else "",
        "InstanceName": instance,
        "PageNum": "1",
        "PageSize": str(lines),
    }
    answer = connect(data_dir, endpoint).of("DescribeServiceEvent", name, "/events", query=query)
    if as_json:
        emit(answer)
        return
    rows = [
        tuple(str(event.get(key, "")) for key in ("Time", "Type", "Reason", "Message"))
        for event in reversed(answer.get("Events", []))
    ]
    table(("TIME", "TYPE", "REASON", "MESSAGE"), rows)


@app.command()
def instances(
    *,
    name: Name,
    lang: Lang = "",
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """List a service's replicas: status, address, restarts, and why one is not ready.

    \b
    Examples:
      pierhead services instances my_llm
    """
    client = connect(data_dir, endpoint, language_of(lang))
    path = client.path(name, "/instances")
    found = list(client.pages("ListServiceInstances", path, "Instances", {}))
    if as_json:
        emit({"Instances": found, "TotalCount": len(found)})
        return
    columns = ("INSTANCE", "STATUS", "ADDRESS", "RESTARTS", "AGE", "REASON")
    table(columns, [_row(item, time.time()) for item in found])


def _row(item: Json, now: float) -> tuple[str, ...]:
    port = item.get("InstancePort") or 0
    status, reason = str(item.get("Status", "")), str(item.get("Reason", ""))
    return (
        str(item.get("InstanceName", "")),
        status,
        f"{item.get('InnerIP', '')}:{port}" if port else "-",
        str(item.get("RestartCount", 0)),
        since(str(item.get("StartTime", "")), now),
        "" if reason == status else cut(reason),
    )
