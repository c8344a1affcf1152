"""Carries out the jobs of cron-scalers: each moment once, a missed one as soon as the hub is back."""

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import Connection

from pierhead.core import cron_scalers
from pierhead.core.cron_scalers import Due, Run, Runs
from pierhead.core.services import Service
from pierhead.operations import scalers
from pierhead.operations.platform import Platform
from pierhead.store import scalers as rows
from pierhead.store.scalers import ClockScaler, LoadScaler

_NOT_RUNNING = "The service is not to run: its number of replicas was left as it is."


class ScaleJobs:
    """Knows up to when each service's jobs were looked at."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        #: Service id -> (which scaler, epoch seconds).
        self._probed: dict[str, tuple[tuple[float, int], float]] = {}

    async def look(
        self, cron: ClockScaler, service: Service | None, auto: LoadScaler | None, now: float
    ) -> bool:
        """Carry out the newest of the jobs that are due; False if none is.

        Args:
            cron: the scaler.
            service: the one it belongs to; None = it is not to run.
            auto: its auto-scaler, whose limits hold for jobs, too.
            now: epoch seconds.

        Raises:
            NotFound, Conflict: the service is gone, or changes faster than it can be changed.
            Unavailable: the database does not answer.
        """
        which = cron.created, cron.revision
        known, probed = self._probed.get(cron.service, (None, 0.0))
        if known != which:
            probed = cron.runs.probed
        due = cron_scalers.due(cron.scaler, self._platform.zones, probed, now)
        if due and service is not None:
            await self._carry_out(cron, service, auto, due)
        elif due:
            runs = _after(cron, due, Run("Failed", _NOT_RUNNING, due[-1].at), now)
            await self._platform.db.write(rows.remember_runs, cron, runs)
        self._probed[cron.service] = which, now
        return bool(due)

    def soonest(self, crons: Iterable[ClockScaler], now: float, until: float) -> float:
        """When the next job of any of these is due, in epoch seconds; `until` if none is before."""
        zones = self._platform.zones
        moments = (cron_scalers.soonest(one.scaler, zones, now, until) for one in crons)
        return min((at for at in moments if at is not None), default=until)

    def keep(self, services: Iterable[str]) -> None:
        """Forget what is not of these services."""
        here = set(services)
        self._probed = {id_: known for id_, known in self._probed.items() if id_ in here}

    async def _carry_out(
        self, cron: ClockScaler, service: Service, auto: LoadScaler | None, due: list[Due]
    ) -> None:
        job = due[-1].job
        target = auto.scaler.bounded(job.target) if auto else job.target
        cut = (
            f", for {job.target} is outside its auto-scaler's limits"
            if target != job.target
            else ""
        )
        step = f"from {service.replicas} to {target} replicas{cut}"
        message = f"Job [{job.name}] ({job.schedule}): {step}."
        runs = _after(cron, due, Run("Succeed", message, due[-1].at), self._platform.clock())

        def also(tx: Connection, _service: str) -> None:
            rows.remember_runs(tx, cron, runs)

        told = "ScaledBySchedule", message
        await scalers.adjust(self._platform, service, target, told, also, whatever=True)


def _after(cron: ClockScaler, due: list[Due], last: Run, now: float) -> Runs:
    """What is known of all jobs once the last of those that were due was dealt with."""
    newest = due[-1].job.name
    passed = f"Job [{newest}] came after it, before the hub could look."
    by_job = {one.job.name: Run("Succeed", passed, one.at) for one in due} | {newest: last}
    return replace(cron.runs, probed=now, by_job={**cron.runs.by_job, **by_job})
