"""Storage connections: what is legal, what is kept, and that their secrets are kept to themselves."""

import json
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from builders import ACCOUNT, BOX, ROOT, T0, a_service
from pierhead.bootstrap.secret_files import storage_key
from pierhead.cli.main import app
from pierhead.core.connections import (
    Account,
    Connection,
    Export,
    Keys,
    check,
    export,
    kept_from,
    serving,
)
from pierhead.core.errors import (
    Duplicate,
    Invalid,
    Missing,
    NotFound,
    PierheadError,
    Unavailable,
    Unsupported,
)
from pierhead.core.mounts import FolderSource, NasSource, OssSource, S3Source, Source
from pierhead.core.principals import USER, Principal
from pierhead.core.services import Service
from pierhead.operations import connections
from pierhead.operations.secret_box import SecretBox
from pierhead.store import connections as rows
from pierhead.store import db, schema, services

OSS = Connection(
    "models",
    "oss",
    bucket="my-models",
    endpoint="https://oss-cn-shanghai.aliyuncs.com",
    region="cn-shanghai",
    access_key_id="LTAI5tExample",
    created=T0,
)
NAS = Connection("team", "nas", mount_target="t.example.com", local_path="/mnt/team", created=T0)
KEYS = Keys("the-secret", "the-token")
KEY = bytes(range(32))


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    url = (
        db.sqlite_url(tmp_path / "pierhead.db")
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_made_url")
    )
    schema.migrate(url)
    made = db.connect(url, writing=True, box=BOX)
    yield made
    made.dispose()


@pytest.fixture
def box() -> SecretBox:
    return SecretBox(KEY)


# --- what is legal ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("connection", "error", "word"),
    [
        (replace(OSS, name="../x"), Invalid, "name"),
        (replace(OSS, name=""), Invalid, "name"),
        (replace(OSS, kind="ftp"), Unsupported, "ftp"),  # pyright: ignore[reportArgumentType]
        (replace(OSS, bucket=""), Missing, "bucket"),
        (replace(OSS, bucket="No_Bucket"), Invalid, "bucket"),
        (replace(OSS, endpoint="oss-cn-shanghai.aliyuncs.com"), Invalid, "endpoint"),
        (replace(OSS, endpoint="https://user:pw@host"), Invalid, "endpoint"),
        (replace(OSS, endpoint="https://host/path"), Invalid, "endpoint"),
        (replace(OSS, endpoint="file:///etc"), Invalid, "endpoint"),
        (replace(OSS, region=""), Missing, "region"),
        (replace(OSS, access_key_id="a\nb"), Invalid, "access-key-id"),
        (replace(NAS, mount_target=""), Missing, "mount-target"),
        (replace(NAS, mount_target="a/b"), Invalid, "mount-target"),
        (replace(NAS, local_path=""), Missing, "local-path"),
        (replace(NAS, local_path="mnt"), Invalid, "local-path"),
        (replace(NAS, nfs="h:/e"), Missing, "local-path"),
        (replace(NAS, local_path="", nfs="h:/a/../b"), Invalid, "nfs"),
        (replace(NAS, local_path="", nfs="h:/a?version=3"), Invalid, "nfs"),
        (replace(NAS, local_path="", nfs="-o evil:/a"), Invalid, "nfs"),
        (replace(NAS, local_path="", nfs="h:/a,port=0"), Invalid, "nfs"),
    ],
)
def test_a_connection_that_can_serve_nothing_is_refused(
    connection: Connection, error: type[PierheadError], word: str
) -> None:
    with pytest.raises(error, match=word):
        check(connection)


@pytest.mark.parametrize(
    "connection", [OSS, NAS, replace(OSS, kind="s3", endpoint="http://[::1]:9000")]
)
def test_a_legal_connection_passes(connection: Connection) -> None:
    check(connection)


def test_an_nfs_export_is_taken_apart() -> None:
    assert export("10.0.0.7:/export/,port=12049,version=3") == Export(
        "10.0.0.7", "/export", 12049, 3
    )
    assert export("[::1]:/").url("/a/") == "nfs://[::1]/a/?version=4&nfsport=2049"


def test_the_oldest_connection_of_a_bucket_serves_it() -> None:
    newer = replace(OSS, name="another", created=T0 + 1)
    s3 = replace(OSS, name="s3", kind="s3")
    known = (newer, OSS, NAS, s3)
    assert serving(OssSource("my-models", "a/", "elsewhere.example"), known) == OSS
    assert serving(S3Source("my-models", "a/"), known) == s3
    assert serving(NasSource("t.example.com", "/a"), known) == NAS
    assert serving(OssSource("my-model", "a/"), known) is None
    assert serving(FolderSource("/a"), known) is None


# --- what is kept -------------------------------------------------------------------------------------------


def test_a_connection_lives_its_life(engine: Engine, box: SecretBox) -> None:
    assert db.run(engine, connections.add, box, Account(OSS, KEYS)) == OSS
    db.run(engine, connections.add, box, Account(replace(NAS, created=T0 + 1), Keys()))
    assert [each.name for each in db.run(engine, connections.everything)] == ["models", "team"]
    assert db.run(engine, connections.existing, "models") == OSS
    source = OssSource("my-models", "llama/")
    assert db.run(engine, connections.account, box, source) == Account(OSS, KEYS)
    assert db.run(engine, connections.account, box, OssSource("other", "")) is None
    assert db.run(engine, connections.account, box, FolderSource("/x")) is None
    with pytest.raises(Duplicate):
        db.run(engine, connections.add, box, Account(OSS, KEYS))
    newer = Account(replace(OSS, region="cn-beijing"), Keys("another"))
    db.run(engine, lambda tx: connections.add(tx, box, newer, replace=True))
    assert db.run(engine, connections.account, box, source) == newer
    assert db.run(engine, connections.remove, "models") == ()
    assert db.run(engine, connections.account, box, source) is None
    with pytest.raises(NotFound):
        db.run(engine, connections.remove, "models")


def test_a_connection_knows_who_uses_it(engine: Engine, box: SecretBox) -> None:
    service = a_service()
    version = replace(service.current, source=OssSource("my-models", "llama/"))
    db.run(engine, services.add, replace(service, current=version))
    db.run(engine, connections.add, box, Account(OSS, KEYS))
    assert db.run(engine, connections.used_by, OSS) == (service.name,)
    assert db.run(engine, connections.remove, "models") == (service.name,)


@pytest.mark.parametrize(
    "account",
    [
        Account(OSS, Keys()),
        Account(replace(OSS, access_key_id=""), KEYS),
        Account(OSS, Keys("two\nlines")),
        Account(OSS, Keys("x" * 5000)),
    ],
    ids=["no secret", "no key", "two lines", "too long"],
)
def test_keys_that_cannot_be_are_refused(engine: Engine, box: SecretBox, account: Account) -> None:
    with pytest.raises(Invalid) as caught:
        db.run(engine, connections.add, box, account)
    assert "two" not in str(caught.value)
    assert db.run(engine, connections.everything) == ()


# --- for whom -----------------------------------------------------------------------------------------------

BOUND = replace(OSS, workspaces=("team-a", "team-b"))
TENANT = Principal(ACCOUNT, "200000000000000001", USER, "anna")


def in_workspace(workspace: str, source: Source | None) -> Service:
    service = a_service(workspace=workspace)
    return replace(service, current=replace(service.current, source=source))


def test_a_connection_may_be_kept_for_workspaces(engine: Engine, box: SecretBox) -> None:
    db.run(engine, connections.add, box, Account(BOUND, KEYS))
    assert db.run(engine, connections.existing, "models") == BOUND
    source = OssSource("my-models", "llama/")
    for workspace, reached in (("team-a", True), ("team-b", True), ("team", False), ("", False)):
        assert BOUND.reaches(workspace) is reached
        assert (kept_from(source, workspace, (BOUND,)) is None) is reached
    assert OSS.reaches("") and OSS.reaches("team-c")
    younger = replace(OSS, name="younger", created=T0 + 1)
    assert kept_from(source, "team-c", (younger, BOUND)) == BOUND, "the oldest one decides for whom"
    assert kept_from(FolderSource("/x"), "team-c", (BOUND,)) is None
    assert db.run(engine, rows.of_workspace, "team-a") == ("models",)
    assert db.run(engine, rows.of_workspace, "team") == ()
    for workspace, users in (("team-a", 1), ("team-c", 0)):
        stranger = in_workspace(workspace, source)
        stranger = replace(stranger, id=f"{users:032x}", name=f"svc_{users}")
        db.run(engine, services.add, stranger)
    assert db.run(engine, connections.used_by, BOUND) == ("svc_1",)


@pytest.mark.parametrize("actor", [ROOT, TENANT], ids=["account", "tenant"])
def test_law_what_is_kept_for_others_looks_like_what_nobody_connected(
    engine: Engine, box: SecretBox, actor: Principal
) -> None:
    def judged(before: Service | None, after: Service) -> str:
        try:
            db.run(engine, connections.demand, actor, before, after)
        except Invalid as error:
            return str(error)
        return ""

    theirs, nobodys = OssSource("my-models", "x"), OssSource("no-bucket", "x")
    for source in (theirs, nobodys, None, FolderSource("/x")):
        assert judged(None, in_workspace("team-c", source)) == "", "nothing is bound: it may wait"
    db.run(engine, connections.add, box, Account(BOUND, KEYS))
    assert judged(None, in_workspace("team-a", theirs)) == ""
    refused = judged(None, in_workspace("team-c", theirs))
    assert "[oss://my-models]" in refused and "team-" not in refused
    waits = judged(None, in_workspace("team-c", nobodys))
    if actor is TENANT:
        assert waits.replace("no-bucket", "my-models") == refused, "a guess tells nothing"
    else:
        assert waits == "", "the account may name a bucket before it connects it"
    mine = in_workspace("team-a", theirs)
    assert judged(mine, replace(mine, workspace="team-c")) == refused, "moved out"
    assert judged(in_workspace("team-c", None), in_workspace("team-c", theirs)) == refused
    stranded = in_workspace("team-c", theirs)
    assert judged(stranded, replace(stranded, replicas=3)) == "", "what it has stays as it is"


@pytest.mark.parametrize("workspace", ["", "a b", "../x", "x" * 65, "a\nb"])
def test_a_connection_is_bound_to_what_can_be_a_workspace(workspace: str) -> None:
    with pytest.raises(Invalid):
        check(replace(OSS, workspaces=("fine", workspace)))


# --- secrets ------------------------------------------------------------------------------------------------


def test_a_sealed_secret_tells_nothing_and_opens_only_under_its_name(box: SecretBox) -> None:
    sealed = box.seal("models", KEYS)
    assert KEYS.secret.encode() not in sealed
    assert box.seal("models", KEYS) != sealed, "nobody sees that two secrets are the same"
    assert box.open("models", sealed) == KEYS
    flipped = bytes([*sealed[:-1], sealed[-1] ^ 1])
    for name, opener, found in (
        ("other", box, sealed),
        ("models", SecretBox(bytes(32)), sealed),
        ("models", box, flipped),
        ("models", box, b"short"),
    ):
        with pytest.raises(Unavailable, match="add it again"):
            opener.open(name, found)


def test_the_database_holds_no_secret(tmp_path: Path, box: SecretBox) -> None:
    url = db.sqlite_url(tmp_path / "pierhead.db")
    schema.migrate(url)
    made = db.connect(url, writing=True, box=BOX)
    db.run(made, connections.add, box, Account(OSS, KEYS))
    sealed = db.run(made, rows.sealed, "models")
    made.dispose()
    files = list(tmp_path.iterdir())
    content = b"".join(file.read_bytes() for file in files)
    assert sealed is not None and sealed in content
    for word in (KEYS.secret, KEYS.token):
        assert word.encode() not in content
        assert word not in repr(Account(OSS, KEYS))


def test_the_key_file_is_the_owners_alone(tmp_path: Path) -> None:
    key = storage_key(tmp_path)
    assert len(key) == 32
    assert storage_key(tmp_path) == key
    assert stat.S_IMODE((tmp_path / "run" / "storage.key").stat().st_mode) == 0o600


# --- the command line ---------------------------------------------------------------------------------------


def cli(tmp_path: Path, *words: str, secret: str | None = None) -> tuple[int, str]:
    done = CliRunner().invoke(
        app, ["storage", *words, "--data-dir", str(tmp_path)], input=secret, catch_exceptions=True
    )
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return 1, str(done.exception)
    return done.exit_code, done.output


ADD = ("add", "oss", "models", "--bucket", "my-models", "--endpoint", "http://127.0.0.1:9")
MORE = ("--region", "cn-shanghai", "--access-key-id", "AK", "--access-key-secret-file", "-")


def test_the_verbs_add_list_show_and_remove(tmp_path: Path) -> None:
    code, output = cli(tmp_path, *ADD, *MORE, "--allow-private", secret="s3cr3t-word\n")
    assert code == 0, output
    code, output = cli(
        tmp_path,
        "add",
        "nas",
        "team",
        "--mount-target",
        "t.example",
        "--nfs",
        "h:/e,port=1",
        "--json",
    )
    assert code == 0 and json.loads(output)["nfs"] == "h:/e,port=1"
    code, output = cli(tmp_path, "list", "--json")
    found = json.loads(output)
    assert [(each["name"], each["serves"]) for each in found] == [
        ("models", "oss://my-models"),
        ("team", "nas://t.example"),
    ]
    code, shown = cli(tmp_path, "show", "models")
    assert "s3cr3t-word" not in output + shown
    assert "allow_private  yes" in shown
    assert cli(tmp_path, "remove", "models")[0] == 0
    code, problem = cli(tmp_path, "show", "models")
    assert code == 1 and "[models] does not exist" in problem


@pytest.mark.parametrize(
    ("endpoint", "flags", "words"),
    [
        ("http://127.0.0.1:9", (), "127.0.0.1 is a loopback address. If it is meant, add it again"),
        ("http://[::1]:9", (), "--allow-private"),
        ("http://127.0.0.1:9", ("--allow-private",), "Try it: pierhead storage test models"),
        ("http://100.100.100.200", ("--allow-private",), "where no connection may lead"),
        ("https://oss.example.com", (), "Try it: pierhead storage test models"),
    ],
)
def test_adding_says_what_comes_next(
    tmp_path: Path, endpoint: str, flags: tuple[str, ...], words: str
) -> None:
    given = (*ADD[:-1], endpoint, *MORE, *flags)
    code, output = cli(tmp_path, *given, secret="word\n")
    assert code == 0, output
    assert words in output
    assert ("Try it" in output) == ("Try it" in words)


def test_a_second_connection_to_the_same_bucket_is_told_which_one_counts(tmp_path: Path) -> None:
    assert cli(tmp_path, *ADD, *MORE, secret="word\n")[0] == 0
    second = ("add", "oss", "newer", *ADD[3:], *MORE)
    code, output = cli(tmp_path, *second, secret="word\n")
    assert code == 0, output
    assert "is served by the storage connection newer" not in output
    assert "oss://my-models is served by the older one of them still: models." in output


def test_an_endpoint_may_end_with_a_slash_and_a_file_holds_the_secret(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("word\n")
    words = ("add", "s3", "m", "--bucket", "bkt", "--endpoint", "https://s3.example.com/")
    keys = ("--region", "r1", "--access-key-id", "AK", "--access-key-secret-file", str(secret))
    code, output = cli(tmp_path, *words, *keys, "--json")
    assert code == 0, output
    assert json.loads(output)["endpoint"] == "https://s3.example.com"
    secret.write_bytes(b"\xff\xfe")
    code, output = cli(tmp_path, *words, *keys, "--replace")
    assert code == 1 and "holds no text" in output
    secret.unlink()
    code, output = cli(tmp_path, *words, *keys, "--replace")
    assert code == 1 and "No such file" in output


def test_the_verbs_bind_to_workspaces_and_show_it(tmp_path: Path) -> None:
    bound = ("--workspace", "team-a", "--workspace", "team-b", "--workspace", "team-a")
    code, output = cli(tmp_path, *ADD, *MORE, *bound, secret="word\n")
    assert code == 0, output
    code, output = cli(tmp_path, "show", "models", "--json")
    assert json.loads(output)["workspaces"] == ["team-a", "team-b"]
    code, output = cli(tmp_path, "list")
    assert "team-a, team-b" in output
    code, output = cli(tmp_path, *ADD, *MORE, "--replace", secret="word\n")
    assert code == 0, output
    assert "everybody" in cli(tmp_path, "list")[1]
    assert "workspaces" not in cli(tmp_path, "show", "models")[1]
