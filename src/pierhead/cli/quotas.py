"""`pierhead quota ...`: how much services may hold together."""

import re
from typing import Annotated

import typer

from pierhead.cli.client import Json
from pierhead.cli.options import AsJson, DataDir, Endpoint
from pierhead.cli.ram_client import NATIVE, connect
from pierhead.cli.registry import size_of
from pierhead.cli.screen import emit, note, pairs, table
from pierhead.core.resources import human_bytes

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Quotas: what the services that name one, or are in its workspaces, may hold together.",
)

Id = Annotated[str, typer.Argument(help="Id of the quota: a service names it as its QuotaId.")]
Cpu = Annotated[str, typer.Option("--cpu", help="Cores of all replicas together, or none.")]
Memory = Annotated[
    str, typer.Option("--memory", help="Memory of all replicas together, e.g. 8Gi, or none.")
]
Gpus = Annotated[str, typer.Option("--gpus", help="Accelerators of all replicas, or none.")]
Replicas = Annotated[str, typer.Option("--replicas", help="Replicas, or none.")]

_NONE = "none"
_BOUNDS = ("Cpu", "Memory", "Gpus", "Replicas")


@app.command("list")
def list_quotas(
    *, data_dir: DataDir = None, endpoint: Endpoint = None, as_json: AsJson = False
) -> None:
    """List quotas: what of each is used, and how much there is."""
    client = connect(data_dir, endpoint)
    found = list(client.all("ListQuotas", "Quotas/Quota", NATIVE))
    if as_json:
        emit({"Quotas": found})
        return
    rows = [
        [one["QuotaId"], *(_used_of(one, name) for name in _BOUNDS), str(one["Services"])]
        for one in found
    ]
    table(["ID", *(f"{name.upper()}" for name in _BOUNDS), "SERVICES"], rows)


@app.command()
def show(
    *, quota_id: Id, data_dir: DataDir = None, endpoint: Endpoint = None, as_json: AsJson = False
) -> None:
    """Show a quota: limits, what is used, what services want.

    \b
    Example:
      pierhead quota show team-a
    """
    found = connect(data_dir, endpoint).own("GetQuota", QuotaId=quota_id)["Quota"]
    if as_json:
        emit(found)
    else:
        _show(found)


@app.command()
def create(
    *,
    quota_id: Id,
    cpu: Cpu = "",
    memory: Memory = "",
    gpus: Gpus = "",
    replicas: Replicas = "",
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Make a quota; what is not said has no limit. Nothing that runs is stopped.

    \b
    Examples:
      pierhead quota create team-a --cpu 16 --memory 64Gi --gpus 2
      pierhead workspace create team-a --quota team-a
    """
    bounds = _bounds(cpu, memory, gpus, replicas)
    made = connect(data_dir, endpoint).own("CreateQuota", QuotaId=quota_id, **bounds)["Quota"]
    if as_json:
        emit(made)
        return
    note(f"The quota [{quota_id}] was created: {_limits(made)}.")


@app.command()
def update(
    *,
    quota_id: Id,
    cpu: Cpu = "",
    memory: Memory = "",
    gpus: Gpus = "",
    replicas: Replicas = "",
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Change limits; `none` takes one away. A lower one stops nothing that runs.

    \b
    Examples:
      pierhead quota update team-a --gpus 4
      pierhead quota update team-a --memory none
    """
    bounds = _bounds(cpu, memory, gpus, replicas)
    if not bounds:
        raise typer.BadParameter("give --cpu, --memory, --gpus or --replicas")
    changed = connect(data_dir, endpoint).own("UpdateQuota", QuotaId=quota_id, **bounds)["Quota"]
    if as_json:
        emit(changed)
        return
    note(f"The quota [{quota_id}] was changed: {_limits(changed)}.")


@app.command()
def delete(
    *,
    quota_id: Id,
    force: Annotated[
        bool,
        typer.Option("--force", help="Though services or workspaces name it: nothing binds them."),
    ] = False,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
) -> None:
    """Delete a quota; without --force only one that no service and no workspace names."""
    forced = {"Force": "true"} if force else {}
    connect(data_dir, endpoint).own("DeleteQuota", QuotaId=quota_id, **forced)
    note(f"The quota [{quota_id}] is deleted.")


def _bounds(cpu: str, memory: str, gpus: str, replicas: str) -> dict[str, str]:
    """What is said of each bound, as the API takes it."""
    found = {
        "Cpu": _amount("--cpu", cpu),
        "Memory": memory if memory in {"", "0", _NONE} else str(size_of(memory)),
        "Gpus": _amount("--gpus", gpus),
        "Replicas": _amount("--replicas", replicas, whole=True),
    }
    return {name: text for name, text in found.items() if text}


def _amount(flag: str, text: str, *, whole: bool = False) -> str:
    form = r"[0-9]{1,7}" if whole else r"[0-9]{1,7}(\.[0-9]{1,6})?"
    if text and text != _NONE and re.fullmatch(form, text) is None:
        kind = "whole number" if whole else "number"
        raise typer.BadParameter(f"[{text}] is no {kind}, nor none", param_hint=flag)
    return text


def _show(one: Json) -> None:
    pairs(
        [
            ("Id", one["QuotaId"]),
            *((name, f"{_used_of(one, name)} used{_wanted(one, name)}") for name in _BOUNDS),
            ("Services", str(one["Services"])),
            ("Workspaces", ", ".join(one["Workspaces"]) or "-"),
            ("Created", one["CreateDate"]),
            ("Updated", one["UpdateDate"]),
        ]
    )


def _used_of(one: Json, name: str) -> str:
    """`3 of 4`, or `3` where there is no limit."""
    limit = one["Limit"].get(name)
    used = _told(name, one["Used"][name])
    return used if limit is None else f"{used} of {_told(name, limit)}"


def _wanted(one: Json, name: str) -> str:
    wanted, used = one["Wanted"][name], one["Used"][name]
    return f", {_told(name, wanted)} wanted" if wanted > used else ""


def _limits(one: Json) -> str:
    limits = one["Limit"]
    said = [f"{_told(name, limits[name])} {_WORDS[name]}" for name in _BOUNDS if name in limits]
    return ", ".join(said) or "without a limit"


_WORDS = {"Cpu": "CPU", "Memory": "memory", "Gpus": "GPU", "Replicas": "replica(s)"}


def _told(name: str, value: float) -> str:
    return human_bytes(value) if name == "Memory" else f"{value:g}"
