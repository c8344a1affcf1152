"""Isolated Python environments: built once per content, shared by all replicas that ask for the same.

`ensure` never blocks: a build runs in a thread of its own and `wake` is called when it ends. An
environment is built where it stays, since its scripts hold absolute paths; its READY file is written
last, so one that was cut off is never used, and the next build begins it anew. An flock, which the
tool that builds holds too, keeps processes apart.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import sysconfig
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Thread

from pierhead.core.ids import Clock
from pierhead.core.launch import EnvironmentPath
from pierhead.core.services import Hold
from pierhead.core.templates import Environment
from pierhead.failpoint import failpoint
from pierhead.sources import cache, conda, distribution
from pierhead.sources.tool import NotBuilt, Tool
from pierhead.sources.uv import Uv, find_uv

RETRY_FIRST, RETRY_LONGEST = 60.0, 3600.0
"""Seconds after which a failed build is tried again by itself; doubles with each failure."""
_LOCK_PAUSE = 0.1  #: seconds between looks at a lock that another process holds


@dataclass(frozen=True, slots=True)
class Options:
    """What an operator may choose."""

    downloads: bool = False  #: may uv fetch a Python that is not on this machine?
    conda_channels: tuple[str, ...] = ("conda-forge",)
    seconds: float = 1800.0  #: longest time for one step of a build


@dataclass(frozen=True, slots=True)
class Built:
    """One environment on disk."""

    folder: Path
    spec: str  #: digest of the `Environment` it was built for
    used: float  #: epoch seconds of the last time a replica was to be started with it


@dataclass(slots=True)
class _Build:
    """An environment that is asked for: on its way, there, or failed."""

    environment: Environment
    tool: Tool
    began: float
    phase: str = "starting"
    running: bool = True
    found: EnvironmentPath | None = None
    error: str = ""
    failures: int = 0
    retry_at: float = 0.0


@dataclass(frozen=True, slots=True)
class _Outcome:
    found: EnvironmentPath | None = None
    error: str = ""


class Environments:
    """Answers where an environment is, and sees to it that it comes."""

    def __init__(
        self, folder: Path, clock: Clock, wake: Callable[[], None], options: Options | None = None
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._wake = wake
        self._options = options or Options()
        self._builds: dict[Environment, _Build] = {}
        self._ending = Event()

    def ensure(self, environment: Environment) -> EnvironmentPath | Hold:
        """The environment, or what it is waiting for; must be called in the event loop's thread."""
        build = self._builds.get(environment)
        if build is None:
            build = self._builds[environment] = self._begin(environment)
        if build.found is not None:
            if _touch(Path(build.found.folder), self._clock()):
                return build.found
            build = self._builds[environment] = self._begin(environment)  # somebody removed it
        if not build.running and self._clock() >= build.retry_at:
            self._again(build)
        # While a failed one is tried again its error stands: it would be news only if it went well.
        return self._failed(build) if build.error else self._underway(build)

    def retry(self, environment: Environment) -> None:
        """Forget that a build failed: the next look tries it at once."""
        build = self._builds.get(environment)
        if build is not None and build.error and not build.running:
            del self._builds[environment]

    def close(self) -> None:
        """End what is being built; the next start builds it anew."""
        self._ending.set()
        for build in self._builds.values():
            build.tool.stop()

    def listed(self) -> list[Built]:
        """Every environment that is wholly there."""
        folders = sorted(self._folder.iterdir()) if self._folder.is_dir() else []
        return [built for folder in folders if (built := _built(folder)) is not None]

    def prune(self, keep: Collection[Environment], before: float) -> list[Path]:
        """Remove environments that no replica was started with since `before` (epoch seconds).

        Those of `keep` stay whatever their age. Blocks; safe in any thread.
        """
        kept = {digest(environment) for environment in keep}
        old = [each for each in self.listed() if each.used < before and each.spec not in kept]
        rests = (lock.with_suffix("") for lock in self._folder.glob("*.lock"))
        cut_off = [each for each in rests if each.is_dir() and not cache.is_ready(each)]
        return [folder for folder in (*(each.folder for each in old), *cut_off) if _removed(folder)]

    # ---- one build --------------------------------------------------------------------------

    def _begin(self, environment: Environment) -> _Build:
        build = _Build(environment, Tool(self._options.seconds), began=self._clock())
        self._start(build)
        return build

    def _again(self, build: _Build) -> None:
        build.tool, build.began, build.running = Tool(self._options.seconds), self._clock(), True
        self._start(build)

    def _start(self, build: _Build) -> None:
        # A daemon: an installation must not keep the hub from ending.
        Thread(
            target=self._run,
            args=(build, asyncio.get_running_loop()),
            name="environment",
            daemon=True,
        ).start()

    def _run(self, build: _Build, loop: asyncio.AbstractEventLoop) -> None:
        try:
            folder = self._make(build)
            notices = distribution.missing(build.environment.packages)
            outcome = _Outcome(EnvironmentPath(str(folder), notices))
        except NotBuilt as problem:
            outcome = _Outcome(error=str(problem))
        except OSError as problem:
            outcome = _Outcome(error=f"{problem.filename or self._folder}: {problem.strerror}.")
        with suppress(RuntimeError):  # the loop is closed: the hub has ended, nobody waits
            loop.call_soon_threadsafe(self._ended, build, outcome)

    def _ended(self, build: _Build, outcome: _Outcome) -> None:
        """Back in the loop's thread: only it decides what is known."""
        build.running, build.found, build.error = False, outcome.found, outcome.error
        if outcome.error:
            pause = min(RETRY_FIRST * 2**build.failures, RETRY_LONGEST)
            build.failures, build.retry_at = min(build.failures + 1, 10), self._clock() + pause
        self._wake()

    def _make(self, build: _Build) -> Path:
        """The environment's folder, made if it is not there; runs in the build's thread."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        tool = conda.rattler_version() if build.environment.conda else self._uv(build).version()
        folder = self._folder / _key(build.environment, tool)
        with self._locked(folder, build) as lock:
            if not (cache.is_ready(folder) and _runs(folder)):
                if folder.exists():
                    shutil.rmtree(folder)
                self._fill(build, folder, lock)
                about = {"spec": digest(build.environment), "tool": tool}
                failpoint("environment.before_ready")
                cache.mark_ready(folder, json.dumps(about))
        return folder

    def _fill(self, build: _Build, folder: Path, lock: int) -> None:
        environment, options = build.environment, self._options

        def say(phase: str) -> None:
            build.phase = phase

        if environment.conda:
            say(f"installing {len(conda.specs(environment))} conda packages")
            channels = (environment.index_url,) if environment.index_url else options.conda_channels
            store = self._folder / "conda-cache"
            conda.build(environment, folder, channels, store, options.seconds)
        else:
            self._uv(build, lock).build(environment, folder, say)
        if not _runs(folder):
            raise NotBuilt(f"There is no {folder.name}/bin/python after all was installed.")

    def _uv(self, build: _Build, *locks: int) -> Uv:
        store = self._folder / "uv-cache"
        return Uv(find_uv(), build.tool, store, self._options.downloads, locks)

    @contextmanager
    def _locked(self, folder: Path, build: _Build) -> Generator[int]:
        """The environment's lock; waits for another process that builds the same."""
        lock = os.open(folder.with_name(f"{folder.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while not _taken(lock):
                build.phase = "waiting for another process that builds the same environment"
                if self._ending.wait(_LOCK_PAUSE):
                    raise NotBuilt("The hub is ending.")
            yield lock
        finally:
            os.close(lock)

    # ---- what is told -----------------------------------------------------------------------

    def _underway(self, build: _Build) -> Hold:
        seconds = self._clock() - build.began
        message = f"The Python environment is on its way: {build.phase}, for {seconds:.0f} s."
        facts = {"phase": build.phase, "seconds": f"{seconds:.0f}"}
        return Hold("InstallingEnvironment", message, progressing=True, facts=facts)

    def _failed(self, build: _Build) -> Hold:
        pause = max(0.0, build.retry_at - self._clock())
        again = "being tried again" if build.running else f"tried again in {pause / 60:.0f} min"
        return Hold(
            "EnvironmentFailed",
            f"The environment ({described(build.environment)}) could not be built: {build.error.rstrip('.')}. "
            f"It is {again}; a restart of the service tries it at once.",
            permanent=True,
            facts={
                "environment": described(build.environment),
                "problem": build.error.rstrip("."),
            },
        )


def described(environment: Environment) -> str:
    """`Python 3.11, requirements six==1.16.0, numpy` for messages."""
    parts = [f"Python {environment.python}"] if environment.python else []
    parts += [f"conda {environment.conda}"] if environment.conda else []
    if environment.requirements:
        more = len(environment.requirements) - _NAMED
        names = ", ".join(environment.requirements[:_NAMED])
        parts.append(f"requirements {names}{f' and {more} more' if more > 0 else ''}")
    return ", ".join(parts) or "the platform's Python"


_NAMED = 10  #: requirements that a message quotes


def digest(environment: Environment) -> str:
    """Equal for equal environments, whatever built them."""
    return hashlib.sha256(json.dumps(asdict(environment), sort_keys=True).encode()).hexdigest()


def _key(environment: Environment, tool: str) -> str:
    parts = (digest(environment), sysconfig.get_platform(), tool)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _runs(folder: Path) -> bool:
    """Is its interpreter there? A link whose target was removed is not."""
    return os.access(folder / "bin" / "python", os.X_OK)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _touch(folder: Path, now: float) -> bool:
    """Note that it is used now; False when it is not wholly there."""
    try:
        os.utime(folder / cache.READY, (now, now))
    except OSError:
        return False
    return _runs(folder)


def _built(folder: Path) -> Built | None:
    ready = folder / cache.READY
    try:
        about = json.loads(ready.read_text("utf-8"))
        return Built(folder, str(about["spec"]), ready.stat().st_mtime)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _removed(folder: Path) -> bool:
    """Remove it, unless somebody builds or uses its lock now; its mark goes first."""
    lock = os.open(folder.with_name(f"{folder.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _taken(lock):
            return False
        (folder / cache.READY).unlink(missing_ok=True)
        shutil.rmtree(folder)
    finally:
        os.close(lock)
    return True
