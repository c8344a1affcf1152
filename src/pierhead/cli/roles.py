"""`pierhead roles ...` and `pierhead groups ...`: what may be assumed, and who shares policies."""

import json
from typing import Annotated

import typer

from pierhead.cli.options import AsJson, DataDir, Endpoint
from pierhead.cli.ram_client import STS, connect
from pierhead.cli.screen import emit, note, pairs, table

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Roles: what somebody may become for a while, with keys that expire.",
)
groups = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Groups: users that share policies."
)

Name = Annotated[str, typer.Argument(help="Name of the role.")]
Group = Annotated[str, typer.Argument(help="Name of the group.")]
User = Annotated[str, typer.Argument(help="Name of the user.")]


@app.command("list")
def list_roles(
    *, data_dir: DataDir = None, endpoint: Endpoint = None, as_json: AsJson = False
) -> None:
    """List all roles."""
    found = list(connect(data_dir, endpoint).all("ListRoles", "Roles/Role"))
    if as_json:
        emit({"Roles": found})
        return
    table(
        ["NAME", "ARN", "DESCRIPTION"], [[r["RoleName"], r["Arn"], r["Description"]] for r in found]
    )


@app.command()
def create(
    *,
    name: Name,
    trust: Annotated[
        list[str] | None,
        typer.Option(help="Who may become it: an ARN, or user/NAME; else the account's users."),
    ] = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    max_session: Annotated[
        int, typer.Option(min=900, max=43200, help="Longest life of its keys, in seconds.")
    ] = 3600,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Make a role. Who is to become it also needs a policy that allows sts:AssumeRole.

    \b
    Examples:
      pierhead roles create deployer --trust user/alice
      pierhead policies attach AliyunPAIEASFullAccess --role deployer
    """
    client = connect(data_dir, endpoint)
    account = str(client.act("GetCallerIdentity", STS)["AccountId"])
    trusted = [_arn(one, account) for one in trust or ["root"]]
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"RAM": trusted}}
    made = client.act(
        "CreateRole",
        RoleName=name,
        Description=description,
        MaxSessionDuration=str(max_session),
        AssumeRolePolicyDocument=json.dumps({"Version": "1", "Statement": [statement]}),
    )["Role"]
    if as_json:
        emit(made)
    else:
        note(f"The role [{name}] was created: {made['Arn']}")


@app.command()
def assume(
    *,
    name: Name,
    session: Annotated[str, typer.Option(help="Name of the session, for the audit log.")] = "cli",
    seconds: Annotated[int, typer.Option(min=900, max=43200, help="Life of the keys.")] = 3600,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Become a role: print keys that expire, as lines for a shell to evaluate."""
    client = connect(data_dir, endpoint)
    account = str(client.act("GetCallerIdentity", STS)["AccountId"])
    given = client.act(
        "AssumeRole",
        STS,
        RoleArn=f"acs:ram::{account}:role/{name}",
        RoleSessionName=session,
        DurationSeconds=str(seconds),
    )
    if as_json:
        emit(given)
        return
    credentials = given["Credentials"]
    note(f"These keys expire at {credentials['Expiration']}.")
    print(f"export PIERHEAD_ACCESS_KEY_ID={credentials['AccessKeyId']}")
    print(f"export PIERHEAD_ACCESS_KEY_SECRET={credentials['AccessKeySecret']}")
    print(f"export PIERHEAD_SECURITY_TOKEN={credentials['SecurityToken']}")


@app.command()
def delete(*, name: Name, data_dir: DataDir = None, endpoint: Endpoint = None) -> None:
    """Delete a role that has no policies left; its keys end at once."""
    connect(data_dir, endpoint).act("DeleteRole", RoleName=name)
    note(f"The role [{name}] is deleted.")


@groups.command("list")
def list_groups(
    *, data_dir: DataDir = None, endpoint: Endpoint = None, as_json: AsJson = False
) -> None:
    """List all groups."""
    found = list(connect(data_dir, endpoint).all("ListGroups", "Groups/Group"))
    if as_json:
        emit({"Groups": found})
        return
    table(["NAME", "COMMENTS"], [[g["GroupName"], g["Comments"]] for g in found])


@groups.command()
def show(
    *, group: Group, data_dir: DataDir = None, endpoint: Endpoint = None, as_json: AsJson = False
) -> None:
    """Show who is in a group, and what it may do."""
    client = connect(data_dir, endpoint)
    users = list(client.all("ListUsersForGroup", "Users/User", GroupName=group))
    policies = client.act("ListPoliciesForGroup", GroupName=group)["Policies"]["Policy"]
    if as_json:
        emit({"Users": users, "Policies": policies})
        return
    pairs(
        [
            ("Users", ", ".join(user["UserName"] for user in users) or "-"),
            ("Policies", ", ".join(policy["PolicyName"] for policy in policies) or "-"),
        ]
    )


@groups.command("create")
def create_group(*, group: Group, data_dir: DataDir = None, endpoint: Endpoint = None) -> None:
    """Make a group."""
    connect(data_dir, endpoint).act("CreateGroup", GroupName=group)
    note(f"The group [{group}] was created.")


@groups.command("delete")
def delete_group(*, group: Group, data_dir: DataDir = None, endpoint: Endpoint = None) -> None:
    """Delete a group that has neither users nor policies left."""
    connect(data_dir, endpoint).act("DeleteGroup", GroupName=group)
    note(f"The group [{group}] is deleted.")


@groups.command()
def add(*, group: Group, user: User, data_dir: DataDir = None, endpoint: Endpoint = None) -> None:
    """Put a user into a group."""
    connect(data_dir, endpoint).act("AddUserToGroup", GroupName=group, UserName=user)
    note(f"The user [{user}] is in the group [{group}] now.")


@groups.command()
def remove(
    *, group: Group, user: User, data_dir: DataDir = None, endpoint: Endpoint = None
) -> None:
    """Take a user out of a group."""
    connect(data_dir, endpoint).act("RemoveUserFromGroup", GroupName=group, UserName=user)
    note(f"The user [{user}] is in the group [{group}] no more.")


def _arn(text: str, account: str) -> str:
    return text if text.startswith("acs:") or text == "*" else f"acs:ram::{account}:{text}"
