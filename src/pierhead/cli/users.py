"""`pierhead users ...` and `pierhead keys ...`: who may call, and with which keys."""

import getpass
import http
import sys
from pathlib import Path
from typing import Annotated

import typer

from pierhead.cli.client import HubRefused
from pierhead.cli.options import AsJson, DataDir, Endpoint
from pierhead.cli.ram_client import RamClient, connect
from pierhead.cli.screen import emit, note, pairs, table

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="RAM users: they may do what their policies allow, through every door.",
)
keys = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Access keys, of users and of the account."
)

Name = Annotated[str, typer.Argument(help="Name of the user.")]
User = Annotated[str, typer.Option("--user", help="Whose; else the caller's own.")]
Key = Annotated[str, typer.Argument(help="Id of the access key.")]


@app.command("list")
def list_users(
    *, data_dir: DataDir = None, endpoint: Endpoint = None, as_json: AsJson = False
) -> None:
    """List all users."""
    client = connect(data_dir, endpoint)
    found = list(client.all("ListUsers", "Users/User"))
    if as_json:
        emit({"Users": found})
        return
    rows = [[u["UserName"], u["UserId"], u["DisplayName"], u["CreateDate"]] for u in found]
    table(["NAME", "ID", "DISPLAY NAME", "CREATED"], rows)


@app.command()
def show(
    *, name: Name, data_dir: DataDir = None, endpoint: Endpoint = None, as_json: AsJson = False
) -> None:
    """Show a user: its groups, policies and keys.

    \b
    Example:
      pierhead users show alice
    """
    client = connect(data_dir, endpoint)
    user = client.act("GetUser", UserName=name)["User"]
    groups = client.act("ListGroupsForUser", UserName=name)["Groups"]["Group"]
    policies = client.act("ListPoliciesForUser", UserName=name)["Policies"]["Policy"]
    owned = client.act("ListAccessKeys", UserName=name)["AccessKeys"]["AccessKey"]
    if as_json:
        emit({"User": user, "Groups": groups, "Policies": policies, "AccessKeys": owned})
        return
    pairs([(key, str(value)) for key, value in user.items() if value])
    pairs(
        [
            ("Groups", ", ".join(group["GroupName"] for group in groups) or "-"),
            ("Policies", ", ".join(map(_policy, policies)) or "-"),
            ("Access keys", ", ".join(f"{k['AccessKeyId']} ({k['Status']})" for k in owned) or "-"),
        ]
    )


def _policy(policy: dict[str, str]) -> str:
    within = policy.get("Workspace", "")
    return policy["PolicyName"] + (f" in workspace {within}" if within else "")


@app.command()
def create(
    *,
    name: Name,
    display_name: Annotated[str, typer.Option(help="As people know it.")] = "",
    email: Annotated[str, typer.Option(help="Kept, and told.")] = "",
    comments: Annotated[str, typer.Option(help="Kept, and told.")] = "",
    with_key: Annotated[
        bool, typer.Option("--with-key", help="Make an access key, too, and show its secret once.")
    ] = False,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Make a user. It may do nothing until a policy is attached.

    \b
    Examples:
      pierhead users create alice --with-key
      pierhead policies attach AliyunPAIEASReadOnlyAccess --user alice
    """
    client = connect(data_dir, endpoint)
    made = client.act(
        "CreateUser", UserName=name, DisplayName=display_name, Email=email, Comments=comments
    )
    answer = {"User": made["User"]}
    if with_key:
        answer["AccessKey"] = client.act("CreateAccessKey", UserName=name)["AccessKey"]
    if as_json:
        emit(answer)
        return
    note(f"The user [{name}] was created; it may do nothing until a policy is attached.")
    if with_key:
        _show_key(answer["AccessKey"])


@app.command()
def delete(
    *,
    name: Name,
    force: Annotated[
        bool, typer.Option("--force", help="With its keys, policies, password and memberships.")
    ] = False,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
) -> None:
    """Delete a user; without --force only one that has no keys, policies and groups left."""
    client = connect(data_dir, endpoint)
    if force:
        for key in client.act("ListAccessKeys", UserName=name)["AccessKeys"]["AccessKey"]:
            client.act("DeleteAccessKey", UserName=name, UserAccessKeyId=key["AccessKeyId"])
        for group in client.act("ListGroupsForUser", UserName=name)["Groups"]["Group"]:
            client.act("RemoveUserFromGroup", UserName=name, GroupName=group["GroupName"])
        for policy in client.act("ListPoliciesForUser", UserName=name)["Policies"]["Policy"]:
            client.act(
                "DetachPolicyFromUser",
                UserName=name,
                PolicyName=policy["PolicyName"],
                PolicyType=policy["PolicyType"],
                Workspace=policy.get("Workspace", ""),
            )
    client.act("DeleteUser", UserName=name)
    note(f"The user [{name}] is deleted.")


@app.command()
def password(
    *,
    name: Name,
    file: Annotated[
        Path | None, typer.Option("--file", help="File that holds it; - reads standard input.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="No login with a password.")] = False,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
) -> None:
    """Set the password with which a user logs in (console, ZStack), or take it away."""
    client = connect(data_dir, endpoint)
    if remove:
        client.act("DeleteLoginProfile", UserName=name)
        note(f"The user [{name}] cannot log in with a password any more.")
        return
    text = _password(file)
    action = "UpdateLoginProfile" if _has_password(client, name) else "CreateLoginProfile"
    client.act(action, UserName=name, Password=text)
    note(f"The password of the user [{name}] is set; former logins have ended.")


@keys.command("list")
def list_keys(
    *,
    user: User = "",
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """List access keys; their secrets are told once only, when they are made."""
    client = connect(data_dir, endpoint)
    found = client.act("ListAccessKeys", UserName=user)["AccessKeys"]["AccessKey"]
    if as_json:
        emit({"AccessKeys": found})
        return
    table(
        ["ID", "STATUS", "CREATED"],
        [[k["AccessKeyId"], k["Status"], k["CreateDate"]] for k in found],
    )


@keys.command("create")
def create_key(
    *,
    user: User = "",
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Make an access key and show its secret, this once."""
    made = connect(data_dir, endpoint).act("CreateAccessKey", UserName=user)["AccessKey"]
    if as_json:
        emit(made)
    else:
        _show_key(made)


@keys.command()
def enable(
    *, key: Key, user: User = "", data_dir: DataDir = None, endpoint: Endpoint = None
) -> None:
    """Let a key open doors again."""
    _switch(connect(data_dir, endpoint), key, user, "Active")


@keys.command()
def disable(
    *, key: Key, user: User = "", data_dir: DataDir = None, endpoint: Endpoint = None
) -> None:
    """Refuse a key from the next call on; it can be enabled again."""
    _switch(connect(data_dir, endpoint), key, user, "Inactive")


@keys.command("delete")
def delete_key(
    *, key: Key, user: User = "", data_dir: DataDir = None, endpoint: Endpoint = None
) -> None:
    """Delete a key for good."""
    connect(data_dir, endpoint).act("DeleteAccessKey", UserName=user, UserAccessKeyId=key)
    note(f"The access key [{key}] is deleted.")


def _show_key(made: dict[str, str]) -> None:
    note("The secret is shown this once:")
    pairs([("AccessKeyId", made["AccessKeyId"]), ("AccessKeySecret", made["AccessKeySecret"])])


def _switch(client: RamClient, key: str, user: str, status: str) -> None:
    client.act("UpdateAccessKey", UserName=user, UserAccessKeyId=key, Status=status)
    note(f"The access key [{key}] is {status.lower()}.")


def _has_password(client: RamClient, name: str) -> bool:
    try:
        client.act("GetLoginProfile", UserName=name)
    except HubRefused as refusal:
        if refusal.status == http.HTTPStatus.NOT_FOUND and "LoginProfile" in refusal.code:
            return False
        raise
    return True


def _password(file: Path | None) -> str:
    """From a file, standard input, or asked for; never from the command line, which everybody sees."""
    if file is None:
        return getpass.getpass("Password: ")
    text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    return text.removesuffix("\n")
