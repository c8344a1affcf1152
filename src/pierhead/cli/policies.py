"""`pierhead policies ...` and `pierhead policy simulate`: what users, groups and roles may do."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from pierhead.cli.options import AsJson, DataDir, Endpoint
from pierhead.cli.ram_client import RamClient, connect, is_system
from pierhead.cli.screen import emit, note, pairs, table

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="RAM policies: which actions on which resources are allowed or denied.",
)
asking = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Ask what policies decide.")

Name = Annotated[str, typer.Argument(help="Name of the policy.")]
File = Annotated[Path, typer.Argument(help="JSON document; - reads standard input.")]
User = Annotated[str, typer.Option("--user", help="The user that has, gets or loses it.")]
Group = Annotated[str, typer.Option("--group", help="The group.")]
Role = Annotated[str, typer.Option("--role", help="The role.")]


def _named(workspace: str | None) -> str | None:
    """Refuses the empty text of a variable that is not set: it would mean everywhere."""
    if workspace == "":
        raise typer.BadParameter("it is empty; leave it out for all workspaces")
    return workspace


Workspace = Annotated[
    str | None,
    typer.Option(
        "--workspace", help="Only for objects of this workspace; else for all.", callback=_named
    ),
]


@app.command("list")
def list_policies(
    *,
    system: Annotated[bool, typer.Option("--system", help="Those that come along, only.")] = False,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """List policies, those that come along included."""
    client = connect(data_dir, endpoint)
    kind = "System" if system else ""
    found = list(client.all("ListPolicies", "Policies/Policy", PolicyType=kind))
    if as_json:
        emit({"Policies": found})
        return
    rows = [
        [p["PolicyName"], p["PolicyType"], str(p["AttachmentCount"]), p["Description"]]
        for p in found
    ]
    table(["NAME", "TYPE", "ATTACHED", "DESCRIPTION"], rows)


@app.command()
def show(
    *, name: Name, data_dir: DataDir = None, endpoint: Endpoint = None, as_json: AsJson = False
) -> None:
    """Show a policy's document, and who has it."""
    client = connect(data_dir, endpoint)
    kind = _kind(client, name)
    policy = client.act("GetPolicy", PolicyName=name, PolicyType=kind)
    entities = client.act("ListEntitiesForPolicy", PolicyName=name, PolicyType=kind)
    if as_json:
        emit({**policy, "Entities": entities})
        return
    pairs([("Name", name), ("Type", kind), ("Version", policy["Policy"]["DefaultVersion"])])
    for several, one in (("Users", "User"), ("Groups", "Group"), ("Roles", "Role")):
        names = [item[f"{one}Name"] for item in entities[several][one]]
        pairs([(several, ", ".join(names) or "-")])
    document = policy["DefaultPolicyVersion"]["PolicyDocument"]
    print(json.dumps(json.loads(document), indent=2, ensure_ascii=False))


@app.command()
def create(
    *,
    name: Name,
    file: File,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
) -> None:
    """Make a policy from a JSON document.

    \b
    Example:
      echo '{"Version":"1","Statement":[{"Effect":"Allow","Action":"eas:*",
             "Resource":"acs:eas:*:*:service/team_a_*"}]}' | pierhead policies create team-a -
    """
    client = connect(data_dir, endpoint)
    client.act("CreatePolicy", PolicyName=name, PolicyDocument=_read(file), Description=description)
    note(f"The policy [{name}] was created; attach it with: pierhead policies attach {name} --user")


@app.command()
def update(*, name: Name, file: File, data_dir: DataDir = None, endpoint: Endpoint = None) -> None:
    """Put another document in place; the former ones are kept as versions, five in all."""
    client = connect(data_dir, endpoint)
    made = client.act(
        "CreatePolicyVersion",
        PolicyName=name,
        PolicyDocument=_read(file),
        SetAsDefault="true",
        RotateStrategy="DeleteOldestNonDefaultVersionWhenLimitExceeded",
    )
    note(f"The policy [{name}] is at version {made['PolicyVersion']['VersionId']} now.")


@app.command()
def delete(*, name: Name, data_dir: DataDir = None, endpoint: Endpoint = None) -> None:
    """Delete a policy that nobody has, with all its versions."""
    client = connect(data_dir, endpoint)
    versions = client.act("ListPolicyVersions", PolicyName=name, PolicyType="Custom")
    for version in versions["PolicyVersions"]["PolicyVersion"]:
        if not version["IsDefaultVersion"]:
            client.act("DeletePolicyVersion", PolicyName=name, VersionId=version["VersionId"])
    client.act("DeletePolicy", PolicyName=name)
    note(f"The policy [{name}] is deleted.")


@app.command()
def attach(
    *,
    name: Name,
    user: User = "",
    group: Group = "",
    role: Role = "",
    workspace: Workspace = None,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
) -> None:
    """Give a policy to a user, a group or a role.

    \b
    Examples:
      pierhead policies attach AliyunPAIEASFullAccess --user alice --workspace team-a
      pierhead policies attach AliyunPAIEASReadOnlyAccess --group guests
    """
    client = connect(data_dir, endpoint)
    kind, target = _target(user, group, role)
    client.act(
        f"AttachPolicyTo{kind}",
        PolicyName=name,
        PolicyType=_kind(client, name),
        Workspace=workspace or "",
        **{f"{kind}Name": target},
    )
    note(f"The {kind.lower()} [{target}] has the policy [{name}] now.")


@app.command()
def detach(
    *,
    name: Name,
    user: User = "",
    group: Group = "",
    role: Role = "",
    workspace: Workspace = None,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
) -> None:
    """Take a policy away from a user, a group or a role; it counts from the next call on."""
    client = connect(data_dir, endpoint)
    kind, target = _target(user, group, role)
    client.act(
        f"DetachPolicyFrom{kind}",
        PolicyName=name,
        PolicyType=_kind(client, name),
        Workspace=workspace or "",
        **{f"{kind}Name": target},
    )
    note(f"The {kind.lower()} [{target}] has the policy [{name}] no more.")


@asking.command()
def simulate(
    *,
    principal: Annotated[str, typer.Option(help="user/NAME or role/NAME.")],
    action: Annotated[str, typer.Option(help="Such as eas:CreateService.")],
    resource: Annotated[str, typer.Option(help="ARN, such as acs:eas:*:*:service/my_llm.")] = "*",
    context: Annotated[
        list[str] | None, typer.Option(help="key=value, such as acs:SourceIp=10.0.0.1.")
    ] = None,
    workspace: Workspace = None,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Say whether somebody may do something, and which policy decides; nothing is done.

    \b
    Example:
      pierhead policy simulate --principal user/alice --action eas:DeleteService \\
        --resource acs:eas:local:*:service/my_llm

    The exit code is 0 when it is allowed, 1 when it is denied.
    """
    answer = connect(data_dir, endpoint).act(
        "SimulatePolicy",
        Principal=principal,
        ActionName=action,
        Resource=resource,
        Workspace=workspace or "",
        Context=json.dumps(_context(context or [])),
    )
    if as_json:
        emit(answer)
    else:
        _show_decision(answer)
    if not answer["Allowed"]:
        raise typer.Exit(1)


def _show_decision(answer: dict[str, object]) -> None:
    by = f"policy {answer['Policy']}, statement {answer['Statement']}"
    because = by if answer["Statement"] else "no policy speaks of it"
    print(f"{'allowed' if answer['Allowed'] else 'denied'}: {because}")


def _context(entries: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in entries:
        key, mark, value = entry.partition("=")
        if not mark or not key:
            raise typer.BadParameter(f"[{entry}] is not key=value", param_hint="--context")
        found[key] = value
    return found


def _kind(client: RamClient, name: str) -> str:
    return "System" if is_system(client, name) else "Custom"


def _target(user: str, group: str, role: str) -> tuple[str, str]:
    given = [(k, t) for k, t in (("User", user), ("Group", group), ("Role", role)) if t]
    if len(given) != 1:
        raise typer.BadParameter("exactly one of --user, --group and --role is needed")
    return given[0]


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise typer.BadParameter(f"{file} cannot be read: {problem}", param_hint="FILE") from None
