"""Puts together what scales services: the figures of this host, the loop, and the platform that knows of it."""

import time
from dataclasses import dataclass, replace

from pierhead.bootstrap.time_zones import zones
from pierhead.core.autoscale import Outcome
from pierhead.operations.platform import Platform
from pierhead.reconciler.figures import LiveFigures
from pierhead.reconciler.scaling import Scaling
from pierhead.reconciler.service import ServicePass
from pierhead.runtimes.process.cpu_times import cpu_seconds
from pierhead.settings import Settings
from pierhead.store.db import Database


@dataclass(frozen=True, slots=True)
class Scaled:
    """A platform whose counts follow load and clock."""

    platform: Platform
    live: LiveFigures  #: takes every report of every gateway
    loop: Scaling


def with_scaling(
    platform: Platform, settings: Settings, db: Database, one_pass: ServicePass
) -> Scaled:
    """The platform as it tells what its scalers came to last, and what makes them decide.

    `db`: the database for what scalers write. `one_pass` knows what else follows loads, and the quotas.
    """

    def last(service: str) -> Outcome | None:
        return loop.last(service)

    knowing = replace(platform, scaled=last, zones=zones(settings.time_zone))
    # A cluster may be without nodes for a moment.
    cores = max((node.cpu for node in platform.nodes), default=1)
    live = LiveFigures(platform.runtime, time.monotonic, cpu_seconds, cores)
    beside = one_pass.follower, one_pass.admission.bounds
    loop = Scaling(replace(knowing, db=db), live, settings.scaling_seconds, *beside)
    return Scaled(knowing, live, loop)
