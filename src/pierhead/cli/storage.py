"""`pierhead storage ...`: connections to buckets, network file systems and model hubs, kept by this platform.

The verbs work on the platform's database itself, so that a secret never passes through an API.
"""

import time
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from pierhead.cli.options import AsJson, DataDir
from pierhead.cli.screen import emit, note, pairs, table
from pierhead.cli.stored_connections import content, document, listed, read, store, write
from pierhead.core.connections import HUBS, Account, Connection, Keys, Kind
from pierhead.core.resources import human_bytes

if TYPE_CHECKING:  # every verb would pay for the import
    from sqlalchemy import Connection as Transaction

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Buckets, network file systems and model hubs.",
)
adding = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Connect one.")
app.add_typer(adding, name="add")

Name = Annotated[str, typer.Argument(help="Name of the connection.")]
Bucket = Annotated[str, typer.Option("--bucket", help="The bucket that it serves.")]
Url = Annotated[str, typer.Option("--endpoint", help="URL of the store.")]
Region = Annotated[str, typer.Option("--region", help="Region that requests are signed for.")]
KeyId = Annotated[str, typer.Option("--access-key-id", help="Empty: requests are not signed.")]
SecretFile = Annotated[
    str,
    typer.Option(
        "--access-key-secret-file", help="File that holds the secret; - reads standard input."
    ),
]
TokenFile = Annotated[
    str, typer.Option("--security-token-file", help="File with the token of a temporary key.")
]
Private = Annotated[
    bool,
    typer.Option("--allow-private", help="The endpoint may be on loopback or a private network."),
]
HubUrl = Annotated[str, typer.Option("--endpoint", help="URL of a mirror; empty: the public hub.")]
TokenStdin = Annotated[
    bool, typer.Option("--token-stdin", help="Read the hub's access token from standard input.")
]
HubTokenFile = Annotated[
    str, typer.Option("--token-file", help="File with the hub's access token.")
]
Workspaces = Annotated[
    list[str] | None,
    typer.Option(
        "--workspace", help="Serve only services of this workspace; repeat it for more. None: all."
    ),
]
Replace = Annotated[bool, typer.Option("--replace", help="In place of one of that name.")]


_SHOWN = 40  #: files that `test` prints


@adding.command()
def oss(
    name: Name,
    *,
    bucket: Bucket,
    endpoint: Url,
    region: Region,
    access_key_id: KeyId = "",
    access_key_secret_file: SecretFile = "",
    security_token_file: TokenFile = "",
    allow_private: Private = False,
    workspace: Workspaces = None,
    replace: Replace = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Connect a bucket of Alibaba Cloud OSS, or of a store that speaks its protocol.

    \b
    Examples:
      pierhead storage add oss models --bucket my-models --region cn-shanghai \\
        --endpoint https://oss-cn-shanghai.aliyuncs.com \\
        --access-key-id LTAI... --access-key-secret-file secret.txt
    """
    _add_bucket("oss", locals())


@adding.command()
def s3(
    name: Name,
    *,
    bucket: Bucket,
    endpoint: Url,
    region: Region,
    access_key_id: KeyId = "",
    access_key_secret_file: SecretFile = "",
    security_token_file: TokenFile = "",
    allow_private: Private = False,
    workspace: Workspaces = None,
    replace: Replace = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Connect a bucket of a store that speaks S3.

    \b
    Examples:
      pierhead storage add s3 minio --bucket models --region us-east-1 --allow-private \\
        --endpoint http://10.0.0.9:9000 --access-key-id AK --access-key-secret-file secret.txt
      pierhead storage add s3 ours --bucket team-a --region us-east-1 --workspace team-a \\
        --endpoint https://s3.example.com --access-key-id AK --access-key-secret-file secret.txt
    """
    _add_bucket("s3", locals())


@adding.command()
def nas(
    name: Name,
    *,
    mount_target: Annotated[
        str, typer.Option("--mount-target", help="The host that services name as NasMountTarget.")
    ],
    local_path: Annotated[
        str, typer.Option("--local-path", help="Where it is mounted on this machine.")
    ] = "",
    nfs: Annotated[
        str, typer.Option("--nfs", help="HOST:/EXPORT[,port=N]: read from there over NFS.")
    ] = "",
    workspace: Workspaces = None,
    replace: Replace = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Connect a network file system.

    \b
    Examples:
      pierhead storage add nas team --mount-target 317d1.cn-shanghai.nas.example.com --local-path /mnt/team
      pierhead storage add nas team --mount-target 317d1.cn-shanghai.nas.example.com --nfs 10.0.0.7:/export
    """
    connection = Connection(
        name,
        "nas",
        mount_target=mount_target,
        local_path=local_path,
        nfs=nfs,
        created=time.time(),
        workspaces=_once(workspace),
    )
    store(Account(connection, Keys()), replace, data_dir, as_json)


@adding.command()
def hf(
    name: Name,
    *,
    endpoint: HubUrl = "",
    token_stdin: TokenStdin = False,
    token_file: HubTokenFile = "",
    allow_private: Private = False,
    workspace: Workspaces = None,
    replace: Replace = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Connect Hugging Face, or a mirror of it; all its repositories are served then.

    \b
    Examples:
      pierhead storage add hf hub
      pierhead storage add hf hub --token-stdin < token.txt
      pierhead storage add hf mirror --endpoint http://10.0.0.9:8090 --allow-private
    """
    _add_hub("hf", locals())


@adding.command()
def modelscope(
    name: Name,
    *,
    endpoint: HubUrl = "",
    token_stdin: TokenStdin = False,
    token_file: HubTokenFile = "",
    allow_private: Private = False,
    workspace: Workspaces = None,
    replace: Replace = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Connect ModelScope, or a mirror of it; all its repositories are served then.

    \b
    Examples:
      pierhead storage add modelscope hub
      pierhead storage add modelscope hub --token-stdin < token.txt
    """
    _add_hub("modelscope", locals())


@app.command("list")
def list_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List all connections.

    \b
    Examples:
      pierhead storage list
    """
    from pierhead.operations import connections

    found = read(data_dir, connections.everything)
    if as_json:
        emit([document(each) for each in found])
        return
    rows = [(each.name, each.kind, each.serves, _for(each), _where(each)) for each in found]
    table(("NAME", "KIND", "SERVES", "FOR", "AT"), rows)


@app.command()
def show(name: Name, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show one connection and what uses it; its secret is never shown.

    \b
    Examples:
      pierhead storage show models
    """
    from pierhead.operations import connections

    def look(tx: "Transaction") -> tuple[Connection, tuple[str, ...]]:
        found = connections.existing(tx, name)
        return found, connections.used_by(tx, found)

    found, users = read(data_dir, look)
    shown = document(found)
    if as_json:
        emit({**shown, "services": list(users)})
        return
    pairs([(label, _text(value)) for label, value in shown.items()])
    print(f"services       {', '.join(users) or '-'}")


@app.command()
def test(
    name: Name,
    source: Annotated[
        str,
        typer.Argument(help="What to list, as hf://org/name or oss://bucket/prefix; empty: all."),
    ] = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List what a service would fetch: does the connection lead there, and may it read?

    \b
    Examples:
      pierhead storage test models
      pierhead storage test hub hf://Qwen/Qwen2.5-0.5B-Instruct
      pierhead storage test hub hf://Qwen/Qwen2.5-0.5B-Instruct-GGUF/*q4_k_m*
    """
    where, found = listed(name, source, data_dir)
    total = sum(size for _, size in found)
    if as_json:
        files = [{"name": file, "bytes": size} for file, size in found]
        emit({"source": where, "bytes": total, "files": files})
        return
    table(("FILE", "SIZE"), [(file, human_bytes(size)) for file, size in found[:_SHOWN]])
    more = f", of which the first {_SHOWN} are shown" if len(found) > _SHOWN else ""
    count = f"{len(found)} file{'s' * (len(found) != 1)}"
    print(f"{where}: {count}, {human_bytes(total)}{more}.")


@app.command()
def remove(name: Name, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Forget a connection and its secret. What was fetched over it stays in the cache.

    \b
    Examples:
      pierhead storage remove models
    """
    from pierhead.operations import connections

    users = write(
        data_dir,
        "RemoveStorageConnection",
        name,
        lambda tx, _settings: connections.remove(tx, name),
    )
    if as_json:
        emit({"removed": name, "services": list(users)})
        return
    print(f"The storage connection {name} is removed.")
    if users:
        note(f"These services lack it at their next start: {', '.join(users)}.")


def _add_bucket(kind: Kind, given: dict[str, Any]) -> None:
    connection = Connection(
        given["name"],
        kind,
        bucket=given["bucket"],
        endpoint=given["endpoint"].rstrip("/"),
        region=given["region"],
        access_key_id=given["access_key_id"],
        allow_private=given["allow_private"],
        created=time.time(),
        workspaces=_once(given["workspace"]),
    )
    secret = content(given["access_key_secret_file"], "access-key-secret-file")
    token = content(given["security_token_file"], "security-token-file")
    store(
        Account(connection, Keys(secret, token)),
        given["replace"],
        given["data_dir"],
        given["as_json"],
    )


def _add_hub(kind: Kind, given: dict[str, Any]) -> None:
    connection = Connection(
        given["name"],
        kind,
        endpoint=(given["endpoint"] or HUBS[kind]).rstrip("/"),
        allow_private=given["allow_private"],
        created=time.time(),
        workspaces=_once(given["workspace"]),
    )
    file = "-" if given["token_stdin"] else given["token_file"]
    account = Account(connection, Keys(token=content(file, "token")))
    store(account, given["replace"], given["data_dir"], given["as_json"])


def _where(connection: Connection) -> str:
    return connection.endpoint or connection.local_path or f"nfs {connection.nfs}"


def _once(workspaces: list[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(workspaces or ()))


def _for(connection: Connection) -> str:
    return ", ".join(connection.workspaces) or "everybody"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(cast("tuple[str, ...]", value))
    return str(value)
