"""Files behind a storage connection: fetched into the cache, or found where they are mounted.

`ensure` never blocks: each source has at most one thread that looks its connection up, lists it and
fetches what is new; `wake` is called when that ends.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from pierhead.core.connections import Account
from pierhead.core.errors import Invalid, PierheadError, Unavailable
from pierhead.core.events import Notice
from pierhead.core.ids import Clock
from pierhead.core.mounts import HubSource, NasSource
from pierhead.core.mounts import Remote as Source
from pierhead.core.services import Hold
from pierhead.sources import hub, nas
from pierhead.sources.fetching import HANGS as HANGS
from pierhead.sources.fetching import SILENT as SILENT
from pierhead.sources.fetching import Deaf, Fetch, summary, waiting
from pierhead.sources.fetching import Heard as Heard
from pierhead.sources.listings import NoModel
from pierhead.sources.openers import Opened, opened
from pierhead.sources.progress import Ended, Progress, Tell
from pierhead.sources.remote import Denied, Flaky, Missing, RemoteError
from pierhead.sources.snapshots import Snapshots

#: Seconds after which a source that nobody asks for counts as forgotten, and its fetch ends; more
#: than the reconciler lets pass between two questions, and more than `QUIET`, after which a question
#: marks its snapshot as used anew.
_LATELY = 60.0

RETRY_AFTER = 15.0
"""Seconds after which a failed fetch is tried again by itself."""
#: Seconds without a question after which the next one looks what is there now: all replicas of one
#: start get the same files, and a later start gets what was changed meanwhile.
QUIET = 10.0


@dataclass(frozen=True, slots=True)
class Ways:
    """How remote folders are reached from this machine."""

    find: Callable[[Source], Account | None]  #: blocks
    snapshots: Snapshots
    #: The same cache for those that can only read whole files.
    whole_files: Snapshots
    mounts: Path  #: where NFS exports are mounted
    mount: bool = False  #: may this process mount NFS exports?
    heard: Heard = field(default_factory=Deaf)


class Unconnected(PierheadError):
    """No connection serves a source."""

    def __init__(self, hold: Hold) -> None:
        super().__init__(hold.message)
        self.hold = hold


#: Given a source, what opens it, and what it is told to say meanwhile; it blocks, and raises as a fetch.
Look = Callable[[Source, Account, Tell], Path]


class Connected:
    """Answers where the files of remote sources are, and sees to it that they come."""

    def __init__(
        self, ways: Ways, clock: Clock, wake: Callable[[], None], look: Look | None = None
    ) -> None:
        """`look` says where another machine will find a source's files; None: they are fetched here."""
        self._ways = ways
        self._look = look
        self._clock = clock
        self._wake = wake
        self._fetches: dict[Source, Fetch] = {}

    def ensure(self, source: Source) -> Path | Hold:
        """The file or folder on this machine, or why it is not there yet."""
        now = self._clock()
        fetch = self._fetches.get(source)
        if fetch is not None and fetch.ended is not None:
            quiet, fetch.asked = now - fetch.asked, now
            if fetch.found is not None and quiet < QUIET:
                return fetch.found
            if fetch.hold is not None and now - fetch.ended < RETRY_AFTER:
                return fetch.hold
        if fetch is None or fetch.ended is not None:
            fetch = self._started(source, now, fetch)
        fetch.asked = now
        return waiting(fetch, now)

    def notices(self, source: Source) -> tuple[Notice, ...]:
        """What its owner should know of how the files came."""
        fetch = self._fetches.get(source)
        if fetch is None or not fetch.summary:
            return ()
        return (Notice("WeightsFetched", fetch.summary, warning=False),)

    def running(self) -> list[Progress]:
        """How far each fetch is that moves bytes now."""
        fetches = [fetch for fetch in self._fetches.values() if fetch.ended is None]
        return [fetch.progress for fetch in fetches if fetch.progress is not None]

    def asked_lately(self) -> list[str]:
        """Sources that somebody waits for, or asked for a moment ago; any thread may ask."""
        since = self._clock() - _LATELY
        fetches = list(self._fetches.values())
        return [str(each.source) for each in fetches if each.ended is None or each.asked > since]

    def retry(self) -> None:
        """Forget failed fetches, so that the next look tries them again at once."""
        failed = [source for source, fetch in self._fetches.items() if fetch.hold is not None]
        for source in failed:
            del self._fetches[source]

    def close(self) -> None:
        """End what is being fetched; what is there already is taken over by the next start."""
        for fetch in self._fetches.values():
            fetch.stop.set()

    def _started(self, source: Source, now: float, before: Fetch | None) -> Fetch:
        if before is not None:
            before.before = None
        fetch = self._fetches[source] = Fetch(source, now, before, asked=now, moved_at=now)
        fetch.heard = self._ways.heard
        # A daemon: neither a download nor a file system that hangs must keep the hub from ending.
        thread = Thread(
            target=self._run,
            args=(fetch, asyncio.get_running_loop()),
            name=f"fetch {source}"[:60],
            daemon=True,
        )
        thread.start()
        return fetch

    def _run(self, fetch: Fetch, loop: asyncio.AbstractEventLoop) -> None:
        # What stays when it ends in a way that nobody foresaw, which the log then tells.
        found: Path | Hold | None = Hold(
            "WeightsUnavailable", f"{fetch.source} cannot be fetched: see the hub's log. {_AGAIN}"
        )
        try:
            found = self._find(fetch)
        except Ended:
            found = None
            if not fetch.stop.is_set():
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._forsaken, fetch)
        except PierheadError as problem:
            found = _hold(problem)
        except OSError as problem:
            where = problem.filename or fetch.source
            why = f"{problem.strerror or problem}"
            facts = {"source": str(fetch.source), "path": str(where), "problem": why}
            found = Hold("WeightsUnavailable", f"{where}: {why}. {_AGAIN}", facts=facts)
        finally:
            if found is not None:
                with suppress(RuntimeError):  # the loop is closed: the hub has ended, nobody waits
                    loop.call_soon_threadsafe(self._ended, fetch, found)

    def _ended(self, fetch: Fetch, found: Path | Hold) -> None:
        """Back in the loop's thread: only it touches the list of fetches."""
        fetch.ended = fetch.asked = self._clock()
        seconds = fetch.ended - fetch.began
        if fetch.moved:
            fetch.heard.fetched(fetch.source.kind, seconds, failed=isinstance(found, Hold))
        if isinstance(found, Hold):
            fetch.hold = found
        else:
            fetch.found, fetch.summary = found, summary(fetch, seconds)
        self._wake()

    def _forsaken(self, fetch: Fetch) -> None:
        """Nobody waited for it any more. What is there of it is taken over by the next one."""
        if self._fetches.get(fetch.source) is fetch:
            del self._fetches[fetch.source]
        self._wake()  # somebody may have asked for it at its very end

    # ---- in the fetch's thread --------------------------------------------------------------

    def _find(self, fetch: Fetch) -> Path:
        account = self._ways.find(fetch.source)
        if account is None:
            return self._unasked(fetch.source)
        if self._look is not None:
            return self._look(fetch.source, account, fetch.tell)
        if isinstance(fetch.source, NasSource):
            return self._nas(fetch, fetch.source, account)
        remote = opened(fetch.source, account, self._ways.find, self._clock)
        return self._fetched(fetch, remote, self._ways.snapshots)

    def _unasked(self, source: Source) -> Path:
        """What was fetched of a hub before it might not be asked any more."""
        if isinstance(source, HubSource) and self._look is None:
            kept = self._ways.snapshots.newest(hub.identity(source))
            if kept is not None:
                return self._ways.snapshots.use(kept, str(source)).files
        raise Unconnected(unconnected(source))

    def _nas(self, fetch: Fetch, source: NasSource, account: Account) -> Path:
        connection = account.connection
        if connection.local_path or self._ways.mount:
            fetch.place = connection.local_path or connection.nfs
            root = (
                Path(connection.local_path)
                if connection.local_path
                else nas.mounted(connection, self._ways.mounts)
            )
            return nas.folder(root, source)
        remote = opened(source, account, self._ways.find, self._clock)
        return self._fetched(fetch, remote, self._ways.whole_files)

    def _fetched(self, fetch: Fetch, remote: Opened, snapshots: Snapshots) -> Path:
        def stopped() -> bool:
            # A service that was deleted or stopped asks no more: its network is for others.
            return fetch.stop.is_set() or self._clock() - fetch.asked > _LATELY

        try:
            found = snapshots.fetch(remote, fetch.tell, stopped)
        except Flaky:
            # What was fetched before is better than nothing: the store may be down for long.
            kept = snapshots.newest(remote.identity)
            if kept is None:
                raise
            found = kept
        finally:
            remote.close()
        # It stays as long as a service names this source; see `eviction`.
        return snapshots.use(found, str(fetch.source)).files


_AGAIN = f"It is tried again every {RETRY_AFTER:g} seconds."


def _hold(problem: PierheadError) -> Hold:
    said = str(problem).rstrip(".")
    text = said if said.endswith("?") else f"{said}."
    facts = {"problem": said}
    if isinstance(problem, Unavailable):
        facts = {"source": problem.what, "place": problem.what, "problem": problem.why}
    match problem:
        case Unconnected() | NoModel():
            return problem.hold
        case Denied():
            return Hold("StorageDenied", text, permanent=True, facts=facts)
        case Missing():
            return Hold("WeightsMissing", text, permanent=True, facts=facts)
        case Invalid():  # several models and none is named, or names that no file can have
            return Hold("WeightsUnavailable", text, permanent=True, facts=facts)
        case RemoteError() if problem.permanent:
            return Hold("WeightsUnavailable", text, permanent=True, facts=facts)
        case _:
            return Hold("WeightsUnavailable", f"{text} {_AGAIN}", facts=facts)


def unconnected(source: Source) -> Hold:
    """What is said of a source that no connection serves."""
    if isinstance(source, HubSource):
        text = (
            f"{source} was not asked for: this platform asks model hubs only where it may. Set "
            f"hubs.online = true in settings.toml, or add a connection with `pierhead storage add "
            f"{source.scheme} NAME`; the service goes on by itself then."
        )
        facts = {"source": str(source), "problem": "hubs.online"}
        return Hold("StorageNotConnected", text, permanent=True, facts=facts)
    if isinstance(source, NasSource):
        what = f"the mount target [{source.mount_target}] of {source}"
        add = f"nas NAME --mount-target {source.mount_target} --local-path PATH"
    else:
        what = f"the bucket [{source.bucket}] of {source}"
        add = f"{source.kind} NAME --bucket {source.bucket} --endpoint URL --region REGION"
    text = f"No storage connection serves {what}: add one with `pierhead storage add {add}`"
    facts = {"source": str(source), "command": f"pierhead storage add {add}"}
    text = f"{text}; the service goes on by itself then."
    return Hold("StorageNotConnected", text, permanent=True, facts=facts)
