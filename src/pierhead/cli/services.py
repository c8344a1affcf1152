"""`pierhead services ...`: list, show, and the changes that need no document."""

import json
import sys
import time
from typing import Annotated

import typer

from pierhead.cli import service_groups, service_tokens, watch
from pierhead.cli.client import EasClient, HubRefused, Json
from pierhead.cli.options import (
    AsJson,
    DataDir,
    Endpoint,
    Lang,
    Name,
    Timeout,
    Wait,
    connect,
    language_of,
)
from pierhead.cli.screen import emit, note, pairs, plain, since, table

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Services: what is deployed and serves."
)

#: Reasons that need no words in a list.
_AS_WANTED = frozenset({"Running", "Stopped"})
_SHOWN = 80  #: characters of a message in a list

app.command()(service_tokens.token)
app.command()(service_groups.release)
app.command()(service_groups.groups)


@app.command("list")
def list_services(
    *,
    name: Annotated[str, typer.Option(help="Only names that contain this.")] = "",
    status: Annotated[str, typer.Option(help="Only this status, e.g. Running.")] = "",
    label: Annotated[
        list[str] | None, typer.Option(help="Only with this label, key=value or key; repeatable.")
    ] = None,
    workspace: Annotated[str, typer.Option(help="Only of this workspace.")] = "",
    quota: Annotated[str, typer.Option(help="Only those that name this quota.")] = "",
    lang: Lang = "",
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """List services; of those that are not as wanted, why. `pierhead why` knows more.

    \b
    Examples:
      pierhead services list
      pierhead services list --status Failed
      pierhead services list --label team=search --json
    """
    query = {"Filter": name, "ServiceStatus": status, "WorkspaceId": workspace, "QuotaId": quota}
    if label:
        query["Label"] = json.dumps(dict(_label(text) for text in label))
    client = connect(data_dir, endpoint, language_of(lang))
    found = list(client.pages("ListServices", "/api/v2/services", "Services", query))
    if as_json:
        emit({"Services": found, "TotalCount": len(found)})
        return
    columns = ("NAME", "STATUS", "READY", "SPEC", "AGE", "REASON", "MESSAGE")
    table(columns, [_row(item, time.time()) for item in found])


def _label(text: str) -> tuple[str, str | None]:
    key, equals, value = text.partition("=")
    if not key:
        raise typer.BadParameter("give key=value, or key alone", param_hint="--label")
    return key, value if equals else None


def _row(item: Json, now: float) -> tuple[str, ...]:
    reason, message = str(item.get("Reason", "")), str(item.get("Message", ""))
    if reason in _AS_WANTED:
        reason = message = ""
    return (
        item["ServiceName"],
        item["Status"],
        f"{item.get('RunningInstance', 0)}/{item.get('TotalInstance', 0)}",
        item.get("AppSpecName") or item.get("Image") or "-",
        since(item.get("CreateTime", ""), now),
        reason,
        cut(message),
    )


def cut(message: str) -> str:
    """As much of a message as a list has room for."""
    return message if len(message) <= _SHOWN else f"{message[:_SHOWN]}…"


@app.command()
def show(
    *,
    name: Name,
    lang: Lang = "",
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Show one service: status and why, replicas, version, endpoint.

    \b
    Examples:
      pierhead services show my_llm
      pierhead services show my_llm --json
    """
    found = connect(data_dir, endpoint, language_of(lang)).describe(name)
    if as_json:
        emit(found)
        return
    ready, wanted = found.get("RunningInstance", 0), found.get("TotalInstance", 0)
    pairs(
        [
            ("Name", found["ServiceName"]),
            ("Id", found["ServiceId"]),
            ("Status", found["Status"]),
            ("Reason", found.get("Reason", "")),
            ("Message", found.get("Message", "")),
            ("Replicas", f"{ready} of {wanted} ready"),
            ("Spec", found.get("AppSpecName") or "-"),
            ("Version", f"{found.get('CurrentVersion')} (latest {found.get('LatestVersion')})"),
            ("Workspace", found.get("WorkspaceId", "")),
            ("Quota", found.get("QuotaId", "")),
            ("Group", found.get("ServiceGroup", "")),
            ("Created", found.get("CreateTime", "")),
            ("Updated", found.get("UpdateTime", "")),
            ("Endpoint", found.get("InternetEndpoint", "")),
            ("Token", f"see `pierhead services token {name}`"),
        ]
    )


@app.command()
def scale(
    *,
    name: Name,
    replicas: Annotated[int, typer.Argument(min=0, help="Wanted number of replicas.")],
    wait: Wait = False,
    timeout: Timeout = 900,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Change the number of replicas.

    \b
    Examples:
      pierhead services scale my_llm 3 --wait
    """
    client = connect(data_dir, endpoint)
    if client.describe(name).get("AppType"):
        path, body = client.path(name, root="app_services"), {"Replicas": replicas}
        answer = client.call("UpdateAppService", "PUT", path, body=body)
    else:
        document = {"metadata": {"instance": replicas}}
        answer = client.call("UpdateService", "PUT", client.path(name), body=document)
    report(client, name, answer, as_json=as_json, wait=watch.Watch(timeout) if wait else None)


@app.command()
def start(
    name: Name,
    wait: Wait = False,
    timeout: Timeout = 900,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Start a stopped service.

    \b
    Examples:
      pierhead services start my_llm --wait
    """
    client = connect(data_dir, endpoint)
    answer = client.change("StartService", name, "/start")
    report(client, name, answer, as_json=as_json, wait=watch.Watch(timeout) if wait else None)


@app.command()
def stop(
    name: Name,
    wait: Wait = False,
    timeout: Timeout = 900,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Stop a service; configuration, name and token are kept.

    \b
    Examples:
      pierhead services stop my_llm --wait
    """
    client = connect(data_dir, endpoint)
    answer = client.change("StopService", name, "/stop")
    if wait:
        answer = watch.until(client, name, {"Stopped"}, watch.Watch(timeout))
    report(client, name, answer, as_json=as_json)


@app.command()
def restart(
    name: Name,
    wait: Wait = False,
    timeout: Timeout = 900,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Replace all replicas, one after the other; no request is lost.

    \b
    Examples:
      pierhead services restart my_llm --wait
    """
    client = connect(data_dir, endpoint)
    answer = client.change("RestartService", name, "/restart")
    report(client, name, answer, as_json=as_json, wait=watch.Watch(timeout) if wait else None)


@app.command()
def delete(
    *,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    if_exists: Annotated[
        bool, typer.Option("--if-exists", help="A service that does not exist is no error.")
    ] = False,
    wait: Wait = False,
    timeout: Timeout = 900,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Delete a service: its replicas, endpoint, token and logs. Asks first on a terminal.

    It is accepted from every state, so there is no --force. It waits for open requests and for the
    engine's end no longer than the service's grace allows; weights stay in the cache.

    \b
    Examples:
      pierhead services delete my_llm
      pierhead services delete my_llm --yes --if-exists --wait
    """
    client = connect(data_dir, endpoint)
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Delete {name} with its endpoint and token?", abort=True, err=True)
    try:
        answer = client.call("DeleteService", "DELETE", client.path(name))
    except HubRefused as refusal:
        if not (if_exists and refusal.code == watch.GONE):
            raise
        answer: Json = {"Message": f"There is no service [{name}]."}
        wait = False
    if wait:
        watch.until_gone(client, name, watch.Watch(timeout))
        answer = {"Message": f"Service [{name}] is deleted."}
    report(client, name, answer, as_json=as_json)


def report(
    client: EasClient,
    name: str,
    answer: Json,
    *,
    as_json: bool,
    wait: watch.Watch | None = None,
) -> None:
    """Show what a change answered; with `wait`, the service once it runs.

    Raises:
        NotReached: with `wait`, the service does not run.
    """
    if wait is not None:
        if not as_json:
            note(str(answer.get("Message") or f"{name} was accepted."))
        answer = watch.until(client, name, {"Running"}, wait)
    if as_json:
        emit(answer)
    else:
        print(plain(str(answer.get("Message") or f"{name}: {answer.get('Status', 'accepted')}.")))
