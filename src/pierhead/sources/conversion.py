"""One conversion of a GGUF model: a child process that is nice to others, and the snapshot it fills.

The snapshot is `<cache>/converted/<key>/model.gguf`, with about.json for people and READY, which is
written last. Whoever is killed at any moment leaves a `.part` that the next one removes.
"""

import json
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pierhead.core.errors import PierheadError, Unavailable
from pierhead.failpoint import failpoint
from pierhead.sources import cache
from pierhead.sources.conversion_plan import NEVER, Kind, Plan, plan
from pierhead.sources.programs import Programs
from pierhead.sources.progress import Phase, Progress, Rate, Tell
from pierhead.sources.snapshots import Snapshots

MODEL = "model.gguf"
_NEEDED = ("gguf", "numpy")
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Unconvertible(PierheadError):
    """It can never be done; one sentence."""


class NoConverter(Unavailable):
    """The packages that convert are not installed."""

    def __init__(self) -> None:
        advice = "pip install 'pierhead[convert]', then start the service again"
        super().__init__("The conversion", f"it needs numpy and gguf: {advice}")


class Moved(Unavailable):
    """The original is another one by now."""

    def __init__(self, origin: str) -> None:
        super().__init__("The conversion", f"{origin} changed while it was read")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model in another precision."""

    kind: Kind
    parts: tuple[Path, ...]
    origin: str  #: where it comes from, as people know it
    folder: Path  #: the snapshot
    users: tuple[str, ...]  #: that it is kept for
    same: Callable[[], bool]  #: is the original still what it was?

    @property
    def name(self) -> str:
        """As people know it."""
        return f"{self.origin} as {self.kind.upper()}"


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes conversions."""

    snapshots: Snapshots
    make_room: Callable[[int], None]  #: called with the bytes that are about to be written
    tell: Tell
    programs: Programs

    def make(self, wanted: Wanted) -> None:
        """Fill the snapshot, whose lock is held.

        Raises:
            Unconvertible, BadHeader: it can never be done.
            Unavailable: the disk is too small, the original changes, or the child process failed.
            OSError: a file cannot be read or written.
        """
        folder = wanted.folder
        work = plan(wanted.kind, wanted.parts)
        noted = self.snapshots.begin(folder, _about(wanted, work, ""), self.tell)
        digest = self._written(wanted, work, noted)
        about = json.dumps(_about(wanted, work, digest))
        cache.write_whole(folder / "about.json", about.encode())
        (folder / "progress.json").unlink(missing_ok=True)
        failpoint("conversion.before_ready")
        cache.mark_ready(folder, f"sha256 {digest}\n")

    def _written(self, wanted: Wanted, work: Plan, tell: Tell) -> str:
        """The model's file, under its name; gives its sha256."""
        part = wanted.folder / f"{MODEL}.part"
        part.unlink(missing_ok=True)
        self.make_room(work.total)
        cache.need_room(wanted.folder, work.total)
        heard = _Heard(_label(work), tell)
        try:
            digest = run(wanted.kind, wanted.parts, part, heard, self.programs)
            if not wanted.same():
                raise Moved(wanted.origin)
            cache.publish(part)
        finally:
            part.unlink(missing_ok=True)
        return digest


def run(
    kind: Kind,
    parts: Sequence[Path],
    target: Path,
    tell: Callable[[int, int], None],
    programs: Programs,
) -> str:
    """Let a child process convert, and wait for it; gives the sha256 of what it wrote to `target`.

    `tell` hears how many bytes of how many are written; what it raises ends the child process.

    Raises:
        Unconvertible: it can never be done.
        Unavailable: it failed; NoConverter: what it needs is not installed.
    """
    invalidate_caches()  # it may have been installed a moment ago
    if any(find_spec(name) is None for name in _NEEDED):
        raise NoConverter
    command = [sys.executable, "-m", "pierhead.sources.requantize", kind, *map(str, parts)]
    target.unlink(missing_ok=True)
    # An open file, never a name: a child whose parent was killed a moment ago would open, and empty, what
    # the next one is writing to.
    with (
        target.open("xb") as out,
        subprocess.Popen(
            [*command, f"/dev/fd/{out.fileno()}"],
            pass_fds=(out.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **_ONE_THREAD},
        ) as child,
        programs.holding(child),
    ):
        last = _listened(child.stdout or (), tell)
    if child.returncode == 0:
        return last
    text = last[-600:] or f"it ended with {child.returncode}"
    raise (
        Unconvertible(text) if child.returncode == NEVER else Unavailable("The conversion", text)
    )


def _listened(lines: Iterable[str], tell: Callable[[int, int], None]) -> str:
    """What it said besides its progress, at last."""
    kept: deque[str] = deque(maxlen=8)
    for line in lines:
        done, of, total = line.strip().partition(" of ")
        if of and done.isdecimal() and total.isdecimal():
            tell(int(done), int(total))
        elif line.strip():
            kept.append(line.strip())
    return " ".join(kept)


class _Heard:
    """From bytes written to what people see."""

    def __init__(self, label: str, tell: Tell) -> None:
        self._label, self._tell = label, tell
        self._rate = Rate()

    def __call__(self, done: int, total: int) -> None:
        rate = self._rate(time.monotonic(), done)
        eta = (total - done) / rate if rate else None
        self._tell(Progress(Phase.CONVERTING, done, total, rate, eta, self._label))


def _label(work: Plan) -> str:
    """`llama-7b.gguf, F16 -> Q8_0`."""
    text = f"{work.parts[0].name}, {work.original} -> {work.kind.upper()}"
    return f"{text}, {work.lost}" if work.lost else text


def _about(wanted: Wanted, work: Plan, digest: str) -> dict[str, Any]:
    """For `cache.Snapshots`, and for people."""
    entry = {"key": MODEL, "size": work.total, "etag": digest, "crc64": None}
    return {
        "name": wanted.name,
        "identity": wanted.folder.name,
        "manifest": [entry],
        "origin": [str(part) for part in wanted.parts],
        "original_type": work.original,
        "original_bytes": sum(part.stat().st_size for part in wanted.parts),
        "kind": wanted.kind,
        "bytes": work.total,
        "note": f"{work.lost[:1].upper()}{work.lost[1:]}." if work.lost else "",
    }
