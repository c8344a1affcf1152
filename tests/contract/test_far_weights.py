"""Weights for replicas on other machines: what a hub tells of them without a byte of theirs, and `pierhead fetch`."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest

import s3_double
from builders import FakeClock
from commands import pierhead
from demo_weights import demo_model
from oss_double import OssDouble
from pierhead.cli import fetch as verb
from pierhead.core.connections import Account, Connection, Keys
from pierhead.core.fetches import ACCOUNT, Fetch, read_account, read_source, written
from pierhead.core.launch import Files
from pierhead.core.mounts import (
    FolderSource,
    HubSource,
    NasSource,
    OssSource,
    PackageSource,
    S3Source,
    Source,
)
from pierhead.core.services import Hold
from pierhead.core.specs import BUILT_IN
from pierhead.core.templates import Template
from pierhead.sources.connected import Connected, Ways
from pierhead.sources.far_weights import FarWeights, Looks, Machines
from pierhead.sources.snapshots import Snapshots
from pierhead.sources.weights import Places
from s3_double import Store, serving

BUCKET = OssSource("weights", "llama/")
BARE = BUILT_IN["llama_7b_fp16"]
MINUTE = 60.0


@pytest.fixture
def double(tmp_path: Path) -> Iterator[OssDouble]:
    root = tmp_path / "store"
    (root / "weights").mkdir(parents=True)
    with OssDouble(root) as made:
        yield made


def account(double: OssDouble) -> Account:
    connection = Connection(
        "store", "oss", "weights", double.url, "cn-test", "AKTEST", allow_private=True
    )
    return Account(connection, Keys("SKTEST"))


# ---- what is handed to the container that fetches ----------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        BUCKET,
        S3Source("we.ights", "a b"),
        NasSource("nas-1.example", "/models/llama"),
        HubSource("huggingface", "org/name", "a/b", "x.gguf"),
        FolderSource("/models/with space"),
        BUILT_IN["smollm2_135m_int8"].source,
    ],
)
def test_a_source_comes_out_as_it_went_in(source: Source) -> None:
    assert read_source(written(source)) == source


def test_what_opens_a_store_is_in_the_environment_alone() -> None:
    opens = Account(
        Connection("store", "oss", "weights", access_key_id="AK", workspaces=("w",)),
        Keys("SECRET", "TOKEN"),
    )
    fetch = Fetch(BUCKET, "/cache/key", opens)
    assert fetch.arguments == ("fetch", "oss://weights/llama/", "--into", "/cache/key")
    assert read_account(fetch.variables) == opens
    assert not any(word in repr(fetch) for word in ("SECRET", "TOKEN"))


# ---- pierhead fetch ----------------------------------------------------------------------------


def fetch(wanted: Fetch) -> "subprocess.CompletedProcess[str]":
    return pierhead(*wanted.arguments, env={**os.environ, **wanted.variables})


@pytest.fixture
def store() -> Iterator[Store]:
    with serving() as made:
        yield made


def of(store: Store, secret: str = s3_double.SECRET) -> Account:
    connection = Connection(
        "s3", "s3", s3_double.BUCKET, store.url, s3_double.REGION, s3_double.KEY, allow_private=True
    )
    return Account(connection, Keys(secret))


def test_all_of_it_is_shown_at_once_and_nothing_comes_twice(store: Store, tmp_path: Path) -> None:
    content = store.objects["llama/model.gguf"] = os.urandom(300_000)
    source = S3Source(s3_double.BUCKET, "llama/")
    wanted = Fetch(source, str(tmp_path / "node" / "key"), of(store))
    first = fetch(wanted)
    assert (first.returncode, first.stderr) == (verb.DONE, "")
    model = tmp_path / "node" / "key" / "files" / "model.gguf"
    assert model.read_bytes() == content
    store.log.clear()
    assert fetch(wanted).returncode == verb.DONE
    assert not any("model.gguf" in asked for asked, _ in store.log), "it was there"
    other = store.objects["llama/model.gguf"] = os.urandom(300_000)
    assert fetch(wanted).returncode == verb.DONE
    assert model.read_bytes() == other, "the same path shows what is in the store now"


def test_each_way_to_fail_has_a_code_of_its_own(store: Store, tmp_path: Path) -> None:
    store.objects["llama/model.gguf"] = b"x" * 1000
    source = S3Source(s3_double.BUCKET, "llama/")
    folder = str(tmp_path / "node" / "key")
    denied = fetch(Fetch(source, folder, of(store, "WRONG")))
    assert denied.returncode == verb.REFUSED
    assert "WRONG" not in denied.stderr + denied.stdout
    none = S3Source(s3_double.BUCKET, "none/")
    assert fetch(Fetch(none, folder, of(store))).returncode == verb.REFUSED
    assert fetch(Fetch(source, folder)).returncode == verb.USAGE, "nothing opens it"
    assert fetch(Fetch(FolderSource("/models"), folder)).returncode == verb.USAGE
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    assert fetch(Fetch(source, f"{blocked}/key", of(store))).returncode == verb.DISK
    assert not (tmp_path / "node" / "key" / "files").exists()


@pytest.mark.parametrize(
    ("patience", "tries", "ends"),
    [
        # (code, did anything come, seconds that it takes)
        (0.0, [(verb.AGAIN, False, 1.0)], verb.AGAIN),
        (60.0, [(verb.AGAIN, False, 30.0), (verb.DONE, True, 1.0)], verb.DONE),
        (60.0, [(verb.AGAIN, False, 30.0), (verb.DISK, True, 1.0)], verb.DISK),
        (60.0, [(verb.AGAIN, False, 30.0), (verb.AGAIN, False, 31.0)], verb.AGAIN),
        (60.0, [(verb.AGAIN, True, 90.0), (verb.AGAIN, False, 61.0)], verb.AGAIN),
        (60.0, [(verb.REFUSED, False, 1.0)], verb.REFUSED),
    ],
)
def test_one_with_patience_tries_again_while_anything_comes_and_what_is_final_ends_it(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    patience: float,
    tries: list[tuple[int, bool, float]],
    ends: int,
) -> None:
    clock, left = FakeClock(), list(tries)

    def run(_wanted: Fetch, _stop: Event) -> tuple[int, str, bool]:
        code, came, seconds = left.pop(0)
        clock.advance(seconds)
        return code, "no answer.", came

    monkeypatch.setattr(verb, "_run", run)
    monkeypatch.setattr(verb, "time", SimpleNamespace(monotonic=clock))
    monkeypatch.setattr(verb, "delay", lambda failures, seed: 0.0)
    code, said = verb._patiently(Fetch(BUCKET, "/cache/key"), patience, Event())
    assert (code, said, left) == (ends, "no answer.", [])
    assert capsys.readouterr().err.count("The next try is in") == len(tries) - 1


def test_one_with_patience_that_is_told_to_end_between_two_tries_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stop = Event()
    stop.set()
    monkeypatch.setattr(verb, "_run", lambda _wanted, _stop: (verb.AGAIN, "no answer.", False))
    code, _ = verb._patiently(Fetch(BUCKET, "/cache/key"), 60.0, stop)
    assert code == verb.ENDED


def test_no_patience_waits_for_a_store_that_refuses(store: Store, tmp_path: Path) -> None:
    store.objects["llama/model.gguf"] = b"x" * 1000
    wanted = Fetch(S3Source(s3_double.BUCKET, "llama/"), str(tmp_path / "key"), of(store, "WRONG"))
    environment = {**os.environ, **wanted.variables}
    done = pierhead(*wanted.arguments, "--patience", "600", env=environment)
    assert done.returncode == verb.REFUSED and "next try" not in done.stderr


def test_one_that_is_ended_says_so_at_once_and_the_next_one_goes_on(
    double: OssDouble, tmp_path: Path
) -> None:
    content = double.put("weights/llama/model.gguf", os.urandom(200_000))
    double.faults({"kind": "hang", "value": 600, "times": 1, "match": "model.gguf"})
    wanted = Fetch(BUCKET, str(tmp_path / "node" / "key"), account(double))
    command = [sys.executable, "-m", "pierhead", *wanted.arguments]
    with subprocess.Popen(
        command, env={**os.environ, **wanted.variables}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "downloading" in next(line for line in process.stdout if "downloading" in line)
        process.send_signal(signal.SIGTERM)
        assert process.wait(MINUTE) == verb.ENDED
    assert fetch(wanted).returncode == verb.DONE
    assert (tmp_path / "node" / "key" / "files" / "model.gguf").read_bytes() == content


def test_the_demo_weights_come_from_a_file_of_the_node(tmp_path: Path) -> None:
    source = BUILT_IN["smollm2_135m_q4"].source
    assert isinstance(source, PackageSource)
    wanted = Fetch(source, str(tmp_path / "key"), local=str(demo_model()))
    done = fetch(wanted)
    assert done.returncode == verb.DONE, done.stderr
    shown = tmp_path / "key" / "files" / "model.gguf"
    assert shown.stat().st_size == source.member_bytes


# ---- what the hub says of weights that it does not fetch ---------------------------------------


class House:
    """A hub whose replicas run on other machines."""

    def __init__(self, folder: Path, opens: Account | None, machines: Machines) -> None:
        self.woken, self.clock = asyncio.Event(), FakeClock()
        snapshots = Snapshots(folder / "cache", self.clock)
        ways = Ways(lambda _: opens, snapshots, snapshots, folder / "mounts")
        looks = Looks(machines, lambda _: opens, self.clock, folder / "seen")
        remote = Connected(ways, self.clock, self.woken.set, looks)
        places = Places(folder / "cache", folder / "models", {}, str(folder / "shared/demo.gguf"))
        self.weights = FarWeights(places, looks, remote)

    async def found(self, source: Source, template: Template = BARE) -> Files | Hold:
        first = self.weights.ensure(template, source)
        if isinstance(first, Hold) and first.progressing:
            await asyncio.wait_for(self.woken.wait(), MINUTE)
            self.woken.clear()
            return self.weights.ensure(template, source)
        return first


def ask(house: House, source: Source, template: Template = BARE) -> Files | Hold:
    return asyncio.run(house.found(source, template))


def test_names_and_sizes_tell_what_a_replica_will_find(double: OssDouble, tmp_path: Path) -> None:
    for part in (1, 2):
        double.put(f"weights/llama/m-0000{part}-of-00002.gguf", b"x" * 1000 * part)
    double.forget()

    async def go() -> None:
        house = House(tmp_path, account(double), Machines("/weights"))
        files = await house.found(BUCKET)
        assert isinstance(files, Files)
        assert files.fetch is not None
        assert files.fetch.account == account(double)
        folder = f"{files.fetch.folder}/files"
        assert files.folder == folder
        assert files.model == f"{folder}/m-00001-of-00002.gguf"
        assert (files.bytes, files.format) == (3000, "gguf")
        assert files.folder.startswith("/weights/")
        # A restart of the hub, another day: the same path, so that nothing is started anew.
        again = await House(tmp_path, account(double), Machines("/weights")).found(BUCKET)
        assert again == files
        double.faults({"kind": "status", "value": 503, "times": 99})
        later = await House(tmp_path, account(double), Machines("/weights")).found(BUCKET)
        assert later == files, (
            "machines that have them can start more of it while the store is away"
        )

    asyncio.run(go())
    assert double.sent() == 0, "not a byte of them came here"


def test_what_is_no_model_is_held_by_the_same_words_as_on_one_machine(
    double: OssDouble, tmp_path: Path
) -> None:
    double.put("weights/llama/m-00001-of-00002.gguf", b"x")
    double.put("weights/two/a.gguf", b"x")
    double.put("weights/two/b.gguf", b"x")
    reasons: list[str] = []
    for prefix in ("llama/", "two/", "none/"):
        house = House(tmp_path, account(double), Machines("/weights"))
        hold = ask(house, OssSource("weights", prefix))
        assert isinstance(hold, Hold)
        reasons.append(hold.reason)
    assert reasons == ["WeightsIncomplete", "WeightsAmbiguous", "WeightsMissing"]
    unasked = ask(House(tmp_path, None, Machines("/weights")), HubSource("huggingface", "a/b"))
    assert isinstance(unasked, Hold)
    assert unasked.reason == "StorageNotConnected"


def test_a_path_is_served_where_the_operator_says_that_every_node_has_it(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (shared / "llama").mkdir(parents=True)
    (shared / "llama" / "model.gguf").write_bytes(b"x" * 10)
    house = House(tmp_path, None, Machines("/weights", shared=(str(shared),)))
    found = ask(house, FolderSource(str(shared / "llama")))
    assert isinstance(found, Files)
    assert (found.model, found.fetch) == (str(shared / "llama" / "model.gguf"), None)
    unseen = ask(house, FolderSource(f"{shared}/other/model.gguf"))
    assert isinstance(unseen, Files), "the hub's machine need not have it"
    elsewhere = ask(house, FolderSource(str(tmp_path / "models")))
    assert isinstance(elsewhere, Hold)
    assert "kubernetes.host_folders" in elsewhere.message


def test_a_package_is_fetched_on_the_node(tmp_path: Path) -> None:
    template = BUILT_IN["smollm2_135m_q4"]
    assert template.source is not None
    shared = (str(tmp_path / "shared"),)
    found = ask(House(tmp_path, None, Machines("/w", shared=shared)), template.source, template)
    assert isinstance(found, Files)
    assert found.fetch is not None
    assert found.fetch.local == f"{tmp_path}/shared/demo.gguf"
    alone = ask(House(tmp_path, None, Machines("/w")), template.source, template)
    assert isinstance(alone, Files)
    assert alone.fetch is not None
    assert alone.fetch.local == "", "a file of the hub's machine is no help to a node"


def test_a_mounted_file_system_needs_the_drivers_or_the_operators_word(tmp_path: Path) -> None:
    (tmp_path / "nas" / "llama").mkdir(parents=True)
    (tmp_path / "nas" / "llama" / "model.gguf").write_bytes(b"x" * 10)
    source = NasSource("target", "/llama")
    opens = Account(
        Connection("nas", "nas", mount_target="target", local_path=str(tmp_path / "nas")), Keys()
    )
    alone = ask(House(tmp_path, opens, Machines("/w")), source)
    assert isinstance(alone, Hold)
    assert alone.reason == "WeightsMissing"
    shared = ask(House(tmp_path, opens, Machines("/w", shared=(str(tmp_path),))), source)
    assert isinstance(shared, Files)
    assert shared.fetch is None
    mounted = ask(House(tmp_path, opens, Machines("/w", mounts=True)), source)
    assert isinstance(mounted, Files)
    assert mounted.fetch is not None
    assert mounted.model.endswith("/files/model.gguf")


def test_an_account_that_cannot_be_read_is_not_repeated() -> None:
    text = json.dumps({"connection": {"odd": 1}, "keys": {"secret": "SECRET"}})
    with pytest.raises(Exception, match=ACCOUNT) as caught:
        read_account({ACCOUNT: text})
    assert "SECRET" not in str(caught.value)
    assert read_account({}) is None
