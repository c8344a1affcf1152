"""NAS: where it is mounted, mounted by us, or read over NFS from a real server; and what is no way in."""

import asyncio
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builders import FakeClock
from nfs_server import NfsServer, nfs_server
from pierhead.core.connections import Account, Connection, Keys
from pierhead.core.launch import Files
from pierhead.core.manifest import Entry
from pierhead.core.mounts import FolderSource, NasSource
from pierhead.core.services import Hold
from pierhead.core.templates import Template
from pierhead.sources import connected, nas
from pierhead.sources.connected import HANGS, QUIET, RETRY_AFTER, SILENT, Connected, Ways
from pierhead.sources.download import Options
from pierhead.sources.fetching import Deaf, Heard
from pierhead.sources.glances import Glances
from pierhead.sources.nfs import WHOLE_FILES, NfsRemote
from pierhead.sources.remote import Changed, Denied, Flaky, Missing, Rejected
from pierhead.sources.snapshots import Snapshots
from pierhead.sources.weights import Places, Weights

TARGET = "317d14abcd.cn-shanghai.nas.example.com"
BARE = Template(name="bare", engine="llama_cpp")
PATIENCE = 20.0


def source(path: str) -> NasSource:
    return NasSource(TARGET, path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A mounted file system, and next to it what nobody may reach through it."""
    root = tmp_path / "mnt"
    (root / "models" / "llama").mkdir(parents=True)
    (root / "models" / "llama" / "model.gguf").write_bytes(b"GGUF weights")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key.gguf").write_bytes(b"secret")
    return root


# --- confined below the root --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/models/llama", "models/llama/", "/models//llama", "/"])
def test_a_path_is_found_below_the_root(root: Path, path: str) -> None:
    found = nas.folder(root, source(path))
    assert found == root / path.strip("/").replace("//", "/")


def test_the_root_may_itself_be_reached_by_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert nas.folder(tmp_path / "link", source("/models/llama")) == root / "models" / "llama"


@pytest.mark.parametrize(
    "path", ["/../secret", "/models/../../secret", "/models/llama/../../../secret/key.gguf"]
)
def test_a_path_that_leads_out_is_denied(root: Path, path: str) -> None:
    """Law: a NAS path stays below its root (F31)."""
    with pytest.raises(Denied, match="leads out of"):
        nas.folder(root, source(path))


@pytest.mark.parametrize(
    ("at", "to"),
    [
        ("models/out", "../../secret"),
        ("models/llama/out.gguf", "../../../secret/key.gguf"),
        ("models/llama/deep", "/etc"),
        ("models/llama/dangling", "/nowhere/at/all"),
    ],
)
def test_a_link_that_leads_out_is_denied(root: Path, at: str, to: str) -> None:
    """Law: a link that leads out of the root is not followed (F31)."""
    (root / at).symlink_to(to)
    wanted = "/models/out" if at == "models/out" else "/models/llama"
    with pytest.raises(Denied, match="leads out of") as caught:
        nas.folder(root, source(wanted))
    assert "secret/key" not in str(caught.value)


def test_a_link_that_stays_inside_is_followed(root: Path) -> None:
    (root / "blobs").mkdir()
    (root / "models" / "llama" / "model.gguf").rename(root / "blobs" / "123")
    (root / "models" / "llama" / "model.gguf").symlink_to("../../blobs/123")
    found = nas.folder(root, source("/models/llama"))
    assert (found / "model.gguf").read_bytes() == b"GGUF weights"


def test_what_is_not_there_is_missing(root: Path, tmp_path: Path) -> None:
    with pytest.raises(Missing, match="there is no /models/other below"):
        nas.folder(root, source("/models/other"))
    with pytest.raises(Missing, match="is it mounted"):
        nas.folder(tmp_path / "nowhere", source("/"))


# --- mounted by us ------------------------------------------------------------------------------------------


def connection(**changes: object) -> Connection:
    made = Connection(
        "team", "nas", mount_target=TARGET, nfs="10.0.0.7:/export,port=2050,version=3"
    )
    return replace(made, **changes)  # pyright: ignore[reportArgumentType]


def fake_mount(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """A `mount` that writes down what it is told."""
    folder.mkdir()
    tool = folder / "mount"
    tool.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {folder}/argv\n{script}\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder / "argv"


def test_an_export_is_mounted_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    argv = fake_mount(tmp_path / "bin", monkeypatch, "exit 0")
    point = nas.mounted(connection(), tmp_path / "mounts")
    assert point == tmp_path / "mounts" / "team"
    assert argv.read_text().splitlines() == [
        "-t",
        "nfs",
        "-o",
        "vers=3,ro,nolock,proto=tcp,hard,timeo=600,retrans=2,noresvport,rsize=1048576,port=2050",
        "10.0.0.7:/export",
        str(point),
    ]
    assert nas.mount_command(connection(nfs="h:/"), point)[4:] == [
        "vers=4.0,ro,nolock,proto=tcp,hard,timeo=600,retrans=2,noresvport,rsize=1048576,port=2049",
        "h:/",
        str(point),
    ]


def test_a_mount_that_fails_tells_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_mount(tmp_path / "bin", monkeypatch, "echo 'mount.nfs: No such device' >&2; exit 32")
    with pytest.raises(Flaky, match="No such device"):
        nas.mounted(connection(), tmp_path / "mounts")


# --- what a service is told ---------------------------------------------------------------------------------


class Harness:
    """Weights over connections, with a clock of their own."""

    def __init__(
        self,
        folder: Path,
        account: Account | None,
        *,
        mount: bool = False,
        heard: Heard | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.account = account
        self.woken = asyncio.Event()
        cache = folder / "cache" / "remote"
        options = Options(part_bytes=WHOLE_FILES, headroom=0, tries=2, pause=0.001)
        ways = Ways(
            find=lambda _: self.account,
            snapshots=Snapshots(cache, self.clock, Options(headroom=0)),
            whole_files=Snapshots(cache, self.clock, options),
            mounts=folder / "mounts",
            mount=mount,
            heard=heard or Deaf(),
        )
        remote = Connected(ways, self.clock, self.woken.set)
        places = Places(folder / "cache", folder / "models", {})
        self.weights = Weights(places, self.clock, self.woken.set, remote)

    def look(self, path: str = "/models/llama") -> Files | Hold:
        return self.weights.ensure(BARE, source(path))

    async def wake(self) -> None:
        await asyncio.wait_for(self.woken.wait(), PATIENCE)
        self.woken.clear()

    async def hold(self, path: str = "/models/llama") -> Hold:
        first = self.look(path)
        assert isinstance(first, Hold), first
        if first.progressing:
            await self.wake()
        found = self.look(path)
        assert isinstance(found, Hold), found
        return found

    async def files(self, path: str = "/models/llama") -> Files:
        found = self.look(path)
        if isinstance(found, Hold):
            await self.wake()
            found = self.look(path)
        assert isinstance(found, Files), found
        return found


def mounted_at(root: Path) -> Account:
    return Account(connection(nfs="", local_path=str(root)), Keys())


def test_mounted_weights_are_used_where_they_lie(root: Path, tmp_path: Path) -> None:
    async def go() -> None:
        harness = Harness(tmp_path, mounted_at(root))
        files = await harness.files()
        assert files.model == str(root / "models" / "llama" / "model.gguf")
        assert harness.look() == files
        one = await harness.files("/models/llama/model.gguf")
        assert one.model == files.model

    asyncio.run(go())


def test_a_connection_that_comes_later_is_noticed_without_a_flicker(
    root: Path, tmp_path: Path
) -> None:
    async def go() -> None:
        harness = Harness(tmp_path, None)
        hold = await harness.hold()
        assert (hold.reason, hold.permanent) == ("StorageNotConnected", True)
        assert f"pierhead storage add nas NAME --mount-target {TARGET}" in hold.message
        harness.account = mounted_at(root)
        assert harness.look() == hold, "its time has not come yet"
        harness.clock.advance(RETRY_AFTER)
        assert harness.look() == hold, "while it is tried again, the cause is still shown"
        await harness.wake()
        assert isinstance(harness.look(), Files)

    asyncio.run(go())


@pytest.mark.parametrize(
    ("path", "reason", "word"),
    [
        ("/models/other", "WeightsMissing", "there is no /models/other"),
        ("/models/../../secret", "StorageDenied", "leads out"),
        ("/models", "WeightsMissing", "no GGUF model"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    root: Path, tmp_path: Path, path: str, reason: str, word: str
) -> None:
    async def go() -> None:
        hold = await Harness(tmp_path, mounted_at(root)).hold(path)
        assert (hold.reason, hold.permanent) == (reason, True)
        assert word in hold.message

    asyncio.run(go())


def test_a_later_start_sees_what_was_changed_meanwhile(root: Path, tmp_path: Path) -> None:
    async def go() -> None:
        harness = Harness(tmp_path, mounted_at(root))
        first = await harness.files()
        moved = tmp_path / "moved"
        root.rename(moved)  # noqa: ASYNC240 - at once
        harness.account = mounted_at(moved)
        harness.clock.advance(QUIET / 2)
        assert not isinstance(harness.look(), Files), "its folder is gone"
        harness.clock.advance(QUIET)
        later = await harness.files()
        assert later != first
        assert later.folder.startswith(str(moved))

    asyncio.run(go())


def test_a_file_system_that_hangs_blocks_nobody(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: a file system that hangs is asked aside (F20)."""

    def hang(*_: object) -> Path:
        time.sleep(60)
        return root

    monkeypatch.setattr(connected.nas, "folder", hang)

    async def go() -> None:
        harness = Harness(tmp_path, mounted_at(root))
        began = time.monotonic()
        first = harness.look()
        assert isinstance(first, Hold)
        assert first.reason == "FetchingWeights"
        await asyncio.sleep(0)
        deadline = time.monotonic() + PATIENCE
        harness.clock.advance(HANGS + 1)
        while (found := harness.look()) and time.monotonic() < deadline:
            assert isinstance(found, Hold)
            if found.reason == "StorageHangs":
                break
            await asyncio.sleep(0.01)
        assert isinstance(found, Hold)
        assert (found.reason, found.progressing) == ("StorageHangs", False)
        assert str(root) in found.message
        assert time.monotonic() - began < 5

    asyncio.run(go())


def test_a_look_that_hangs_is_not_waited_for_twice() -> None:
    looks: list[str] = []
    glances: Glances[str] = Glances(patience=0.05)
    reading, writing = os.pipe()

    def look() -> str:
        looks.append("begun")
        return os.read(reading, 1).decode()

    began = time.monotonic()
    assert all(glances.at("x", look) is None for _ in range(50))
    assert time.monotonic() - began < 2
    os.write(writing, b"y")
    deadline = time.monotonic() + PATIENCE
    while (found := glances.at("x", look)) is None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert (found, looks) == ("y", ["begun"])
    os.close(reading)
    os.close(writing)


def test_a_plain_folder_is_looked_at_in_the_same_way(root: Path, tmp_path: Path) -> None:
    weights = Harness(tmp_path, None).weights
    found = weights.ensure(BARE, FolderSource(str(root / "models" / "llama")))
    assert isinstance(found, Files)


# --- over NFS, from a real server ---------------------------------------------------------------------------

BIG = os.urandom(3_000_000)


def account_of(server: NfsServer) -> Account:
    return Account(connection(nfs=server.address), Keys())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NfsServer]:
    folder = tmp_path / "nfs"
    llama = folder / "export" / "models" / "llama"
    (llama / "sub").mkdir(parents=True)
    (llama / "model.gguf").write_bytes(BIG)
    (llama / "sub" / "a b%20é.txt").write_text("odd")
    (llama / "empty.txt").touch()
    (llama / "link.gguf").symlink_to("/etc/passwd")
    with nfs_server(folder) as server:
        yield server


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_a_folder_is_copied_once_over_nfs(server: NfsServer, tmp_path: Path) -> None:
    async def go() -> None:
        harness = Harness(tmp_path, account_of(server))
        files = await harness.files()
        folder = Path(files.folder)
        assert (folder / "model.gguf").read_bytes() == BIG
        assert (folder / "sub" / "a b%20é.txt").read_text() == "odd"
        assert (folder / "empty.txt").read_bytes() == b""
        assert not (folder / "link.gguf").exists(), "a link is left out"
        assert folder.is_relative_to(tmp_path / "cache")
        assert (folder / "model.gguf").stat().st_mode & 0o222 == 0
        again = Harness(tmp_path, account_of(server))
        assert (await again.files()).folder == files.folder
        missing = await again.hold("/models/other")
        assert (missing.reason, missing.permanent) == ("WeightsMissing", True)

    asyncio.run(go())


def test_a_server_that_vanished_leaves_what_was_copied(server: NfsServer, tmp_path: Path) -> None:
    async def go() -> None:
        first = await Harness(tmp_path, account_of(server)).files()
        server.vanish()
        assert (await Harness(tmp_path, account_of(server)).files()).folder == first.folder
        hold = await Harness(tmp_path, account_of(server)).hold("/models")
        assert (hold.reason, hold.permanent) == ("WeightsUnavailable", False)
        assert str(server.port) in hold.message

    asyncio.run(go())


def test_a_server_that_hangs_is_given_up(server: NfsServer) -> None:
    """Law: an NFS server that is silent is given up after its deadline (F20)."""
    remote = NfsRemote(account_of(server).connection, source("/models/llama"), patience=0.5)
    (model,) = [entry for entry in remote.listing().entries if entry.key == "model.gguf"]
    assert b"".join(remote.read(model, 1000, 500)) == BIG[1000:1500]
    server.hang()
    began = time.monotonic()
    with pytest.raises(Flaky, match=r"does not answer for 0\.5 s"):
        list(remote.read(model, 0, model.size))
    assert time.monotonic() - began < 5


def test_names_that_cannot_be_read_and_tools_that_are_not_there(
    server: NfsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = NfsRemote(account_of(server).connection, source("/models/llama"))
    (server.export / "models" / "llama" / "what?.txt").write_text("x")
    (entry,) = [entry for entry in remote.listing().entries if "?" in entry.key]
    with pytest.raises(Rejected, match="question mark"):
        list(remote.read(entry, 0, 1))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Rejected, match="install libnfs-utils"):
        remote.listing()


def test_a_server_that_is_silent_is_said_to_be(server: NfsServer, tmp_path: Path) -> None:
    """Law: while it is tried again, for minutes, whoever waits is told what they wait for."""

    async def go() -> None:
        server.hang()
        harness = Harness(tmp_path, account_of(server))
        first = harness.look()
        assert isinstance(first, Hold)
        assert "nothing has come" not in first.message
        harness.clock.advance(SILENT / 2)
        harness.look()
        harness.clock.advance(SILENT + 1)
        hold = harness.look()
        assert isinstance(hold, Hold)
        assert (hold.reason, hold.progressing) == ("FetchingWeights", True)
        assert re.fullmatch(
            r"(connecting|listing) \(nas://\S+\), for 13 s; nothing has come for \d+ s, it tries again\.",
            hold.message,
        )
        server.go_on()
        assert isinstance(await harness.files(), Files)

    asyncio.run(go())


def test_an_end_that_nobody_foresaw_is_told_and_tried_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Path:
        raise ZeroDivisionError

    logged: list[object] = []

    def log(found: threading.ExceptHookArgs) -> None:
        logged.append(found.exc_type)

    monkeypatch.setattr(threading, "excepthook", log)

    async def go() -> None:
        harness = Harness(tmp_path, mounted_at(root))
        with monkeypatch.context() as patched:
            patched.setattr(connected.nas, "folder", fail)
            hold = await harness.hold()
        assert (hold.reason, hold.permanent) == ("WeightsUnavailable", False)
        assert "see the hub's log" in hold.message
        harness.clock.advance(RETRY_AFTER)
        harness.look()
        await harness.wake()
        assert isinstance(harness.look(), Files)

    asyncio.run(go())
    wait_until(lambda: logged == [ZeroDivisionError], "it is logged")


def test_a_fetch_says_its_size_when_it_begins_and_what_came_when_it_ends(
    server: NfsServer, tmp_path: Path
) -> None:
    class Ears:
        def __init__(self) -> None:
            self.bytes, self.ends = 0, list[tuple[str, bool]]()

        def fetching(self, kind: str, count: int) -> None:
            assert kind == "nas"
            self.bytes += count

        def fetched(self, kind: str, seconds: float, *, failed: bool) -> None:
            assert seconds >= 0
            self.ends.append((kind, failed))

    async def go() -> None:
        ears = Ears()
        harness = Harness(tmp_path, account_of(server), heard=ears)
        files = await harness.files()
        (note,) = files.notices
        assert note.reason == "WeightsFetched"
        assert not note.warning
        assert note.message.startswith(f"{source('/models/llama')}: 2.9 MiB came in 0.0 s")
        assert (ears.bytes, ears.ends) == (files.bytes + len("odd"), [("nas", False)])
        again = Harness(tmp_path, account_of(server), heard=ears)
        assert (await again.files()).notices == (), "all was there"
        assert len(ears.ends) == 1

    asyncio.run(go())


@pytest.mark.parametrize("more", [1, 4, 100_000, 2_000_000])
def test_what_grows_while_it_is_read_is_not_taken(server: NfsServer, more: int) -> None:
    remote = NfsRemote(account_of(server).connection, source("/models/llama"))
    listed = Entry("model.gguf", len(BIG) - more)  # as it was when it was listed
    assert b"".join(remote.read(listed, 0, 100)) == BIG[:100], "a header is read all the same"
    got = 0
    with pytest.raises(Changed, match="grows while it is read"):
        for piece in remote.read(listed, 0, listed.size):
            got += len(piece)
    assert got < listed.size, "so that it never counts as whole"
