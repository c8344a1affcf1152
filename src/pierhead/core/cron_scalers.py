"""What owners want of a service's count by the clock: jobs that set it at their moments. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import lru_cache
from typing import Literal

from pierhead.core import schedule
from pierhead.core.errors import Invalid
from pierhead.core.lifecycle import MAX_REPLICAS

MAX_JOBS = 50
MAX_NAME = 63
#: How far back a hub looks, after it was down, for moments that it missed; seconds.
LOOK_BACK = 8 * 86400.0

#: The time zone that an IANA name means; "" = the platform's.
Zones = Callable[[str], tzinfo]
State = Literal["Submitted", "Succeed", "Failed"]


@dataclass(frozen=True, slots=True)
class Job:
    """A count, and the moments at which the service gets it."""

    name: str
    schedule: str  #: six-field cron expression
    target: int
    zone: str = ""  #: IANA name; "" = the platform's


@dataclass(frozen=True, slots=True)
class CronScaler:
    """All jobs of a service, and the moments at which none of them counts."""

    jobs: tuple[Job, ...]
    excluded: tuple[str, ...] = ()  #: six-field cron expressions


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a job."""

    state: State
    message: str
    at: float  #: epoch seconds of its moment


@dataclass(frozen=True, slots=True)
class Runs:
    """How far the jobs of a service were carried out."""

    probed: float = 0.0  #: epoch seconds up to which every moment was dealt with
    by_job: Mapping[str, Run] = field(default_factory=dict[str, Run])


@dataclass(frozen=True, slots=True)
class Due:
    """A job whose moment came."""

    at: int  #: epoch seconds
    job: Job


def check(scaler: CronScaler, zones: Zones) -> CronScaler:
    """`scaler`, if it can be followed.

    Raises:
        Invalid: one of its schedules, counts, names or time zones is not legal.
    """
    if not 1 <= len(scaler.jobs) <= MAX_JOBS:
        raise Invalid("ScaleJobs", f"{len(scaler.jobs)} of them", f"1 to {MAX_JOBS}")
    if len(scaler.excluded) > MAX_JOBS:
        raise Invalid("ExcludeDates", f"{len(scaler.excluded)} of them", f"at most {MAX_JOBS}")
    names: set[str] = set()
    for at, job in enumerate(scaler.jobs):
        _check_job(job, f"ScaleJobs[{at}].", zones)
        if job.name in names:
            raise Invalid(f"ScaleJobs[{at}].Name", f"[{job.name}] is another job's name, too")
        names.add(job.name)
    for at, text in enumerate(scaler.excluded):
        schedule.read(text, f"ExcludeDates[{at}]")
    return scaler


def _check_job(job: Job, field_name: str, zones: Zones) -> None:
    if not 1 <= len(job.name) <= MAX_NAME or not job.name.isprintable():
        raise Invalid(
            f"{field_name}Name", f"[{job.name[:MAX_NAME]}]", f"1 to {MAX_NAME} characters"
        )
    if not 0 <= job.target <= MAX_REPLICAS:
        legal = f"a whole number from 0 to {MAX_REPLICAS}"
        raise Invalid(f"{field_name}TargetSize", str(job.target), legal)
    schedule.read(job.schedule, f"{field_name}Schedule")
    try:
        zones(job.zone)
    except (KeyError, ValueError, OSError) as error:
        legal = "an IANA name such as Asia/Shanghai"
        raise Invalid(f"{field_name}TimeZone", f"[{job.zone[:80]}]", legal) from error


def due(scaler: CronScaler, zones: Zones, after: float, until: float) -> list[Due]:
    """The jobs with a moment after `after` and not after `until`, each with its newest one.

    The one that counts is the last: the newest moment, and of equal ones the last in the list.
    """
    after, excluded = max(after, until - LOOK_BACK), _excluded(scaler)
    found: list[Due] = []
    for job in scaler.jobs:
        at = schedule.latest(_read(job.schedule), zones(job.zone), after, until, excluded)
        if at is not None:
            found.append(Due(at, job))
    return sorted(found, key=lambda one: one.at)


def soonest(scaler: CronScaler, zones: Zones, now: float, until: float) -> int | None:
    """The first moment of any job after `now` and not after `until`, in epoch seconds."""
    excluded = _excluded(scaler)
    moments = (
        schedule.first(_read(job.schedule), zones(job.zone), now, until, excluded)
        for job in scaler.jobs
    )
    return min((at for at in moments if at is not None), default=None)


def _excluded(scaler: CronScaler) -> tuple[schedule.Schedule, ...]:
    return tuple(map(_read, scaler.excluded))


@lru_cache(1024)  # the same few are asked for every some seconds
def _read(text: str) -> schedule.Schedule:
    return schedule.read(text)
