"""What became of each run of a replica, kept beside the cluster, which keeps the last one alone.

    <folder>/<service id>/<pod uid>.json     the first and the last five runs that ended, with their last lines

A pod that is gone leaves its runs here, if it had any that ended by themselves; they go with the
service, or when it has `REPLICAS` later ones. Memory has the end of what the last run of each pod wrote, no
more: thousands of pods that crash again and again are remembered in some megabytes.
"""

import json
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from pierhead.core.backoff import GOOD_SPELL
from pierhead.core.replicas import Exit
from pierhead.runtimes.base import Attempt
from pierhead.runtimes.kubernetes import fields
from pierhead.runtimes.kubernetes.pods import Past

LAST = 5  #: runs that are kept besides the first
REPLICAS = 5  #: replicas that are gone of which runs are kept, by service
LINES = 200  #: of a run, the last ones
LINE = 2000  #: characters of a line
TAIL = 50  #: lines of a pod's last run that are in memory
#: Seconds after which a run was a good one, where nobody saw it become ready.
_LONG_RUN = 60.0


@dataclass(slots=True)
class _Record:
    """One pod's runs."""

    service: str
    ended: list[Attempt] = field(default_factory=list[Attempt])
    forgiven: int = 0
    ready: tuple[int, float] = (0, 0.0)  #: (number of the run, since when it is ready)
    gone: bool = False
    at: float = 0.0  #: when its last run ended


@dataclass(frozen=True, slots=True)
class Page:
    """What a pod's file is to say; what earlier runs than `fresh` wrote, it says already."""

    path: Path
    forgiven: int
    ended: tuple[Attempt, ...]
    fresh: Attempt  #: with all its lines


class RunBook:
    """In memory, and written down with every change; a folder that refuses costs the memory of a restart.

    Memory is for one thread; `clear`, `lines`, `folders` and the function `write` touch files alone, and may
    run in another.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._records: dict[str, _Record] = {}

    def load(self) -> None:
        """Read what an earlier process wrote; what is broken is left out."""
        for path in self._folder.glob("*/*.json"):
            with suppress(OSError, ValueError, TypeError, KeyError):
                found = cast("dict[str, Any]", json.loads(path.read_text()))
                ended = [_attempt(each) for each in fields.many(found, "ended")]
                record = _Record(path.parent.name, ended, int(found["forgiven"]), gone=True)
                record.at = max((each.end.at for each in ended if each.end), default=0.0)
                record.ended = _light(ended)
                self._records[path.stem] = record

    def known(self, pod: str) -> int:
        """Number of the last run of a pod whose end was noted."""
        record = self._records.get(pod)
        return record.ended[-1].number if record and record.ended else 0

    def past(self, pod: str, run: int) -> Past:
        """What is remembered of a pod whose present run, or the one that ended last, is `run`."""
        record = self._records.get(pod)
        if record is None:
            return Past()
        last = record.ended[-1] if record.ended else None
        ready_at = record.ready[1] if record.ready[0] == run else None
        return Past(record.forgiven, last.lines if last else (), ready_at)

    def alive(self, pod: str, service: str) -> None:
        """It is there (again)."""
        if pod in self._records:
            self._records[pod].gone = False
            self._records[pod].service = service

    def became_ready(self, pod: str, service: str, run: int, at: float) -> None:
        """Its run is ready since then."""
        self._records.setdefault(pod, _Record(service)).ready = (run, at)

    def ready_at(self, pod: str, run: int) -> float | None:
        """Since when its run is, or was, ready."""
        record = self._records.get(pod)
        return record.ready[1] if record is not None and record.ready[0] == run else None

    def note(self, service: str, run: Attempt) -> None:
        """A run ended; what is `written` keeps it."""
        record = self._records.setdefault(run.replica, _Record(service))
        if any(each.number == run.number for each in record.ended):
            return
        end = run.end.at if run.end else run.started
        good = (
            end - run.started >= _LONG_RUN
            if run.ready_at is None
            else end - run.ready_at >= GOOD_SPELL
        )
        if good:
            record.forgiven = run.number - 1
        kept = [*record.ended, bounded(run)]
        kept.sort(key=lambda each: each.number)
        record.ended = _light(kept if len(kept) <= LAST + 1 else [kept[0], *kept[-LAST:]])
        record.at = end

    def written(self, run: Attempt) -> Page | None:
        """What keeps what is known of a pod since that run of it ended; None = nothing is known."""
        record = self._records.get(run.replica)
        if record is None:
            return None
        path = self._path(record.service, run.replica)
        return Page(path, record.forgiven, tuple(record.ended), bounded(run))

    def gone(self, pod: str) -> None:
        """It is no more; of a service's replicas the runs of the last ones are kept."""
        record = self._records.get(pod)
        if record is None:
            return
        record.gone = True
        if not record.ended:
            del self._records[pod]
        self._trim(record.service)

    def _trim(self, service: str) -> None:
        past = [
            (record.at, pod)
            for pod, record in self._records.items()
            if record.service == service and record.gone
        ]
        for _, pod in sorted(past)[:-REPLICAS]:
            del self._records[pod]
            with suppress(OSError):
                self._path(service, pod).unlink()

    def forget(self, service: str) -> None:
        """Know nothing more of a service; `clear` removes its files."""
        for pod in [pod for pod, record in self._records.items() if record.service == service]:
            del self._records[pod]

    def clear(self, service: str) -> None:
        """Remove the files of a service."""
        if service and Path(service).name == service:
            shutil.rmtree(self._folder / service, ignore_errors=True)

    def lines(self, service: str, pod: str = "*") -> dict[tuple[str, int], tuple[str, ...]]:
        """What runs of a service, or of one pod of it, wrote last, by pod and number; from their files."""
        return {
            (path.stem, number): lines
            for path in (self._folder / service).glob(f"{pod}.json")
            for number, lines in _lines_in(path).items()
        }

    def folders(self) -> set[str]:
        """Services of which files are kept."""
        with suppress(OSError):
            return {path.name for path in self._folder.iterdir() if path.is_dir()}
        return set()

    def services(self) -> set[str]:
        """Services of which something is in memory."""
        return {record.service for record in self._records.values()}

    def service_of(self, pod: str) -> str:
        """Whose pod it is; "" = nothing is kept of it."""
        record = self._records.get(pod)
        return "" if record is None else record.service

    def of(self, service: str) -> Iterable[Attempt]:
        """Every run that is kept of a service; the last one of each pod with the end of what it wrote."""
        for record in self._records.values():
            if record.service == service:
                yield from record.ended

    def _path(self, service: str, pod: str) -> Path:
        return self._folder / service / f"{pod}.json"


def write(page: Page) -> None:
    """Whole or not at all; a folder that refuses is passed over."""
    known = {**_lines_in(page.path), page.fresh.number: page.fresh.lines}
    ended = [asdict(replace(each, lines=known.get(each.number, each.lines))) for each in page.ended]
    with suppress(OSError):
        page.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = page.path.with_suffix(".new")
        fresh.write_text(json.dumps({"forgiven": page.forgiven, "ended": ended}))
        fresh.replace(page.path)


def bounded(run: Attempt) -> Attempt:
    """With as many lines, and as much of each, as a file keeps."""
    return replace(run, lines=tuple(each[:LINE] for each in run.lines[-LINES:]))


def _light(ended: list[Attempt]) -> list[Attempt]:
    """As they stay in memory."""
    last = [replace(each, lines=each.lines[-TAIL:]) for each in ended[-1:]]
    return [*(replace(each, lines=()) for each in ended[:-1]), *last]


def _lines_in(path: Path) -> dict[int, tuple[str, ...]]:
    """What a file has of each run, by number; what cannot be read is not there."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        found = cast("dict[str, Any]", json.loads(path.read_text()))
        return {int(each["number"]): tuple(each["lines"]) for each in fields.many(found, "ended")}
    return {}


def _attempt(found: dict[str, Any]) -> Attempt:
    end = found.get("end")
    told = {**found, "lines": tuple(found["lines"]), "end": Exit(**end) if end else None}
    return Attempt(**cast("dict[str, Any]", told))
