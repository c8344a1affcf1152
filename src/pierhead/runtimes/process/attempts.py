"""What became of each run of a replica: read where it lies, and kept when the replica is replaced.

    <folder>/.past/<service id>/<replica id>/<n>/   run.json, exit.json, killed.json, and the log's end

A replica keeps its first and its last five runs. One that ran more than once and is removed leaves
them here, so that restarting a service does not destroy what says why it was necessary; they go with
the service, or when it has `REPLICAS` later ones. A log's end is kept, with secrets masked.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pierhead.core.diagnosis import crash
from pierhead.core.resources import MIB
from pierhead.core.secrecy import masked
from pierhead.runtimes.base import Attempt
from pierhead.runtimes.process import logfiles
from pierhead.runtimes.process.records import (
    ReplicaFolder,
    RunFolder,
    path_part,
    remove_if_empty,
)
from pierhead.runtimes.process.remains import killed, last_lines, ready_at, told

PAST = ".past"
REPLICAS = 5  #: replaced ones of which runs are kept, by service
LOG_BYTES = MIB // 4  #: of a kept run's log
_FILES = ("run.json", "ready.json", "exit.json", "killed.json")
_EVIDENCE = 50  #: lines that tell why it ended


def of(
    runs: list[RunFolder], replica: str, hidden: tuple[str, ...], lines: int
) -> Iterator[Attempt]:
    """The runs, first to last, each with its last `lines` lines."""
    for run in runs:
        facts = told(run.facts)
        if facts is None:
            continue
        end = told(run.exit)
        written = [masked(text, hidden) for text in last_lines(run, replica, max(lines, _EVIDENCE))]
        cause = killed(run) or (crash(end, tuple(written[-_EVIDENCE:])) if end else None)
        yield Attempt(
            replica=replica,
            number=facts.number,
            started=facts.started,
            ready_at=ready_at(run),
            end=end,
            reason=cause.reason if cause else "",
            message=cause.message if cause else "",
            lines=tuple(written[len(written) - lines :] if lines < len(written) else written),
        )


def keep(root: Path, service: str, folder: ReplicaFolder, hidden: tuple[str, ...]) -> None:
    """Keep the runs of a replica that is about to be removed; harmless when that was done.

    Raises:
        OSError: the disk refuses.
    """
    museum = root / PAST / path_part(service, "service")
    place, fresh = museum / folder.id, museum / f".{folder.id}"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True, mode=0o700)
    for run in folder.runs():
        _copy(run, fresh / run.path.name, folder.id, hidden)
    shutil.rmtree(place, ignore_errors=True)
    fresh.rename(place)
    others = sorted(_replicas(museum), key=lambda path: path.stat().st_mtime_ns)
    for old in others[:-REPLICAS]:
        shutil.rmtree(old)


def past(root: Path, service: str, lines: int) -> Iterator[Attempt]:
    """Runs of replicas that were replaced."""
    for place in _replicas(root / PAST / service):
        try:
            names = [entry.name for entry in place.iterdir() if entry.name.isdecimal()]
        except (FileNotFoundError, NotADirectoryError):
            continue  # it made room for a later one a moment ago, or is none
        runs = [RunFolder(place / name) for name in sorted(names, key=int)]
        yield from of(runs, place.name, (), lines)


def forget(root: Path, service: str) -> None:
    """Remove all that is kept of a service.

    Raises:
        OSError: the disk refuses.
    """
    with suppress(FileNotFoundError):
        shutil.rmtree(root / PAST / service)
        remove_if_empty(root / PAST)


def _replicas(museum: Path) -> list[Path]:
    try:
        return [entry for entry in museum.iterdir() if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []


def _copy(run: RunFolder, into: Path, replica: str, hidden: tuple[str, ...]) -> None:
    into.mkdir(mode=0o700)
    for name in _FILES:
        with suppress(FileNotFoundError):
            shutil.copyfile(run.path / name, into / name)
    kept: list[bytes] = []
    room = LOG_BYTES
    # No line is shorter than its time stamp, so more lines than these cannot be kept.
    for line in reversed(logfiles.tail(run.path, replica, LOG_BYTES // 16)):
        text = f"{line.at:.3f} {masked(line.text, hidden)}\n".encode()
        room -= len(text)
        if room < 0:
            break
        kept.append(text)
    out = os.open(into / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(out, "wb") as file:
        file.writelines(reversed(kept))
