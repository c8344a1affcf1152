"""The cache: one fetch and one copy for all, whole or not in use, kept while used, and mended."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders import FakeClock
from pierhead.core.errors import InUse, NotFound, Unavailable
from pierhead.core.manifest import Entry
from pierhead.sources.progress import Ended, Phase, Progress
from pierhead.sources.remote import Changed, Denied, Flaky
from pierhead.sources.snapshots import Snapshot, Snapshots
from store_world import KIB, Memory, content, never, nobody, options, same

OBJECTS = {"model.gguf": content(300 * KIB), "sub/config.json": b"{}"}
SIZE = 300 * KIB + 2


def snapshots(folder: Path, clock: FakeClock | None = None) -> Snapshots:
    return Snapshots(folder, clock or FakeClock(1000.0), options())


def fetch(cache: Snapshots, remote: Memory) -> Snapshot:
    return cache.fetch(remote, nobody, never)


# ---- one copy --------------------------------------------------------------------------------------


def test_a_snapshot_is_whole_read_only_and_fetched_once(tmp_path: Path) -> None:
    remote = Memory(OBJECTS)
    cache = snapshots(tmp_path)
    made = fetch(cache, remote)
    assert made.ready
    assert made.name == "memory://test/"
    assert same(made.files, OBJECTS)
    modes = {path.stat().st_mode & 0o777 for path in made.files.rglob("*") if path.is_file()}
    assert modes == {0o444}
    folders = [made.files, *(path for path in made.files.rglob("*") if path.is_dir())]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o555}
    asked = len(remote.asked)
    assert fetch(cache, remote).folder == made.folder
    assert len(remote.asked) == asked
    assert cache.newest(remote.identity) == cache.find(made.id)


def test_waiters_share_the_fetch_and_see_its_progress(tmp_path: Path) -> None:
    gate = threading.Event()
    remote = Memory(OBJECTS, lambda _, start, __: waits(gate) if start >= 256 * KIB else None)
    seen: list[Progress] = []
    found: list[Snapshot] = []

    def hear(progress: Progress) -> None:
        seen.append(progress)
        if progress.phase is Phase.WAITING and progress.done >= 256 * KIB:
            gate.set()  # the waiter has seen how far the first one is

    def wait() -> None:
        found.append(snapshots(tmp_path).fetch(remote, hear, never))

    first = threading.Thread(
        target=lambda: found.append(snapshots(tmp_path).fetch(remote, nobody, never))
    )
    threads = [first, *(threading.Thread(target=wait) for _ in range(3))]
    for thread in threads:
        thread.start()
        while not remote.asked:  # the first one has the lock by then
            gate.wait(0.01)
    for thread in threads:
        thread.join(30)
    assert len(found) == 4
    assert len({snapshot.folder for snapshot in found}) == 1
    assert remote.bytes_asked() == SIZE
    assert any(p.phase is Phase.WAITING and p.total == SIZE and p.file for p in seen)


def waits(gate: threading.Event) -> None:
    assert gate.wait(20)


def test_a_waiter_can_be_told_to_end(tmp_path: Path) -> None:
    gate = threading.Event()

    def held(*_: object) -> None:
        assert gate.wait(20)

    remote = Memory(OBJECTS, held)
    first = threading.Thread(target=lambda: fetch(snapshots(tmp_path), remote))
    first.start()
    while not remote.asked:
        gate.wait(0.01)
    stops = iter([False, False, True])
    with pytest.raises(Ended):
        snapshots(tmp_path).fetch(remote, nobody, lambda: next(stops))
    gate.set()
    first.join(30)
    assert snapshots(tmp_path).newest(remote.identity)


def test_a_folder_without_its_mark_is_resumed_and_never_in_use(tmp_path: Path) -> None:
    def breaks(entry: Entry, start: int, length: int) -> Iterator[bytes] | None:
        if start >= 128 * KIB:
            raise Denied("memory", "the token expired")
        return None

    cache = Snapshots(tmp_path, FakeClock(1.0), options(connections=1))
    with pytest.raises(Denied):
        fetch(cache, Memory(OBJECTS, breaks))
    (half,) = cache.all()
    assert not half.ready
    assert 0 < half.bytes <= SIZE + 64 * KIB
    assert cache.newest("memory test") is None
    again = Memory(OBJECTS)
    assert same(fetch(cache, again).files, OBJECTS)
    assert again.bytes_asked() < SIZE


def test_listing_is_tried_again(tmp_path: Path) -> None:
    class Busy(Memory):
        def listing(self):  # type: ignore[no-untyped-def]
            self.listed += 1
            if self.listed < 4:
                raise Flaky("memory", "busy")
            return Memory.listing(self)

    remote = Busy(OBJECTS)
    assert fetch(snapshots(tmp_path), remote).ready
    assert remote.listed == 5  # its own count twice for the last


# ---- versions --------------------------------------------------------------------------------------


def test_an_object_that_changes_meanwhile_is_listed_again_and_the_rest_is_kept(
    tmp_path: Path,
) -> None:
    first = {**OBJECTS, "a": content(200 * KIB, 5)}

    class Shifting(Memory):
        def read(self, entry: Entry, start: int, length: int) -> Iterator[bytes]:
            if entry.key == "model.gguf" and self.listed == 1:
                self.objects["model.gguf"] = content(300 * KIB, 8)
            return Memory.read(self, entry, start, length)

    remote = Shifting(dict(first))
    cache = Snapshots(tmp_path, FakeClock(1.0), options(connections=1))
    made = fetch(cache, remote)
    assert same(made.files, {**first, "model.gguf": content(300 * KIB, 8)})
    assert [found.id for found in cache.all()] == [made.id]
    assert sum(length for key, _, length in remote.asked if key == "a") == 200 * KIB


def test_an_object_that_keeps_changing_is_an_error(tmp_path: Path) -> None:
    versions = iter(range(2, 100))

    class Restless(Memory):
        def read(self, entry: Entry, start: int, length: int) -> Iterator[bytes]:
            self.objects["model.gguf"] = content(1000, next(versions))
            return Memory.read(self, entry, start, length)

    cache = snapshots(tmp_path)
    with pytest.raises(Changed, match="an object changes while it is read"):
        fetch(cache, Restless({"model.gguf": content(1000)}))
    assert not any(found.ready for found in cache.all())


def test_a_new_version_fetches_only_what_is_new(tmp_path: Path) -> None:
    clock = FakeClock(1000.0)
    cache = snapshots(tmp_path, clock)
    old = fetch(cache, Memory(OBJECTS))
    clock.now = 2000.0
    newer = Memory({**OBJECTS, "sub/config.json": b'{"a": 1}'})
    made = fetch(cache, newer)
    assert newer.bytes_asked() == 8
    assert same(made.files, newer.objects)
    assert same(old.files, OBJECTS)
    assert cache.verify(made, nobody, never) == []
    assert cache.newest("memory test") == made
    cache.remove(old)
    assert same(made.files, newer.objects)


# ---- users and room --------------------------------------------------------------------------------


def test_the_one_unused_for_longest_goes_first_and_never_one_in_use(tmp_path: Path) -> None:
    clock = FakeClock(1000.0)
    cache = snapshots(tmp_path, clock)
    made: list[Snapshot] = []
    for number in range(4):
        clock.now += 100
        remote = Memory({"a": content(100 * KIB, number)}, identity=f"origin {number}")
        made.append(fetch(cache, remote))
    cache.use(made[0], "service/1")
    cache.use(made[0], "service/2")
    clock.now += 100
    cache.fetch(Memory({"a": content(100 * KIB, 1)}, identity="origin 1"), nobody, never)
    assert cache.find(made[0].id).users == ("service/1", "service/2")
    assert cache.prune(400 * KIB) == []
    assert [each.id for each in cache.prune(350 * KIB)] == [made[2].id]
    assert [each.id for each in cache.prune(0)] == [made[3].id, made[1].id]
    with pytest.raises(InUse, match="service/1, service/2"):
        cache.remove(made[0])
    cache.release(made[0], "service/1")
    cache.release(made[0], "service/1")
    cache.release_others(["service/9"])
    assert [each.id for each in cache.prune(0)] == [made[0].id]
    assert cache.all() == []
    with pytest.raises(NotFound):
        cache.use(made[0], "service/1")


def test_fetches_that_did_not_end_go_when_they_are_old(tmp_path: Path) -> None:
    clock = FakeClock(1000.0)
    cache = snapshots(tmp_path, clock)

    def refuse(*_: object) -> Iterator[bytes]:
        raise Denied("memory", "no")

    with pytest.raises(Denied):
        fetch(cache, Memory(OBJECTS, refuse))
    assert cache.prune(0) == []
    assert cache.prune(0, unfinished_before=500.0) == []
    assert len(cache.prune(1 << 40, unfinished_before=1001.0)) == 1
    assert cache.all() == []


def test_one_that_is_being_fetched_is_not_removed(tmp_path: Path) -> None:
    gate = threading.Event()

    def held(*_: object) -> None:
        assert gate.wait(20)

    remote = Memory(OBJECTS, held)
    first = threading.Thread(target=lambda: fetch(snapshots(tmp_path), remote))
    first.start()
    while not remote.asked:
        gate.wait(0.01)
    cache = snapshots(tmp_path)
    (half,) = cache.all()
    try:
        with pytest.raises(InUse, match="is being fetched"):
            cache.remove(half)
        assert cache.prune(0, unfinished_before=1e12) == []
    finally:
        gate.set()
        first.join(30)
    assert same(cache.all()[0].files, OBJECTS)


# ---- care ------------------------------------------------------------------------------------------


def damaged(made: Snapshot, key: str, at: int) -> None:
    file = made.files / key
    raw = bytearray(file.read_bytes())
    raw[at] ^= 1
    file.chmod(0o644)
    file.write_bytes(raw)


def test_damage_is_found_and_only_the_bad_part_is_fetched(tmp_path: Path) -> None:
    cache = snapshots(tmp_path)
    made = fetch(cache, Memory(OBJECTS))
    assert cache.verify(made, nobody, never) == []
    damaged(made, "model.gguf", 70 * KIB)
    (damage,) = cache.verify(made, nobody, never)
    assert (damage.key, damage.problem) == ("model.gguf", "has other bytes than were fetched")
    remote = Memory(OBJECTS)
    assert cache.repair(made, remote, nobody, never) == [damage]
    assert remote.asked == [("model.gguf", 64 * KIB, 64 * KIB)]
    assert same(made.files, OBJECTS)
    assert cache.find(made.id).ready
    assert cache.verify(made, nobody, never) == []
    assert cache.repair(made, remote, nobody, never) == []
    assert len(remote.asked) == 1


@pytest.mark.parametrize("how", ["gone", "short", "long", "checkpoint", "folder"])
def test_any_damage_is_repaired(tmp_path: Path, how: str) -> None:
    cache = snapshots(tmp_path)
    made = fetch(cache, Memory(OBJECTS))
    file = made.files / "model.gguf"
    made.files.chmod(0o755)
    file.chmod(0o644)
    if how == "short":
        file.write_bytes(OBJECTS["model.gguf"][:1000])
    elif how == "long":
        file.write_bytes(OBJECTS["model.gguf"] + b"more")
    elif how == "checkpoint":
        for checkpoint in (made.folder / "parts").iterdir():
            checkpoint.write_text("{")
    else:
        file.unlink()
    if how == "folder":
        (made.files / "sub").chmod(0o755)
        (made.files / "sub" / "config.json").unlink()
        (made.files / "sub").rmdir()
    assert cache.repair(made, Memory(OBJECTS), nobody, never)
    assert same(made.files, OBJECTS)
    assert cache.verify(cache.find(made.id), nobody, never) == []


def test_a_repair_that_cannot_be_done_takes_the_snapshot_out_of_use(tmp_path: Path) -> None:
    cache = snapshots(tmp_path)
    made = fetch(cache, Memory(OBJECTS))
    damaged(made, "model.gguf", 5)
    other = {**OBJECTS, "model.gguf": content(300 * KIB, 77)}
    with pytest.raises(Changed):
        cache.repair(made, Memory(other), nobody, never)
    assert not cache.find(made.id).ready
    assert cache.newest("memory test") is None


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable, match=r"The cache is not available: .*Not a directory"):
        fetch(snapshots(tmp_path / "file"), Memory(OBJECTS))


def test_foreign_folders_in_the_cache_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "x" / "y" / "about.json").write_text(json.dumps({"manifest": [{"key": 1}]}))
    (tmp_path / "file").write_text("x")
    cache = snapshots(tmp_path)
    assert cache.all() == []
    assert cache.prune(0) == []
    assert (tmp_path / "x" / "y" / "about.json").exists()
