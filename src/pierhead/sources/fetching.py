"""One fetch of a folder far away: how far it is, what came, and what people are told while they wait."""

from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Protocol

from pierhead.core.moments import utc
from pierhead.core.mounts import Remote as Source
from pierhead.core.resources import human_bytes
from pierhead.core.services import Hold
from pierhead.sources.progress import Phase, Progress

#: Seconds after which a mounted file system that does not answer counts as hanging.
HANGS = 5.0
#: Seconds without a byte after which that is said of a fetch: it tries again by itself, for minutes.
SILENT = 8.0

#: What is done with the store's answers; all else is done here.
_ASKING = frozenset({Phase.LISTING, Phase.DOWNLOADING})


class Heard(Protocol):
    """Who counts what is fetched; called in the fetches' threads. `kind` is of the store."""

    def fetching(self, kind: str, count: int) -> None:
        """So many more bytes came."""
        ...

    def fetched(self, kind: str, seconds: float, *, failed: bool) -> None:
        """A fetch ended that moved bytes."""
        ...


class Deaf:
    """Counts nothing."""

    def fetching(self, kind: str, count: int) -> None:
        """Nothing."""

    def fetched(self, kind: str, seconds: float, *, failed: bool) -> None:
        """Nothing."""


@dataclass(slots=True)
class Fetch:
    """A fetch that runs, or has ended."""

    source: Source
    began: float
    before: "Fetch | None"  #: the one before this one
    asked: float = 0.0
    place: str = ""  #: the mounted file system that is being looked at
    progress: Progress | None = None
    moved_at: float = 0.0  #: when somebody who asked saw it go on
    reached: tuple[object, ...] = ()  #: where it was then
    stop: Event = field(default_factory=Event)
    ended: float | None = None
    found: Path | None = None
    hold: Hold | None = None
    heard: Heard = field(default_factory=Deaf)
    summary: str = ""  #: what came and how fast, once it has; "" = all was there

    def tell(self, progress: Progress) -> None:
        """It is so far; in its own thread."""
        before, self.progress = self.progress, progress
        if progress.phase is Phase.WAITING:
            return  # somebody else moves these bytes
        last = before.moved if before is not None else 0
        if progress.moved > last:
            self.heard.fetching(self.source.kind, progress.moved - last)

    @property
    def moved(self) -> int:
        """Bytes that this very fetch brought over the network."""
        progress = self.progress
        return progress.moved if progress is not None and progress.phase is not Phase.WAITING else 0


def summary(fetch: Fetch, seconds: float) -> str:
    """What is told of a fetch that brought something."""
    if not fetch.moved:
        return ""
    rate = f", {human_bytes(fetch.moved / seconds)}/s" if seconds > 0 else ""
    return f"{fetch.source}: {human_bytes(fetch.moved)} came in {seconds:.1f} s{rate}."


def waiting(fetch: Fetch, now: float) -> Hold:
    """What is said while it runs."""
    seconds = now - fetch.began
    if fetch.place and seconds > HANGS:
        text = f"No answer from {fetch.place}: is its file system mounted and well?"
        return Hold("StorageHangs", text, facts={"place": fetch.place}, since=fetch.began)
    if fetch.before is not None and fetch.before.hold is not None and not _busy(fetch):
        return fetch.before.hold  # until more is known than that it is being tried again
    doing = str(fetch.progress) if fetch.progress is not None else "connecting"
    trouble = fetch.progress.trouble if fetch.progress is not None else ""
    failed = f"; the last try failed: {trouble}" if trouble else ""
    text = f"{doing} ({fetch.source}), for {seconds:.0f} s{failed}{_silence(fetch, now)}."
    # With the size known there is something to tell: the next event.
    stage = "sized" if fetch.progress is not None and fetch.progress.total else ""
    silent = now - fetch.moved_at
    facts = {"progress": doing, "source": str(fetch.source)}
    if silent > SILENT:
        facts |= {"silent": f"{silent:.0f}", "since": utc(fetch.moved_at)}
        asked = fetch.progress is None or fetch.progress.phase in _ASKING
        facts |= {"problem": f"no answer from {fetch.source}"} if asked else {}
    facts |= {"problem": trouble} if trouble else {}
    size, done = (fetch.progress.total, fetch.progress.done) if fetch.progress else (0, 0)
    return Hold(
        "FetchingWeights",
        text,
        progressing=True,
        stage=stage,
        facts=facts,
        bytes=size,
        done=done,
    )


def _silence(fetch: Fetch, now: float) -> str:
    """What is said of a fetch that does not go on."""
    progress = fetch.progress
    reached = () if progress is None else (progress.phase, progress.done, progress.files)
    if reached != fetch.reached:
        fetch.reached, fetch.moved_at = reached, now
    silent = now - fetch.moved_at
    return f"; nothing has come for {silent:.0f} s, it tries again" if silent > SILENT else ""


def _busy(fetch: Fetch) -> bool:
    return fetch.progress is not None and fetch.progress.done > 0
