"""The downloader's rules: parts, resumption, sums, changed objects, retries, room, progress."""

import json
import os
from collections.abc import Iterator
from itertools import count, pairwise
from pathlib import Path

import pytest

from pierhead.core.errors import Unavailable
from pierhead.core.manifest import Entry
from pierhead.sources import crc64 as sums
from pierhead.sources import parts
from pierhead.sources.crc64 import combined, crc64, wrong_bit
from pierhead.sources.download import Download
from pierhead.sources.progress import Ended, Phase, Progress
from pierhead.sources.remote import Changed, Damaged, Denied, Flaky
from store_world import KIB, Memory, content, never, nobody, options, same

OBJECTS = {
    "model.gguf": content(1000 * KIB + 17),
    "sub/config.json": b"{}",
    "empty": b"",
    "exact": content(128 * KIB, 2),
}


def fetch(remote: Memory, folder: Path, **changes: object) -> list[Progress]:
    told: list[Progress] = []
    Download(remote, remote.listing(), folder, options(**changes)).run(told.append, never)
    return told


# ---- sums ----------------------------------------------------------------------------------------


def test_the_sum_is_the_one_that_oss_uses_and_parts_combine() -> None:
    assert crc64(b"123456789") == 0x995DC9BBDF1939FA
    raw = content(100_000)
    cuts = [0, 1, 1, 777, 65536, 99_999, 100_000]
    pieces = [raw[a:b] for a, b in pairwise(cuts)]
    assert combined((crc64(piece), len(piece)) for piece in pieces) == crc64(raw)
    assert combined([]) == 0


def test_both_ways_to_compute_the_sum_agree() -> None:
    raw = bytearray(content(70_001))
    package = sums._of_crcmod()
    system = sums._of_xz()
    if system is None:
        pytest.skip("no liblzma here")
    for data in (bytes(raw), raw, memoryview(raw)[3:], b""):
        assert system(data, 7) == package(data, 7) == crc64(data, 7)


@pytest.mark.parametrize("at", [0, 1, 4_999, 65_535, 99_999])
def test_the_sum_tells_which_byte_has_a_wrong_bit(at: int) -> None:
    raw = bytearray(content(100_000))
    whole = crc64(raw)
    for bit in range(8):
        raw[at] ^= 1 << bit
        assert wrong_bit(crc64(raw), whole, len(raw)) == at
        raw[at] ^= 1 << bit
    raw[at] ^= 0b11  # two bits: it cannot tell, and does not guess
    assert wrong_bit(crc64(raw), whole, len(raw)) is None


# ---- the plain way -------------------------------------------------------------------------------


def test_every_file_arrives_once_and_read_only(tmp_path: Path) -> None:
    remote = Memory(OBJECTS)
    told = fetch(remote, tmp_path)
    assert same(tmp_path / "files", OBJECTS)
    assert remote.bytes_asked() == sum(map(len, OBJECTS.values()))
    assert max(length for _, _, length in remote.asked) == 64 * KIB
    assert {(tmp_path / "files" / key).stat().st_mode & 0o777 for key in OBJECTS} == {0o444}
    last = told[-1]
    assert (last.done, last.total, last.files) == (sum(map(len, OBJECTS.values())),) * 2 + (4,)
    assert last.phase is Phase.DOWNLOADING


def test_a_second_run_asks_for_nothing(tmp_path: Path) -> None:
    fetch(Memory(OBJECTS), tmp_path)
    again = Memory(OBJECTS)
    told = fetch(again, tmp_path)
    assert again.asked == []
    assert told[-1].done == told[-1].total


def test_files_of_an_earlier_listing_go(tmp_path: Path) -> None:
    fetch(Memory({**OBJECTS, "old": b"x", "sub/older": b"y"}), tmp_path)
    fetch(Memory(OBJECTS), tmp_path)
    assert same(tmp_path / "files", OBJECTS)
    assert len(list((tmp_path / "parts").iterdir())) == len(OBJECTS)


def test_a_store_without_sums_is_checked_by_size_alone(tmp_path: Path) -> None:
    fetch(Memory(OBJECTS, sums=False), tmp_path)
    assert same(tmp_path / "files", OBJECTS)


# ---- cuts and resumption ---------------------------------------------------------------------------


def test_a_cut_and_a_short_answer_cost_only_the_missing_bytes(tmp_path: Path) -> None:
    turn = count()

    def cut(entry: Entry, start: int, length: int) -> Iterator[bytes] | None:
        raw = OBJECTS[entry.key]
        number = next(turn)
        if number % 3 == 0:
            return iter([raw[start : start + length // 2]])  # a clean answer, too short
        return broken(raw[start : start + 1000]) if number % 3 == 1 and length > 1000 else None

    remote = Memory(OBJECTS, cut)
    received = fetch(remote, tmp_path)[-1]
    assert same(tmp_path / "files", OBJECTS)
    assert received.done == sum(map(len, OBJECTS.values()))
    asked = {(key, start) for key, start, _ in remote.asked}
    assert len(asked) == len(remote.asked), "nothing is asked for twice"


def broken(first: bytes) -> Iterator[bytes]:
    yield first
    raise Flaky("memory", "the connection broke")


def test_more_than_was_asked_for_is_not_written(tmp_path: Path) -> None:
    def generous(entry: Entry, start: int, length: int) -> Iterator[bytes]:
        yield OBJECTS[entry.key][start : start + length] + b"more than enough"

    fetch(Memory(OBJECTS, generous), tmp_path)
    assert same(tmp_path / "files", OBJECTS)


def test_an_ended_download_goes_on_where_it_was(tmp_path: Path) -> None:
    def stops(entry: Entry, start: int, length: int) -> Iterator[bytes]:
        raw = OBJECTS[entry.key]
        if start >= 512 * KIB:
            yield raw[start : start + length // 2]
            raise Denied("memory", "the token expired")
        yield raw[start : start + length]

    with pytest.raises(Denied):
        fetch(Memory(OBJECTS, stops), tmp_path, connections=1)
    assert not (tmp_path / "files" / "model.gguf").exists()
    again = Memory(OBJECTS)
    fetch(again, tmp_path)
    assert same(tmp_path / "files", OBJECTS)
    assert sum(length for key, _, length in again.asked if key == "model.gguf") <= 489 * KIB


def test_a_bit_that_flips_on_the_disk_costs_its_part(tmp_path: Path) -> None:
    cut_off(tmp_path)
    part, _ = parts.paths(tmp_path / "parts", "model.gguf")
    raw = bytearray(part.read_bytes())
    raw[70 * KIB] ^= 4
    part.write_bytes(raw)
    again = Memory(OBJECTS)
    fetch(again, tmp_path)
    assert same(tmp_path / "files", OBJECTS)
    starts = sorted(start for key, start, _ in again.asked if key == "model.gguf")
    assert starts[0] == 64 * KIB
    assert starts[1] >= 512 * KIB


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b'{"version": 1}',
        json.dumps({"version": 2}).encode(),
        b"\xff\xfe",
    ],
)
def test_a_checkpoint_that_is_none_begins_anew(tmp_path: Path, damage: bytes) -> None:
    cut_off(tmp_path)
    parts.paths(tmp_path / "parts", "model.gguf")[1].write_bytes(damage)
    fetch(Memory(OBJECTS), tmp_path)
    assert same(tmp_path / "files", OBJECTS)


@pytest.mark.parametrize("states", [[], [[-1, 0]], [[1 << 40, 0]], [["a", 0]], 7])
def test_a_checkpoint_with_impossible_parts_begins_anew(tmp_path: Path, states: object) -> None:
    cut_off(tmp_path)
    path = parts.paths(tmp_path / "parts", "model.gguf")[1]
    row = json.loads(path.read_text())
    row["parts"] = states if states in ([], 7) else states * len(row["parts"])  # type: ignore[operator]
    path.write_text(json.dumps(row))
    fetch(Memory(OBJECTS), tmp_path)
    assert same(tmp_path / "files", OBJECTS)


def cut_off(folder: Path) -> None:
    """A download that ended after the first 512 KiB of the model."""

    def stops(entry: Entry, start: int, length: int) -> Iterator[bytes]:
        if entry.key == "model.gguf" and start >= 512 * KIB:
            raise Denied("memory", "the token expired")
        yield OBJECTS[entry.key][start : start + length]

    with pytest.raises(Denied):
        fetch(Memory(OBJECTS, stops), folder, connections=1)


def test_stopping_ends_it_and_leaves_the_parts(tmp_path: Path) -> None:
    remote = Memory(OBJECTS, lambda *_: endless())
    with pytest.raises(Ended):
        Download(remote, remote.listing(), tmp_path, options(pause=30)).run(nobody, lambda: True)


def endless() -> Iterator[bytes]:
    raise Flaky("memory", "busy")
    yield b""


# ---- what arrives wrong ----------------------------------------------------------------------------


def flipping(key: str, at: int, times: int, mask: int = 1) -> Memory:
    left = count(times, -1)

    def flip(entry: Entry, start: int, length: int) -> Iterator[bytes] | None:
        if entry.key != key or not start <= at < start + length or next(left) <= 0:
            return None
        raw = bytearray(OBJECTS[key][start : start + length])
        raw[at - start] ^= mask
        return iter([bytes(raw)])

    return Memory(OBJECTS, flip)


def test_a_bit_that_flips_on_the_wire_costs_its_part_and_no_other(tmp_path: Path) -> None:
    remote = flipping("model.gguf", 300 * KIB, 1)
    fetch(remote, tmp_path)
    assert same(tmp_path / "files", OBJECTS)
    twice = [start for key, start, _ in remote.asked if key == "model.gguf"]
    assert sorted(twice) == sorted([*set(twice), 256 * KIB])


def test_many_wrong_bits_are_found_too(tmp_path: Path) -> None:
    remote = flipping("model.gguf", 300 * KIB, 1, mask=0x5B)
    fetch(remote, tmp_path)
    assert same(tmp_path / "files", OBJECTS)


def test_what_stays_wrong_is_never_there(tmp_path: Path) -> None:
    with pytest.raises(Damaged, match=r"model\.gguf arrives with another CRC-64"):
        fetch(flipping("model.gguf", 300 * KIB, 1000), tmp_path)
    assert not (tmp_path / "files" / "model.gguf").exists()
    assert not any(path.exists() for path in parts.paths(tmp_path / "parts", "model.gguf"))
    fetch(Memory(OBJECTS), tmp_path)
    assert same(tmp_path / "files", OBJECTS)


def test_a_changed_object_loses_its_parts(tmp_path: Path) -> None:
    remote = Memory(dict(OBJECTS))
    manifest = remote.listing()
    remote.objects["model.gguf"] = content(1000 * KIB + 17, 9)
    with pytest.raises(Changed):
        Download(remote, manifest, tmp_path, options()).run(nobody, never)
    assert not any(path.exists() for path in parts.paths(tmp_path / "parts", "model.gguf"))


# ---- patience --------------------------------------------------------------------------------------


def test_a_store_that_stays_busy_is_given_up_after_eight_tries(tmp_path: Path) -> None:
    remote = Memory({"a": b"x"}, lambda *_: endless())
    with pytest.raises(Flaky, match="busy, 8 times in a row"):
        fetch(remote, tmp_path)
    assert len(remote.asked) == 8


def test_a_refusal_is_not_tried_again(tmp_path: Path) -> None:
    def refuse(*_: object) -> Iterator[bytes]:
        raise Denied("memory", "AccessDenied")

    remote = Memory({"a": b"x"}, refuse)
    with pytest.raises(Denied, match="AccessDenied"):
        fetch(remote, tmp_path)
    assert len(remote.asked) == 1


def test_a_part_has_a_deadline_however_alive_the_store_looks(tmp_path: Path) -> None:
    def drip(entry: Entry, start: int, length: int) -> Iterator[bytes]:
        yield b"a"

    with pytest.raises(Flaky, match="slower than 64 KiB/s"):
        fetch(Memory({"a": b"a" * 60 * KIB}, drip), tmp_path, deadline=-1.0)


# ---- the disk --------------------------------------------------------------------------------------


def test_too_little_room_is_said_with_both_numbers_before_anything_is_read(tmp_path: Path) -> None:
    """Law: what does not fit is refused with both numbers before a byte is read (F14)."""
    remote = Memory({"a": content(100 * KIB)})
    with pytest.raises(Unavailable, match=r"has 1\.0 MiB free, 2\.1 MiB are needed"):
        fetch(remote, tmp_path, free=lambda _: 1 << 20, headroom=2 << 20)
    assert remote.asked == []


def test_what_is_here_already_needs_no_room(tmp_path: Path) -> None:
    cut_off(tmp_path)
    fetch(Memory(OBJECTS), tmp_path, free=lambda _: 700 * KIB)
    with pytest.raises(Unavailable, match="are needed"):
        fetch(Memory(OBJECTS), tmp_path / "new", free=lambda _: 700 * KIB)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Unavailable, match="Permission denied"):
        fetch(Memory(OBJECTS), tmp_path)


def test_a_link_in_place_of_a_part_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    part, _ = parts.paths(tmp_path / "d" / "parts", "a")
    part.parent.mkdir(parents=True)
    part.symlink_to(victim)
    with pytest.raises(Unavailable, match="The disk"):
        fetch(Memory({"a": b"x"}), tmp_path / "d")
    assert victim.read_bytes() == b"precious"


def test_progress_reads_as_a_sentence() -> None:
    progress = Progress(Phase.DOWNLOADING, 12 << 20, 94 << 20, 8 << 20, 10.2, "model.gguf")
    assert (
        str(progress) == "downloading model.gguf: 12 %, 12.0 MiB of 94.0 MiB, 8.0 MiB/s, 10 s left"
    )
    assert str(Progress(Phase.LISTING)) == "listing"
