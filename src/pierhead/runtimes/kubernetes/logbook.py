"""Logs of replicas: of those that run from the cluster, of earlier runs also from our own book."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

from pierhead.core import diagnosis
from pierhead.core.errors import NotFound, PierheadError, Unavailable
from pierhead.core.ids import Clock
from pierhead.runtimes.base import Attempt, LogLine, LogQuery
from pierhead.runtimes.kubernetes import fields, logs, names, pods
from pierhead.runtimes.kubernetes.api import Denied, KubeApi, LogWish, Manifest
from pierhead.runtimes.kubernetes.quantities import moment
from pierhead.runtimes.kubernetes.runs import LINES, RunBook, write

#: Lines of a replica that are counted, at most: the cluster does not say how many there are.
COUNTED = 20_000
#: Logs that are fetched at once for those who read them, and to be kept: crashes hold up no reader.
_AT_ONCE, _KEPT_AT_ONCE = 4, 2


class Logbook:
    """Reads logs, and keeps what runs that ended wrote last: the cluster forgets it with the next run."""

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        folder: Path,
        hint: Callable[[str], None],
        clock: Clock,
        concealed: Callable[[str], tuple[str, ...]],
    ) -> None:
        """`concealed` tells what pods of a service know and nobody shall read, by its id."""
        self._api, self._namespace, self._hint = api, namespace, hint
        self._clock, self._concealed = clock, concealed
        self._ends: dict[str, float] = {}  # uid -> when its grace is over
        self._book = RunBook(folder)
        self._reading = asyncio.Semaphore(_AT_ONCE)
        self._fetching = asyncio.Semaphore(_KEPT_AT_ONCE)
        self._keeping: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._files = (
            asyncio.Lock()
        )  #: one writes at a time, so that the last word is the one that stays

    async def load(self) -> None:
        """Read what an earlier process kept."""
        await asyncio.to_thread(self._book.load)

    def past(self, pod: Manifest) -> pods.Past:
        """What is remembered of a pod's runs."""
        uid = fields.text(pod, "metadata", "uid")
        service = fields.text(pod, "metadata", "labels", names.SERVICE_ID)
        found = replace(
            self._book.past(uid, _run(pod)),
            ends_at=self._ends.get(uid),
            hidden=self._concealed(service),
        )
        if found.lines and self._book.known(uid) != pods.crashes(pod):
            return replace(found, lines=())  # they are of an earlier run
        return found

    def seen(self, service: str, pod: Manifest, sight: Callable[[Manifest], pods.Sight]) -> None:
        """Take note of what a pod became: ready, or ended."""
        uid = fields.text(pod, "metadata", "uid")
        self._book.alive(uid, service)
        well, since = pods.condition(pod, "Ready")
        if well and since is not None and self._book.ready_at(uid, _run(pod)) is None:
            self._book.became_ready(uid, service, _run(pod), since)
        if pods.leaves_at(pod) is not None:
            left = self._clock() + fields.number(pod, "metadata", "deletionGracePeriodSeconds")
            self._ends[uid] = min(left, self._ends.get(uid, left))
            return  # what ends now ends because it was told to
        number = pods.crashes(pod)
        if number > self._book.known(uid) and (uid, number) not in self._keeping:
            keeping = asyncio.create_task(self._keep(service, sight(pod), number))
            self._keeping[uid, number] = keeping
            keeping.add_done_callback(lambda _: self._keeping.pop((uid, number), None))

    def gone(self, pod: str) -> None:
        """A pod is no more."""
        self._ends.pop(pod, None)
        self._book.gone(pod)

    async def forget(self, service: str) -> None:
        """Remove all that is kept of a service."""
        self._book.forget(service)
        async with self._files:
            await asyncio.to_thread(self._book.clear, service)

    async def forget_others(self, known: Collection[str]) -> None:
        """Remove what is kept of services that are none of these."""
        kept = await asyncio.to_thread(self._book.folders) | self._book.services()
        for service in kept - set(known):
            await self.forget(service)

    async def close(self) -> None:
        """Fetch nothing more."""
        keeping = list(self._keeping.values())
        for task in keeping:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)

    # ---- keep -----------------------------------------------------------------------------

    async def _keep(self, service: str, sight: pods.Sight, number: int) -> None:
        """Note how a run ended, with what it wrote last."""
        pod = sight.pod
        told = pods.ended(pods.own_status(pod))
        if not told:
            return
        uid = fields.text(pod, "metadata", "uid")
        end = pods.exit_of(pod, told)
        async with self._fetching:
            try:
                text = await self._log(
                    pod, LogWish(_engine(pod), previous=not _just_ended(pod), lines=LINES)
                )
                lines = tuple(line.text for line in logs.lines(text, uid, self._hidden(pod)))
            except PierheadError:
                lines = ()
        lines = lines or pods.lines_of(sight, told)
        cause = pods.why_killed(sight, end) or diagnosis.crash(end, lines[-50:])
        run = Attempt(
            replica=uid,
            number=number,
            started=moment(fields.text(told, "startedAt")) or end.at,
            ready_at=self._book.ready_at(uid, number),
            end=end,
            reason=cause.reason,
            message=cause.message,
            lines=lines,
        )
        self._book.note(service, run)
        async with self._files:
            page = self._book.written(run)
            if page is not None:
                await asyncio.to_thread(write, page)
        self._hint(service)

    def _hidden(self, pod: Manifest) -> tuple[str, ...]:
        return pods.hidden(pods.Sight(pod, past=self.past(pod)))

    async def _log(self, pod: Manifest, wish: LogWish) -> str:
        name = fields.text(pod, "metadata", "name")
        try:
            return await self._api.logs(name, self._namespace, wish)
        except Denied as error:
            raise Unavailable(f"The log of the pod {name}", str(error)) from error

    # ---- read -----------------------------------------------------------------------------

    async def lines(
        self, chosen: Sequence[Manifest], *, previous: bool, limit: int
    ) -> list[LogLine]:
        """The last `limit` lines of some pods, in the order of time."""
        each = await asyncio.gather(
            *(self._lines(pod, previous=previous, limit=limit) for pod in chosen)
        )
        return await asyncio.to_thread(logs.merged, each, limit)

    async def page(self, chosen: Sequence[Manifest], query: LogQuery) -> tuple[list[LogLine], int]:
        """Some lines, and the number of all that are counted."""
        most = max(COUNTED, query.skip + query.limit)
        found = await self.lines(chosen, previous=query.previous, limit=most)
        end = max(0, len(found) - query.skip)
        return found[max(0, end - query.limit) : end], len(found)

    async def _lines(self, pod: Manifest, *, previous: bool, limit: int) -> list[LogLine]:
        uid = fields.text(pod, "metadata", "uid")
        found = pods.own_status(pod)
        running = bool(fields.mapping(found, "state", "running"))
        ended = bool(pods.ended(found))
        if previous and not running:
            return await self._kept(pod, pods.crashes(pod) - 1)
        if previous and not ended:
            return []
        wish = LogWish(
            container=_engine(pod) if running or ended else _before(pod),
            previous=previous or (ended and not running and not _just_ended(pod)),
            lines=limit,
        )
        async with self._reading:
            try:
                text = await self._log(pod, wish)
            except NotFound:
                text = ""  # it went a moment ago
        # Some 20 us a line: by the ten thousand, these may not hold up everything else.
        read = await asyncio.to_thread(logs.lines, text, uid, self._hidden(pod))
        return read or (await self._kept(pod, pods.crashes(pod)) if wish.previous else [])

    async def _kept(self, pod: Manifest, number: int) -> list[LogLine]:
        uid = fields.text(pod, "metadata", "uid")
        service = self._book.service_of(uid)
        told = await asyncio.to_thread(self._book.lines, service, uid) if service else {}
        for run in self._book.of(service):
            if run.replica == uid and run.number == number:
                at = run.end.at if run.end else run.started
                return [LogLine(at, uid, line) for line in told.get((uid, number), run.lines)]
        return []

    async def attempts(
        self, service: str, group: Sequence[Manifest], *, replica: str, lines: int
    ) -> list[Attempt]:
        """Every run that is kept, and those that go on, oldest first."""
        kept = await asyncio.to_thread(self._book.lines, service) if lines and service else {}
        found: list[Attempt] = []
        for each in self._book.of(service):
            if replica in {"", each.replica}:
                told = kept.get((each.replica, each.number), each.lines)
                found.append(replace(each, lines=told[max(0, len(told) - lines) :]))
        for pod in group:
            uid = fields.text(pod, "metadata", "uid")
            started = moment(fields.text(pods.own_status(pod), "state", "running", "startedAt"))
            if started is None or replica not in {"", uid}:
                continue
            written = await self._lines(pod, previous=False, limit=lines) if lines else []
            number = _run(pod)
            ready_at = self._book.ready_at(uid, number)
            told = tuple(line.text for line in written)
            found.append(Attempt(uid, number, started, ready_at, lines=told))
        return sorted(found, key=lambda each: each.started)


def _run(pod: Manifest) -> int:
    """The number of a pod's present run, or of the one that ended last; counts from 1."""
    found = pods.own_status(pod)
    if fields.mapping(found, "state", "running"):
        return fields.number(found, "restartCount") + 1
    return max(1, pods.crashes(pod))


def _engine(pod: Manifest) -> str:
    """Beside it others may run, such as a mesh's: then the server wants to hear whose log is meant."""
    return fields.text(pods.container_of(pod), "name")


def _just_ended(pod: Manifest) -> bool:
    """Is its log still that of the run that ended, not that of the run before?"""
    return bool(fields.mapping(pods.own_status(pod), "state", "terminated"))


def _before(pod: Manifest) -> str:
    """The container that runs before its engine, while that is not there; "" = there is none."""
    every = fields.many(pod, "status", "initContainerStatuses")
    return next((fields.text(each, "name") for each in every if not each.get("ready")), "")
