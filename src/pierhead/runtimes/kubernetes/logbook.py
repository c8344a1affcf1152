"""Logs of replicas: of those that run from the cluster, of earlier runs also from our own book."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pierhead.core import diagnosis
from pierhead.core.errors import NotFound, PierheadError, Unavailable
from pierhead.runtimes.base import Attempt, LogLine, LogQuery
from pierhead.runtimes.kubernetes import fields, logs, pods
from pierhead.runtimes.kubernetes.api import Denied, KubeApi, LogWish, Manifest
from pierhead.runtimes.kubernetes.quantities import moment
from pierhead.runtimes.kubernetes.runs import LINES, RunBook

#: Lines of a replica that are counted, at most: the cluster does not say how many there are.
COUNTED = 20_000
#: Logs that are fetched at once.
_AT_ONCE = 4


class Logbook:
    """Reads logs, and keeps what runs that ended wrote last: the cluster forgets it with the next run."""

    def __init__(
        self, api: KubeApi, namespace: str, folder: Path, hint: Callable[[str], None]
    ) -> None:
        self._api, self._namespace, self._hint = api, namespace, hint
        self._book = RunBook(folder)
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._keeping: dict[tuple[str, int], asyncio.Task[None]] = {}

    async def load(self) -> None:
        """Read what an earlier process kept."""
        await asyncio.to_thread(self._book.load)

    def past(self, pod: Manifest) -> pods.Past:
        """What is remembered of a pod's runs."""
        uid = fields.text(pod, "metadata", "uid")
        found = self._book.past(uid, _run(pod))
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
            return  # what ends now ends because it was told to
        number = pods.crashes(pod)
        if number > self._book.known(uid) and (uid, number) not in self._keeping:
            keeping = asyncio.create_task(self._keep(service, sight(pod), number))
            self._keeping[uid, number] = keeping
            keeping.add_done_callback(lambda _: self._keeping.pop((uid, number), None))

    def gone(self, pod: str) -> None:
        """A pod is no more."""
        self._book.gone(pod)

    def forget(self, service: str) -> None:
        """Remove all that is kept of a service."""
        self._book.forget(service)

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
        async with self._turn:
            try:
                text = await self._log(pod, LogWish(previous=not _just_ended(pod), lines=LINES))
                lines = tuple(line.text for line in logs.lines(text, uid, pods.hidden(pod)))
            except PierheadError:
                lines = ()
        lines = lines or pods.lines_of(pod, told)
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
        await asyncio.to_thread(self._book.note, service, run)
        self._hint(service)

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
        return logs.merged(each, limit)

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
            return self._kept(pod, pods.crashes(pod) - 1)
        if previous and not ended:
            return []
        wish = LogWish(
            container="" if running or ended else _before(pod),
            previous=previous or (ended and not running and not _just_ended(pod)),
            lines=limit,
        )
        async with self._turn:
            try:
                text = await self._log(pod, wish)
            except NotFound:
                text = ""  # it went a moment ago
        read = logs.lines(text, uid, pods.hidden(pod))
        return read or (self._kept(pod, pods.crashes(pod)) if wish.previous else [])

    def _kept(self, pod: Manifest, number: int) -> list[LogLine]:
        uid = fields.text(pod, "metadata", "uid")
        service = self._book.service_of(uid)
        for run in self._book.of(service):
            if run.replica == uid and run.number == number:
                at = run.end.at if run.end else run.started
                return [LogLine(at, uid, line) for line in run.lines]
        return []

    async def attempts(
        self, service: str, group: Sequence[Manifest], *, replica: str, lines: int
    ) -> list[Attempt]:
        """Every run that is kept, and those that go on, oldest first."""
        found = [
            replace(each, lines=each.lines[max(0, len(each.lines) - lines) :])
            for each in self._book.of(service)
            if replica in {"", each.replica}
        ]
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


def _just_ended(pod: Manifest) -> bool:
    """Is its log still that of the run that ended, not that of the run before?"""
    return bool(fields.mapping(pods.own_status(pod), "state", "terminated"))


def _before(pod: Manifest) -> str:
    """The container that runs before its engine, while that is not there; "" = there is none."""
    every = fields.many(pod, "status", "initContainerStatuses")
    return next((fields.text(each, "name") for each in every if not each.get("ready")), "")
