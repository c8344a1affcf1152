"""`pierhead storage ...`: connections to buckets and network file systems, kept by this platform.

The verbs work on the platform's database itself, so that a secret never passes through an API.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from pierhead.cli.options import AsJson, DataDir
from pierhead.cli.screen import emit, note, pairs, table
from pierhead.core.connections import Account, Connection, Keys, Kind
from pierhead.core.errors import Invalid, Unavailable
from pierhead.settings import Settings

if TYPE_CHECKING:  # every verb would pay for the import
    from sqlalchemy import Connection as Transaction

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Buckets and network file systems."
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
Replace = Annotated[bool, typer.Option("--replace", help="In place of one of that name.")]


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
    replace: Replace = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Connect a bucket of a store that speaks S3.

    \b
    Examples:
      pierhead storage add s3 minio --bucket models --region us-east-1 --allow-private \\
        --endpoint http://10.0.0.9:9000 --access-key-id AK --access-key-secret-file secret.txt
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
        name, "nas", mount_target=mount_target, local_path=local_path, nfs=nfs, created=time.time()
    )
    _add(Account(connection, Keys()), replace, data_dir, as_json)


@app.command("list")
def list_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List all connections.

    \b
    Examples:
      pierhead storage list
    """
    from pierhead.operations import connections

    found = _read(data_dir, connections.everything)
    if as_json:
        emit([_document(each) for each in found])
        return
    rows = [(each.name, each.kind, each.serves, _where(each)) for each in found]
    table(("NAME", "KIND", "SERVES", "AT"), rows)


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

    found, users = _read(data_dir, look)
    document = {**_document(found), "services": list(users)}
    if as_json:
        emit(document)
        return
    pairs([(label, _text(value)) for label, value in document.items() if label != "services"])
    print(f"services       {', '.join(users) or '-'}")


@app.command()
def remove(name: Name, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Forget a connection and its secret. What was fetched over it stays in the cache.

    \b
    Examples:
      pierhead storage remove models
    """
    from pierhead.operations import connections

    users = _write(
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
    )
    secret = _content(given["access_key_secret_file"], "access-key-secret-file")
    token = _content(given["security_token_file"], "security-token-file")
    _add(
        Account(connection, Keys(secret, token)),
        given["replace"],
        given["data_dir"],
        given["as_json"],
    )


def _content(file: str, option: str) -> str:
    """The one line in a file; "" when none is named."""
    if not file:
        return ""
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        text = raw.decode().strip()
    except OSError as error:
        raise Unavailable(f"The file {file}", f"{error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise Invalid(option, f"{file} holds no text") from error
    if not text:
        raise Invalid(option, f"{file} is empty")
    return text


def _add(account: Account, replace: bool, data_dir: Path | None, as_json: bool) -> None:
    from pierhead.bootstrap.storage import box
    from pierhead.operations import connections

    def store(tx: "Transaction", settings: Settings) -> Connection:
        return connections.add(tx, box(settings), account, replace=replace)

    added = _write(data_dir, "AddStorageConnection", account.connection.name, store)
    if as_json:
        emit(_document(added))
    else:
        print(f"{added.serves} is served by the storage connection {added.name} now.")


def _read(data_dir: Path | None, fn: "Callable[[Transaction], T]") -> T:
    return _run(Settings.load({"data_dir": data_dir}), fn, writing=False)


def _write(
    data_dir: Path | None, action: str, name: str, fn: "Callable[[Transaction, Settings], T]"
) -> T:
    """`fn` in a transaction, and an entry of the audit trail about it."""
    from pierhead.bootstrap.audit import by_operator

    settings = Settings.load({"data_dir": data_dir})

    def change(tx: "Transaction") -> T:
        done = fn(tx, settings)
        told(tx)
        return done

    told = by_operator(settings, f"pierhead:{action}", f"StorageConnection/{name}")
    return _run(settings, change, writing=True)


def _run(settings: Settings, fn: "Callable[[Transaction], T]", *, writing: bool) -> T:
    from pierhead.bootstrap.database import migrate
    from pierhead.store import db

    migrate(settings)  # a platform that was never started has no tables yet
    engine = db.connect(settings.database, writing=writing)
    try:
        return db.run(engine, fn)
    finally:
        engine.dispose()


def _document(connection: Connection) -> dict[str, Any]:
    shown = {name: value for name, value in asdict(connection).items() if value != ""}
    return {
        **shown,
        "serves": connection.serves,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(connection.created)),
    }


def _where(connection: Connection) -> str:
    return connection.endpoint or connection.local_path or f"nfs {connection.nfs}"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
