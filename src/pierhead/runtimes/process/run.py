"""One run of a replica: follows its keeper to the end, and sees that nothing of it stays."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pierhead.core.ids import Clock
from pierhead.core.replicas import Exit
from pierhead.runtimes.process.identity import Handle, Identity, members, stat
from pierhead.runtimes.process.records import KeeperFacts, RunFacts, RunFolder
from pierhead.runtimes.process.remains import told
from pierhead.runtimes.process.watch import Watch

_STUBBORN = 3.0  #: seconds a keeper gets to end after its engine was killed


class Run:
    """A launched run. `ended` is called once, when no process of it is left."""

    def __init__(
        self, folder: RunFolder, facts: RunFacts, clock: Clock, boot: str, ended: Callable[[], None]
    ) -> None:
        self.folder = folder
        self.facts = facts
        self.engine: Identity | None = None  #: None until the keeper has told
        self.live = False  #: is there a process, or a rest of one?
        self._clock = clock
        self._boot = boot
        self._ended = ended
        self._told: KeeperFacts | None = None  #: who ran, should its folder be taken away
        self._watch: Watch | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._escalation: asyncio.Task[None] | None = None

    def follow(self, keeper: Identity) -> None:
        """Watch the keeper from now on."""
        self.live = True
        handle = Handle.of(keeper, self._boot)
        if handle is None:
            Handle(keeper, -1).ended()  # reap it, should it have been our child
            self.bury()
            return
        self._watch = Watch(handle, self.bury)
        self._start(self._meet_engine())

    def bury(self) -> None:
        """The keeper is gone: its run has ended, or is ended now."""
        self.live = True
        self._watch = None
        self.engine = None
        if told(self.folder.exit) is not None:
            self._over()
        else:
            self._start(self._end_lost())

    def end(self, kill_at: float, *, tell: bool = True) -> None:
        """TERM (if `tell`), and KILL at `kill_at` (epoch seconds), whatever becomes of the keeper."""
        if self._watch is None:
            return
        if tell:
            self._watch.handle.send(signal.SIGTERM)
        if self._escalation is not None:
            self._escalation.cancel()
        self._escalation = self._start(self._escalate(kill_at))

    def close(self) -> None:
        """Stop watching; the processes run on."""
        for task in self._tasks:
            task.cancel()
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    async def _meet_engine(self) -> None:
        """Learn the engine's pid as soon as the keeper has written it down."""
        pause = 0.005
        while (found := told(self.folder.keeper)) is None:
            await asyncio.sleep(pause)
            pause = min(pause * 2, 1.0)
        if self._watch is not None:
            self.engine = Identity(*found.engine, found.boot)
            self._told = found

    async def _escalate(self, kill_at: float) -> None:
        await asyncio.sleep(max(0.0, kill_at - self._clock()))
        if self._watch is not None:
            self._watch.handle.send(signal.SIGUSR1)
        await asyncio.sleep(_STUBBORN)
        if self._watch is not None:  # the keeper itself hangs or is stopped
            self._watch.handle.send(signal.SIGKILL)

    async def _end_lost(self) -> None:
        """Nobody saw the end: make sure that nothing of the run lives before it runs again."""
        while self._something_lives():  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.02)
        with suppress(OSError):  # disk full: the next hub finds the same and decides the same
            if told(self.folder.exit) is None:  # it may be read again by now
                self.folder.write_exit(Exit(at=self._clock(), lost=True))
        self._over()

    def _something_lives(self) -> bool:
        kept = told(self.folder.keeper) or self._told
        try:
            return _kill_leftovers(kept, self.facts, self._boot)
        except OSError:  # no descriptor is left to look into /proc: one will be
            return True

    def _over(self) -> None:
        self.live = False
        if self._escalation is not None:
            self._escalation.cancel()
        self._ended()

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _kill_leftovers(kept: KeeperFacts | None, facts: RunFacts, boot: str) -> bool:
    """KILL what a dead keeper's engine left behind; True while something lives."""
    if kept is None or kept.boot != boot:
        return False
    found = [Identity(*kept.engine, boot), *members(kept.keeper[0], kept.engine[0])]
    found += [member for path in facts.cgroups for member in _in_cgroup(Path(path))]
    alive = False
    for identity in found:
        handle = Handle.of(replace(identity, boot=boot), boot)
        if handle is not None:
            alive = True
            handle.send(signal.SIGKILL)
            handle.close()
    return alive


def _in_cgroup(path: Path) -> list[Identity]:
    try:
        pids = [int(line) for line in (path / "cgroup.procs").read_text().split()]
    except OSError:
        return []  # no such cgroup (any more)
    return [Identity(pid, now.ticks, "") for pid in pids if (now := stat(pid)) is not None]
