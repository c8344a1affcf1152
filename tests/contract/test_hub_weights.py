"""Weights from hubs, end to end below the API: settings, connections, what is asked of whom, and what is not."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from registry_world import a_center, a_registered
from typer.testing import CliRunner

from builders import BOX, ROOT, FakeClock, a_service
from hub_double import REPOSITORY, HubDouble, serving
from pierhead.bootstrap.storage import unconnected as public_only
from pierhead.cli.main import app
from pierhead.core.connections import HUBS, Account, Connection, Keys
from pierhead.core.errors import Invalid
from pierhead.core.launch import Files
from pierhead.core.mounts import FolderSource, HubSource, OssSource, Source
from pierhead.core.principals import Principal
from pierhead.core.registry import Model
from pierhead.core.services import Hold
from pierhead.core.specs import BUILT_IN
from pierhead.core.templates import Template
from pierhead.operations import connections, paths
from pierhead.operations.effective import Snapshot, snapshot
from pierhead.operations.secret_box import SecretBox
from pierhead.operations.wishes import DeployWish, Facts
from pierhead.settings import BadSetting, Settings
from pierhead.sources.connected import Connected, Ways
from pierhead.sources.download import Options
from pierhead.sources.model_shapes import ModelShapes, connected_place
from pierhead.sources.snapshots import Snapshots
from pierhead.sources.weights import Places, Weights
from pierhead.store import codec, db, schema
from tiny_gguf import write_tiny_gguf

SPEC = "llama_7b_fp16"
BARE: Template = BUILT_IN[SPEC]
URI = f"hf://{REPOSITORY}"
PATIENCE = 20.0


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_tiny_gguf(file, SPEC)
    return file.read_bytes()


@pytest.fixture
def hub(gguf: bytes) -> Iterator[HubDouble]:
    with serving() as double:
        double.commit({"model.gguf": gguf, "README.md": b"# Tiny"})
        yield double


def same(path: str, content: bytes) -> bool:
    return Path(path).read_bytes() == content


def account(hub: HubDouble) -> Account:
    return Account(Connection("hub", "hf", endpoint=hub.url, allow_private=True), Keys())


class Harness:
    """Weights by the settings, with a connection or without."""

    def __init__(self, folder: Path, uri: str, opens: Account | None) -> None:
        self.opens = opens
        self.clock = FakeClock()
        self.woken = asyncio.Event()
        cache = Snapshots(folder / "remote", self.clock, Options(headroom=0, tries=2, pause=0.001))
        ways = Ways(lambda _: self.opens, cache, cache, folder / "mounts")
        remote = Connected(ways, self.clock, self.woken.set)
        places = Places(folder, folder / "models", {SPEC: uri})
        self.weights = Weights(places, self.clock, self.woken.set, remote)

    async def found(self) -> Files | Hold:
        first = self.weights.ensure(BARE, None)
        if isinstance(first, Hold) and first.progressing:
            return await self._woken()
        return first

    async def later(self) -> Files | Hold:
        """After a time in which nobody asked: it is looked at anew."""
        self.clock.advance(60.0)
        self.weights.ensure(BARE, None)
        return await self._woken()

    async def _woken(self) -> Files | Hold:
        await asyncio.wait_for(self.woken.wait(), PATIENCE)
        self.woken.clear()
        return self.weights.ensure(BARE, None)


def test_a_setting_may_name_a_repository(hub: HubDouble, gguf: bytes, tmp_path: Path) -> None:
    async def go() -> None:
        harness = Harness(tmp_path, URI, account(hub))
        files = await harness.found()
        assert isinstance(files, Files)
        assert same(files.model, gguf)
        asked = len(hub.log)
        assert await harness.found() == files
        assert len(hub.log) == asked

    asyncio.run(go())


def test_without_permission_no_hub_is_asked_and_what_was_fetched_serves(
    hub: HubDouble, tmp_path: Path
) -> None:
    async def go() -> None:
        harness = Harness(tmp_path, URI, None)
        hold = await harness.found()
        assert isinstance(hold, Hold)
        assert (hold.reason, hold.permanent) == ("StorageNotConnected", True)
        assert "hubs.online = true" in hold.message
        assert "pierhead storage add hf NAME" in hold.message
        harness.opens = account(hub)
        files = await harness.later()
        assert isinstance(files, Files)
        harness.opens, asked = None, len(hub.log)
        assert await harness.later() == files
        assert len(hub.log) == asked, "nobody was asked"

    asyncio.run(go())


def test_a_hub_that_does_not_answer_is_done_without(hub: HubDouble, tmp_path: Path) -> None:
    async def go() -> None:
        harness = Harness(tmp_path, URI, account(hub))
        files = await harness.found()
        hub.instead = [("", 503, {})] * 20
        assert await harness.later() == files

    asyncio.run(go())


def test_several_models_are_told_with_their_names(hub: HubDouble, tmp_path: Path) -> None:
    hub.commit({"a-Q4.gguf": b"4", "a-Q8.gguf": b"8"})

    async def go() -> None:
        hold = await Harness(tmp_path, URI, account(hub)).found()
        assert isinstance(hold, Hold)
        assert f"{URI}/a-Q4.gguf" in hold.message and "a-Q8.gguf (1 B)" in hold.message

    asyncio.run(go())


def test_headers_are_read_by_ranges(hub: HubDouble, gguf: bytes, tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path / "models", {SPEC: URI})
    shapes = ModelShapes(connected_place(places, lambda _: account(hub), time.time))
    found = shapes.shape(BARE, None)
    assert found is not None and found.architecture == "llama"
    assert [each.headers["range"] for each in hub.file_log] == ["bytes=0-16383"]
    assert shapes.shape(BARE, HubSource("huggingface", REPOSITORY)) == found


# --- connections and settings -------------------------------------------------------------------------------


def test_public_hubs_are_asked_only_where_the_setting_says_so(tmp_path: Path) -> None:
    url, box = db.sqlite_url(tmp_path / "p.db"), SecretBox(bytes(32))
    schema.migrate(url)
    engine = db.connect(url, writing=True, box=BOX)

    def opens(source: Source, *, online: bool) -> Account | None:
        return db.run(engine, lambda tx: connections.account(tx, box, source, online=online))

    hub = HubSource("modelscope", "a/b")
    assert opens(hub, online=False) is None
    assert opens(OssSource("bucket", ""), online=True) is None
    found = opens(hub, online=True)
    assert found is not None
    assert (found.connection.endpoint, found.keys) == (HUBS["modelscope"], Keys())
    own = Account(Connection("ms", "modelscope", endpoint="http://10.0.0.9/hub"), Keys(token="t-1"))
    db.run(engine, connections.add, box, own)
    assert opens(hub, online=True) == opens(hub, online=False) == own
    for token in ("two words", "a;b=c", "a\nb", "é"):
        bad = replace(own, connection=replace(own.connection, name="x"), keys=Keys(token=token))
        with pytest.raises(Invalid, match="token"):
            db.run(engine, connections.add, box, bad)
    engine.dispose()


def test_before_the_first_start_only_public_hubs_can_be_asked(tmp_path: Path) -> None:
    hub = HubSource("huggingface", "a/b")
    assert public_only(Settings(data_dir=tmp_path))(hub) is None
    online = public_only(Settings(data_dir=tmp_path, hubs_online=True))
    found = online(hub)
    assert found is not None and found.connection.endpoint == HUBS["hf"]
    assert online(OssSource("bucket", "")) is None


def test_a_uri_in_the_settings_is_kept_as_it_is_and_checked(tmp_path: Path) -> None:
    environ = {"PIERHEAD_WEIGHTS": "a=hf://org/name@v1/x.gguf, b=~/b.gguf"}
    found = Settings.load({"data_dir": tmp_path}, environ)
    assert dict(found.weights) == {
        "a": "hf://org/name@v1/x.gguf",
        "b": str(Path("~/b.gguf").expanduser()),
    }
    assert found.hubs_online is False
    with pytest.raises(BadSetting, match=r"weights .*environment.*hf://ORG/NAME"):
        Settings.load({"data_dir": tmp_path}, {"PIERHEAD_WEIGHTS": "a=hf://only-one"})


def test_a_version_keeps_where_its_model_comes_from() -> None:
    version = replace(a_service().current, source=HubSource("huggingface", "a/b", "v1", "x.gguf"))
    assert codec.read_version(codec.text(codec.version, version)) == version


# --- registered models --------------------------------------------------------------------------------------

CENTER = a_center(uuid="c", url="file:///srv/models")


def a_model(path: str) -> Model:
    return Model("m", "weights", path, "c", "", created=0.0, updated=0.0)


def taken(path: str, model: str | None = None) -> Snapshot:
    """The snapshot of a template with this installPath, and a model with that one."""
    served: dict[str, Any] = (
        {} if model is None else {"model": a_model(model), "model_center": CENTER}
    )
    facts = Facts(service="svc", center=CENTER, **served)
    return snapshot(a_registered(install_path=path), DeployWish(name="svc"), facts)


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("hf://a/b@v1", HubSource("huggingface", "a/b", "v1")),
        ("modelscope://a/b/x.gguf", HubSource("modelscope", "a/b", "", "x.gguf")),
        ("oss://my-models/llama/", OssSource("my-models", "llama/")),
    ],
)
def test_an_install_path_may_name_a_store_or_a_hub(uri: str, source: Source) -> None:
    assert taken("chat", uri).source == source
    assert taken("chat", uri).template.source == source
    alone = taken(uri)
    assert (alone.source, alone.template.workdir, alone.notices) == (source, "", ())
    both = taken(uri, "llama")
    assert both.source == FolderSource("/srv/models/llama")
    assert [notice.reason for notice in both.notices] == ["ParameterHasNoEffect"]
    assert paths.resolve(CENTER, uri) is None, "nothing of it is measured or copied here"


def test_everybody_may_name_a_store_and_nobody_a_crooked_one() -> None:
    anna = Principal(account=ROOT.account, id="user/anna", kind="user")
    paths.check(anna, CENTER, "hf://a/b", (), "installPath")
    for path in ("hf://a", "hf://a/b/../c", "oss://BUCKET/x", "s3://b@c/d"):
        with pytest.raises(Invalid) as caught:
            paths.check(ROOT, CENTER, path, (), "installPath")
        assert caught.value.field == "installPath"
        assert paths.resolve(CENTER, path) is None


# --- the command line ---------------------------------------------------------------------------------------


def cli(tmp_path: Path, *words: str, given: str | None = None) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["storage", *words, "--data-dir", str(tmp_path)], input=given)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return 1, str(done.exception)
    return done.exit_code, done.output


def test_a_hub_is_added_and_tried(hub: HubDouble, tmp_path: Path) -> None:
    hub.token = "hf_secret"
    where = ("--endpoint", f"{hub.url}/", "--allow-private")
    code, output = cli(tmp_path, "add", "hf", "mine", *where, "--token-stdin", given="hf_secret\n")
    assert code == 0, output
    assert output.splitlines() == [
        "hf:// is served by the storage connection mine now.",
        "Try it: pierhead storage test mine hf://ORG/NAME",
    ]
    code, output = cli(tmp_path, "test", "mine", URI)
    assert code == 0, output
    assert "model.gguf" in output and f"{URI}: 2 files" in output
    code, output = cli(tmp_path, "test", "mine", f"{URI}/*.gguf", "--json")
    assert [each["name"] for each in json.loads(output)["files"]] == ["model.gguf"]
    code, shown = cli(tmp_path, "show", "mine", "--json")
    assert json.loads(shown)["endpoint"] == hub.url
    assert "hf_secret" not in shown
    for words, problem in (
        (("test", "mine"), "hf://org/name"),
        (("test", "mine", "oss://bucket/a"), "what begins with hf://"),
        (("test", "mine", "hf://x"), "not valid"),
        (("test", "other", URI), "[other] does not exist"),
        (("add", "hf", "bad", *where, "--token-stdin"), "token"),
    ):
        code, output = cli(tmp_path, *words, given="two words\n")
        assert code == 1 and problem in output, output


def test_a_public_hub_needs_no_more_than_a_name(tmp_path: Path) -> None:
    code, output = cli(tmp_path, "add", "modelscope", "ms", "--json")
    assert code == 0, output
    assert json.loads(output)["endpoint"] == "https://modelscope.cn"
    assert json.loads(output)["serves"] == "modelscope://"


def test_a_folder_that_is_mounted_is_tried_too(tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    (share / "a.gguf").write_bytes(b"abc")
    target = ("--mount-target", "t.example", "--local-path", str(share))
    assert cli(tmp_path, "add", "nas", "team", *target)[0] == 0
    code, output = cli(tmp_path, "test", "team", "--json")
    assert code == 0, output
    assert json.loads(output)["files"] == [{"name": "a.gguf", "bytes": 3}]
