"""`pierhead workspace ...`: what groups services, and what policies may be bounded to."""

from typing import Annotated

import typer

from pierhead.cli.options import AsJson, DataDir, Endpoint
from pierhead.cli.ram_client import NATIVE, connect
from pierhead.cli.screen import emit, note, pairs, table

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Workspaces: they group services, bound policies, and may share a quota.",
)

Id = Annotated[
    str, typer.Argument(help="Id of the workspace: a service names it as its WorkspaceId.")
]
NameOf = Annotated[str, typer.Option("--name", help="As people know it.")]


@app.command("list")
def list_workspaces(
    *, data_dir: DataDir = None, endpoint: Endpoint = None, as_json: AsJson = False
) -> None:
    """List the workspaces that may be seen."""
    client = connect(data_dir, endpoint)
    found = list(client.all("ListWorkspaces", "Workspaces/Workspace", NATIVE))
    if as_json:
        emit({"Workspaces": found})
        return
    rows = [
        [w["WorkspaceId"], w["Name"], w["QuotaId"] or "-", str(w["Services"]), w["CreateDate"]]
        for w in found
    ]
    table(["ID", "NAME", "QUOTA", "SERVICES", "CREATED"], rows)


@app.command()
def show(
    *,
    workspace_id: Id,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Show a workspace.

    \b
    Example:
      pierhead workspace show team-a
    """
    found = connect(data_dir, endpoint).own("GetWorkspace", WorkspaceId=workspace_id)["Workspace"]
    if as_json:
        emit(found)
        return
    pairs([(name, str(value) if value != "" else "-") for name, value in found.items()])


@app.command()
def create(
    *,
    workspace_id: Id,
    name: NameOf = "",
    quota: Annotated[
        str, typer.Option("--quota", help="What all its services count against.")
    ] = "",
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Make a workspace. Services may name it before: it is made at its first use, too.

    \b
    Examples:
      pierhead workspace create team-a --name "Search team" --quota team-a
      pierhead policies attach AliyunPAIEASFullAccess --user alice --workspace team-a
    """
    client = connect(data_dir, endpoint)
    made = client.own("CreateWorkspace", WorkspaceId=workspace_id, Name=name, QuotaId=quota)[
        "Workspace"
    ]
    if as_json:
        emit(made)
        return
    note(f"The workspace [{workspace_id}] was created.")


@app.command()
def update(
    *,
    workspace_id: Id,
    name: NameOf = "",
    quota: Annotated[
        str, typer.Option("--quota", help="What all its services count against from now on.")
    ] = "",
    no_quota: Annotated[
        bool, typer.Option("--no-quota", help="They count against none any more.")
    ] = False,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Call a workspace otherwise, or give it another quota; nothing that runs is stopped.

    \b
    Example:
      pierhead workspace update team-a --quota large
    """
    if bool(quota) and no_quota:
        raise typer.BadParameter("give --quota or --no-quota, not both")
    if not (name or quota or no_quota):
        raise typer.BadParameter("give --name, --quota or --no-quota")
    wish = {"Name": name, "QuotaId": quota, "NoQuota": "true" if no_quota else ""}
    client = connect(data_dir, endpoint)
    changed = client.own("UpdateWorkspace", WorkspaceId=workspace_id, **wish)["Workspace"]
    if as_json:
        emit(changed)
        return
    note(f"The workspace [{workspace_id}] was changed.")


@app.command()
def delete(*, workspace_id: Id, data_dir: DataDir = None, endpoint: Endpoint = None) -> None:
    """Delete a workspace that no service is in and no policy is bounded to."""
    connect(data_dir, endpoint).own("DeleteWorkspace", WorkspaceId=workspace_id)
    note(f"The workspace [{workspace_id}] is deleted.")
