"""Random cuts, short answers, wrong bits, busy stores and kills: no wrong file is ever there, and little is fetched twice.

`PIERHEAD_DOWNLOAD_SCHEDULES` says how many schedules are played; each has a seed, which a failure names.
"""

import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from downloading import CONNECTIONS, FAILED, PART, WHOLE, download, remove
from stage import Count, until

from oss_double import OssDouble
from pierhead.failpoint import POINTS
from pierhead.sources import cache as marks
from pierhead.sources.snapshots import Snapshots

SCHEDULES = int(os.environ.get("PIERHEAD_DOWNLOAD_SCHEDULES", "60"))
FIRST = int(os.environ.get("PIERHEAD_DOWNLOAD_FIRST", "0"))
ATTEMPTS = 25
#: Imports everything once; each download is a fork of it.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["downloading", "alibabacloud_oss_v2", "crcmod.crcmod"])


@dataclass
class Schedule:
    """What happens to one download."""

    seed: int
    chance: random.Random = field(init=False)
    objects: dict[str, bytes] = field(init=False)
    faults: list[dict[str, Any]] = field(init=False)
    kills: int = field(init=False)
    wild: bool = field(init=False)  #: more than one wrong bit in a file, again and again

    def __post_init__(self) -> None:
        self.chance = chance = random.Random(self.seed)
        sizes = {
            "model.gguf": chance.randrange(PART, 14 * PART),
            "b/two": chance.randrange(3 * PART),
        }
        self.objects = {key: chance.randbytes(size) for key, size in sizes.items()}
        # Of this schedule alone: the store still gets what a client asked that was killed in another one.
        self.objects |= {"config.json": b'{"seed": %d}' % self.seed, "empty": b""}
        self.wild = chance.random() < 0.2
        self.kills = chance.choice((0, 0, 1, 1, 2, 3))
        self.faults = [self._fault() for _ in range(chance.randrange(8))]
        self.faults += [self._flip(key) for key in sizes if chance.random() < 0.5 or self.wild]
        chance.shuffle(self.faults)

    def _fault(self) -> dict[str, Any]:
        kind = self.chance.choice(("cut", "cut", "cut", "short", "status", "slow"))
        values = {
            "cut": self.chance.randrange(PART),
            "short": self.chance.randrange(1, PART),
            "status": self.chance.choice((500, 503, 429)),
            "slow": self.chance.randrange(4 * PART, 40 * PART),
        }
        return {"kind": kind, "value": values[kind], "times": self.chance.randint(1, 2)}

    def _flip(self, key: str) -> dict[str, Any]:
        times = self.chance.randint(2, 4) if self.wild else 1
        at = self.chance.randrange(max(1, len(self.objects[key])))
        return {"kind": "flip", "value": at, "times": times, "match": key}

    @property
    def allowed(self) -> int:
        """Bytes that may be sent twice: one part for a wrong bit, one per connection for a kill."""
        flips = sum(fault["kind"] == "flip" for fault in self.faults)
        return (flips + self.kills * CONNECTIONS) * PART


#: What was seen by this process; kills are those that hit a download, wild schedules left out of `twice`.
TALLY = {"played": 0, "kills": 0, "twice": 0, "faults": 0}


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OssDouble]:
    root = tmp_path_factory.mktemp("store")
    with OssDouble(root) as made:
        yield made


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SCHEDULES))
def test_no_schedule_of_faults_leaves_a_wrong_file(
    double: OssDouble, tmp_path: Path, seed: int, record_property: Count
) -> None:
    """Law: no wrong file is ever there, and little is fetched twice (F18)."""
    schedule = Schedule(seed)
    before = TALLY["kills"]
    for key in ("model.gguf", "b/two", "config.json", "empty"):
        double.put(f"weights/m/{key}", schedule.objects[key])
    double.faults(*schedule.faults)
    double.forget()
    play(schedule, double, tmp_path)
    (mark,) = tmp_path.rglob(marks.READY)
    files = mark.parent / "files"
    found = {
        str(file.relative_to(files)): file.read_bytes()
        for file in files.rglob("*")
        if file.is_file()
    }
    assert found == schedule.objects
    twice = double.sent() - sum(map(len, schedule.objects.values()))
    TALLY["played"] += 1
    TALLY["twice"] += 0 if schedule.wild else twice
    TALLY["faults"] += sum(fault["times"] for fault in schedule.faults)
    record_property("schedules", 1)
    record_property("kills", TALLY["kills"] - before)
    if not schedule.wild:
        assert twice <= schedule.allowed, f"{twice} bytes were fetched twice"


def play(schedule: Schedule, double: OssDouble, cache: Path) -> None:
    """Download until it is whole, killing as often as the schedule says."""
    kills = schedule.kills
    for _ in range(ATTEMPTS):
        process = PROCESSES.Process(target=download, args=(double.url, str(cache)), daemon=True)
        process.start()
        try:
            if kills:
                until(partial(begun, process, cache))
                process.join(schedule.chance.uniform(0.0, 0.03))
                kills -= 1
            else:
                process.join(60)
        finally:
            process.kill()
            process.join()
        nothing_wrong(schedule, cache)
        TALLY["kills"] += process.exitcode == -9
        if process.exitcode == WHOLE:
            return
        assert process.exitcode in (FAILED, -9), process.exitcode
    pytest.fail(f"it did not become whole in {ATTEMPTS} attempts")


def begun(process: BaseProcess, cache: Path) -> bool:
    """Is it downloading, or over already?"""
    return any(cache.rglob("*.part")) or not process.is_alive()


def nothing_wrong(schedule: Schedule, cache: Path) -> None:
    """Whatever has its final name has its content; READY is there only with all of it."""
    for folder in cache.rglob("files"):
        files = [file for file in folder.rglob("*") if file.is_file()]
        for file in files:
            assert file.read_bytes() == schedule.objects[str(file.relative_to(folder))]
        if marks.is_ready(folder.parent):
            assert len(files) == len(schedule.objects)


#: Passed when a snapshot is removed, not when it is made.
REMOVED = "snapshot.after_set_aside"
CUTS = [
    (point, nth)
    for point in sorted(POINTS)
    if point.startswith(("snapshot.", "download.")) and point != REMOVED
    for nth in ((1, 2) if point.startswith("download.") else (1,))
]


def ended(work: Any, *arguments: Any) -> int | None:
    """The exit code of some work in a process of its own."""
    process = PROCESSES.Process(target=work, args=arguments, daemon=True)
    process.start()
    process.join(60)
    process.kill()
    process.join()
    return process.exitcode


@pytest.mark.parametrize(("point", "nth"), CUTS)
def test_a_download_that_dies_at_a_step_is_gone_on_with(
    double: OssDouble, tmp_path: Path, point: str, nth: int
) -> None:
    """Law: killed at any durable step, no wrong file is there, and the next attempt finishes (F18)."""
    schedule = Schedule(7)
    mark = f"{point} {nth} ".encode()  # what a client of another case still asks for is not there
    schedule.objects = {
        key: content and mark + content for key, content in schedule.objects.items()
    }
    for key, content in schedule.objects.items():
        double.put(f"weights/m/{key}", content)
    double.faults()
    double.forget()
    assert ended(download, double.url, str(tmp_path), PART, f"{point}:kill:nth={nth}") == -9
    nothing_wrong(schedule, tmp_path)
    assert bool([*tmp_path.rglob(marks.READY)]) is (point == "snapshot.after_ready")
    assert ended(download, double.url, str(tmp_path)) == WHOLE
    nothing_wrong(schedule, tmp_path)
    assert len([*tmp_path.rglob(marks.READY)]) == 1
    assert double.sent() - sum(map(len, schedule.objects.values())) <= CONNECTIONS * PART


def test_a_removal_that_dies_halfway_is_none_or_whole(double: OssDouble, tmp_path: Path) -> None:
    """Law: a snapshot that was set aside is used by nobody, and the next removal ends it."""
    double.put("weights/m/model.gguf", b"x" * PART)
    double.faults()
    assert ended(download, double.url, str(tmp_path)) == WHOLE
    assert ended(remove, str(tmp_path), f"{REMOVED}:kill") == -9
    assert not [*Snapshots(tmp_path, time.time).all()]
    assert ended(download, double.url, str(tmp_path)) == WHOLE
    assert ended(remove, str(tmp_path), "") == WHOLE
    assert not [*tmp_path.rglob("*.gguf")], "what was set aside takes room for ever"
    assert ended(download, double.url, str(tmp_path)) == WHOLE
    assert len([*tmp_path.rglob(marks.READY)]) == 1


def test_the_schedules_did_what_they_are_for() -> None:
    print(TALLY)
    if TALLY["played"] < 50:
        pytest.skip("too few were played in this process to tell")
    assert TALLY["kills"] >= TALLY["played"] // 5
    assert TALLY["faults"] >= TALLY["played"]


def test_a_store_that_hangs_for_a_while_is_waited_for(double: OssDouble, tmp_path: Path) -> None:
    """Law: a store that hangs for a while is waited for (F18)."""
    double.put("weights/m/model.gguf", b"x" * PART)
    double.faults({"kind": "hang", "value": 3, "times": 1, "min_size": PART})
    process = PROCESSES.Process(target=download, args=(double.url, str(tmp_path)), daemon=True)
    started = time.monotonic()
    process.start()
    process.join(30)
    assert process.exitcode == WHOLE
    assert time.monotonic() - started >= 3
