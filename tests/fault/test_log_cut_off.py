"""A power cut takes the end of the database's log, or leaves files that do not belong together.

The platform starts, makes of the machine what the database says now, and tells what it found; or it says
in one sentence why it does not start, and has touched nothing. With PIERHEAD_DEEP_FAULTS set the log is cut
at each of its frames, and in the middle of each.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from processes import Process
from stage import LONG, Count, Stage, document, until

from pierhead.cli.client import find_access
from pierhead.cli.ram_client import RamClient

SOURCE = str(Path(__file__).parent.parent.parent / "src")
DEEP = bool(os.environ.get("PIERHEAD_DEEP_FAULTS"))
HEADER, FRAME = 32, 24 + 4096  #: bytes of SQLite's log
NAMES = ("kept", "moved", "removed", "later")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Past:
    """What lay on the disk when the power went, and what the database was long before."""

    folder: Path
    older: Path  #: the database file of the first minute
    tokens: dict[str, str]

    @property
    def log(self) -> int:
        """Bytes of the log."""
        return (self.folder / "pierhead.db-wal").stat().st_size


def _written_back(file: Path) -> None:
    """What the log holds goes into the file, and the log begins anew."""
    with closing(sqlite3.connect(file)) as raw:
        until(lambda: raw.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0] == 0)


def _lived(stage: Stage, into: Path) -> Past:
    """A platform whose log holds a creation, an update, a scaling, tokens and a removal."""
    stage.up(PYTHONPATH=SOURCE)
    file = stage.folder / "pierhead.db"
    _written_back(file)
    older = into / "older.db"
    shutil.copy(file, older)
    own = RamClient(find_access(stage.folder, None, {}))
    for name in NAMES[:3]:
        stage.create(name, env={"VERSION": "1"})
    for name in NAMES[:3]:
        stage.running(name)
    _written_back(file)
    tokens = {"removed": stage.token("removed")}
    own.own("AddServiceToken", ServiceName="kept", TokenName="extra")
    secret = own.own("GetServiceToken", ServiceName="kept", TokenName="extra")["Token"][
        "AccessToken"
    ]
    stage.update("moved", document("moved", mark=stage.folder, env={"VERSION": "2"}))
    until(lambda: (stage.is_running("moved") or {}).get("CurrentVersion") == 2)
    stage.create("later")
    stage.running("later")
    stage.scale("kept", 2)
    stage.running("kept", 2)
    own.own("RevokeServiceToken", ServiceName="kept", TokenName="extra")
    stage.delete("removed")
    stage.gone("removed")
    tokens |= {name: stage.token(name) for name in ("kept", "moved", "later")} | {"extra": secret}
    log = file.with_name("pierhead.db-wal")
    copy = into / "log"
    shutil.copy(log, copy)  # the last one to close it would empty it
    stage.end()
    shutil.copy(copy, log)
    shutil.copytree(stage.folder, into / "past", symlinks=True)
    return Past(into / "past", older, tokens)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One for all tests: each puts its own files into it."""
    made = Stage(tmp_path_factory.mktemp("cut") / "data")
    try:
        yield made
    finally:
        made.end()
        print(made.tail(60))


@pytest.fixture(scope="module")
def past(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Past:
    """A platform that was there until the power went."""
    return _lived(stage, tmp_path_factory.mktemp("past"))


def _put(stage: Stage, past: Past, harm: Callable[[Path], object], *, shm: bool = False) -> None:
    """The disk after the cut; memory does not survive it, unless the machine went on."""
    shutil.rmtree(stage.folder)
    shutil.copytree(past.folder, stage.folder, symlinks=True)
    if not shm:
        (stage.folder / "pierhead.db-shm").unlink(missing_ok=True)
    harm(stage.folder / "pierhead.db")


def _told_by(file: Path, into: Path) -> tuple[dict[str, int], bool]:
    """Replicas that the database wants of each service, and whether it knows the further token."""
    into.mkdir()
    for end in ("", "-wal"):
        shutil.copy(file.with_name(file.name + end), into / f"db{end}")
    with closing(sqlite3.connect(into / "db")) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = raw.execute("SELECT name, replicas FROM services WHERE wanted = 'running'")
        wanted = {str(name): int(replicas) for name, replicas in rows}
        extra = raw.execute("SELECT 1 FROM endpoint_tokens WHERE name = 'extra'").fetchone()
    shutil.rmtree(into)
    return wanted, extra is not None


def _converges(stage: Stage, past: Past, into: Path) -> None:
    """It starts, and what runs, what gateways know, and what folders are there is what the database says."""
    wanted, extra = _told_by(stage.folder / "pierhead.db", into)
    there = {name.rpartition("-")[0] for name in stage.folders()}
    stage.up(PYTHONPATH=SOURCE)
    for name, count in wanted.items():
        stage.running(name, count)
    expected = sorted(name for name, count in wanted.items() for _ in range(count))

    def only_those() -> bool:
        return _services(stage.processes("engine")) == expected == _of(stage.folders())

    until(
        only_those,
        lambda: f"{expected}: {stage.processes('engine')}, {stage.folders()}",
        2 * LONG,
    )
    for name in NAMES:
        token = past.tokens.get(name, "none")
        until(lambda n=name, t=token: stage.call(n, t)[0] == (200 if n in wanted else 404), name)
    if "kept" in wanted:
        until(lambda: (stage.call("kept", past.tokens["extra"])[0] == 200) == extra)
    unknown = there - set(wanted)
    if unknown - {"removed"}:
        assert "The database knows no service of these replicas" in stage.tail(300)
        found = {row["check"]: row for row in _doctor(stage)}
        assert found["older database"]["level"] == "warn", found
    _end(stage)


def _end(stage: Stage) -> None:
    stage.end()
    stage.log.unlink()


def _doctor(stage: Stage) -> list[dict[str, str]]:
    return json.loads(stage.run("doctor", "--json").stdout)


def _services(found: list[Process]) -> list[str]:
    return _of([process.replica for process in found])


def _of(replicas: list[str]) -> list[str]:
    return sorted(replica.rpartition("-")[0] for replica in replicas)


def test_wherever_the_log_ends_it_converges(
    stage: Stage, past: Past, tmp_path: Path, record_property: Count
) -> None:
    """Law: the database is whole at some earlier moment, and what runs is what it says (F03)."""
    frames = (past.log - HEADER) // FRAME
    assert frames > 60
    ends = [HEADER + FRAME * number for number in range(frames + 1)]
    middles = [end + FRAME // 2 for end in ends[:-1]]
    some = sorted([*ends, *middles]) if DEEP else [0, ends[frames // 2], middles[frames * 4 // 5]]
    if DEEP:
        some = [0, HEADER // 2, *some[:: max(1, len(some) // 104)]]
    for at in some:
        _put(stage, past, lambda file, at=at: os.truncate(file.with_name(f"{file.name}-wal"), at))
        _converges(stage, past, tmp_path / "look")
    record_property("places", len(some))
    print(f"{len(some)} places in a log of {frames} frames")


def _other_salt(file: Path) -> None:
    with file.with_name(f"{file.name}-wal").open("r+b") as log:
        log.seek(16)
        log.write(b"\xa5" * 8)


def test_a_log_of_another_life_is_not_played_in(stage: Stage, past: Past, tmp_path: Path) -> None:
    """Law: a log whose salt is wrong, and an index that memory kept, change nothing (F03)."""
    _put(stage, past, _other_salt, shm=True)
    _converges(stage, past, tmp_path / "look")


def _touched(stage: Stage) -> dict[str, bytes]:
    """Every file below the replicas' folder."""
    root = stage.folder / "replicas"
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _older(file: Path, past: Past) -> None:
    shutil.copy(past.older, file)


def _page(file: Path, _past: Past) -> None:
    """Of the services' table, in a file that has no log."""
    with closing(sqlite3.connect(file)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        wanted = "SELECT rootpage FROM sqlite_master WHERE name = 'services'"
        (number,) = raw.execute(wanted).fetchone()
    with file.open("r+b") as out:
        out.seek((number - 1) * 4096)
        out.write(b"\xa5" * 700)


def _half(file: Path, past: Past) -> None:
    _page(file, past)
    os.truncate(file, file.stat().st_size // 2 // 4096 * 4096)


LOOKED_AT = (_older, _page)  #: by `pierhead verify`, too
HARM: list[tuple[Callable[[Path, Past], object], str]] = [
    (_older, "damaged"),
    (_page, "damaged"),
    (_half, "damaged"),
    (lambda file, _past: file.write_bytes(b"no database" * 900), "damaged"),
    (lambda file, _past: file.write_bytes(b""), "is empty"),
    (lambda file, _past: file.unlink(), "is missing"),
]


def test_files_that_do_not_belong_together_are_told_in_one_sentence(
    stage: Stage, past: Past, tmp_path: Path
) -> None:
    """Law: damage is told with what to do, nothing is changed, and a backup makes it good (F03)."""
    backup = tmp_path / "good.backup"
    _put(stage, past, lambda _file: None)
    made = stage.run("backup", str(backup))
    assert made.returncode == 0, made.stderr
    for harm, word in HARM:
        _put(stage, past, lambda file, harm=harm: harm(file, past))
        before = _touched(stage)
        verbs = [("hub", f"--listen={stage.listen}")]
        for verb in (*verbs, ("verify",)) if harm in LOOKED_AT else verbs:
            done = stage.run(*verb)
            assert done.returncode == 1, (word, done.stderr)
            (line,) = done.stderr.splitlines()
            for told in (word, "pierhead restore", str(stage.folder / "pierhead.db")):
                assert told in line, line
        assert _touched(stage) == before
    done = stage.run("restore", str(backup), "--force")
    assert done.returncode == 0, done.stderr
    (stage.folder / "pierhead.db-wal").touch()
    _converges(stage, past, tmp_path / "look")
