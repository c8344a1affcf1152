"""Jobs: what a call asked for outlives the connection it came on, and the hub that took it.

A call begins its job before it does anything, commits it in the very transaction that writes its
intent, and ends it with the answer. So a hub that starts again knows of each job whether anything
was done: `recover` answers the ones that a former hub left behind.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sqlalchemy import Connection

from pierhead.core.errors import PierheadError, Refused, Unavailable
from pierhead.core.jobs import Job, JobState
from pierhead.core.principals import Principal
from pierhead.operations.platform import Platform
from pierhead.store import jobs as rows
from pierhead.store.jobs import Ending

#: Gives the answer of a job that was committed, from the objects as they are now.
Present = Callable[[Job], Awaitable[Mapping[str, Any]]]
#: Gives the dialect's `{"error": {...}}` of an error.
Refuse = Callable[[PierheadError], Mapping[str, Any]]


class Jobs:
    """The jobs of one hub."""

    def __init__(
        self,
        platform: Platform,
        keep: float = 10_800.0,
        ended: Callable[[str], None] = lambda _job: None,
    ) -> None:
        """`keep`: seconds that an answer can be had; `ended` hears of jobs that have a webhook."""
        self._platform, self._keep, self._ended = platform, keep, ended

    async def begin(
        self, job: str, api: str, principal: Principal | None, webhook: str = ""
    ) -> None:
        """Keep a job as accepted; `webhook` is to be told of its end.

        Raises:
            DuplicateJob: the id was used before.
            Unavailable: the database does not answer.
        """
        now = self._platform.clock()
        accepted = Job(
            id=job,
            api=api,
            principal=principal.id if principal else "",
            created=now,
            expires=now + self._keep,
            webhook=webhook,
        )
        await self._platform.db.write(rows.add, accepted)

    def commit(self, tx: Connection, job: str, uuid: str) -> None:
        """Note that something was done, in the transaction that does it; once per object.

        Raises:
            Stale: the job is unknown, or has ended: nothing may happen for it any more.
        """
        rows.commit(tx, job, uuid)

    async def finish(self, job: str, state: JobState, answer: Mapping[str, Any]) -> None:
        """Keep the answer: DONE with the answer's own keys, or FAILED with `{"error": {...}}`.

        Of a job that has one already, the first answer stays.

        Raises:
            Unavailable: the database does not answer.
        """
        now = self._platform.clock()
        ending = Ending(state, answer, now, now + self._keep)
        if await self._platform.db.write(rows.end, job, ending):
            self._ended(job)

    async def find(self, job: str) -> Job | None:
        """A job by its id; None when it is unknown or has expired.

        Raises:
            Unavailable: the database does not answer.
        """
        found = await self._platform.db.read(rows.load, job)
        if found and found.ended and found.expires <= self._platform.clock():
            return None
        return found

    async def recover(self, present: Present, refuse: Refuse, older: float = 0.0) -> int:
        """Answer the jobs of a hub that is no more; gives how many. Meant for before any port opens.

        `older`: only those that were begun so many seconds ago; where other hubs are at work, later ones
        may be theirs.

        Raises:
            Unavailable: the database does not answer.
        """
        begun = self._platform.clock() - older
        unfinished = await self._platform.db.read(rows.unfinished)
        left = [job for job in unfinished if job.created <= begun or not older]
        for job in left:
            if job.state is JobState.COMMITTED:
                await self.finish(job.id, JobState.DONE, await _presented(job, present))
            else:
                nothing = Unavailable(
                    f"The answer to {job.api}",
                    "the platform was restarted before anything was done for this call; repeat it",
                )
                await self.finish(job.id, JobState.FAILED, refuse(nothing))
        return len(left)


async def _presented(job: Job, present: Present) -> Mapping[str, Any]:
    try:
        return await present(job)
    except Refused:
        return {}  # it was done, and what it was done to has gone since
