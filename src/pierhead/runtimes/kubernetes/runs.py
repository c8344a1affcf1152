"""What became of each run of a replica, kept beside the cluster, which keeps the last one alone.

    <folder>/<service id>/<pod uid>.json     the first and the last five runs that ended, with their last lines

A pod that is gone leaves its runs here, if it had any that ended by themselves; they go with the
service, or when it has `REPLICAS` later ones.
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


class RunBook:
    """In memory, and written down with every change; a folder that refuses costs the memory of a restart."""

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
        return Past(record.forgiven, last.lines[-50:] if last else (), ready_at)

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
        """A run ended."""
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
        kept = [
            *record.ended,
            replace(run, lines=tuple(each[:LINE] for each in run.lines[-LINES:])),
        ]
        kept.sort(key=lambda each: each.number)
        record.ended = kept if len(kept) <= LAST + 1 else [kept[0], *kept[-LAST:]]
        record.at = end
        self._write(run.replica, record)

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
        """Remove all that is kept of a service."""
        for pod in [pod for pod, record in self._records.items() if record.service == service]:
            del self._records[pod]
        if service and Path(service).name == service:
            shutil.rmtree(self._folder / service, ignore_errors=True)

    def service_of(self, pod: str) -> str:
        """Whose pod it is; "" = nothing is kept of it."""
        record = self._records.get(pod)
        return "" if record is None else record.service

    def of(self, service: str) -> Iterable[Attempt]:
        """Every run that is kept of a service."""
        for record in self._records.values():
            if record.service == service:
                yield from record.ended

    def _path(self, service: str, pod: str) -> Path:
        return self._folder / service / f"{pod}.json"

    def _write(self, pod: str, record: _Record) -> None:
        told = {"forgiven": record.forgiven, "ended": [asdict(each) for each in record.ended]}
        path = self._path(record.service, pod)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = path.with_suffix(".new")
            fresh.write_text(json.dumps(told))
            fresh.replace(path)


def _attempt(found: dict[str, Any]) -> Attempt:
    end = found.get("end")
    told = {**found, "lines": tuple(found["lines"]), "end": Exit(**end) if end else None}
    return Attempt(**cast("dict[str, Any]", told))
