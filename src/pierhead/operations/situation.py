"""How the whole platform is: services by status, what needs somebody's attention, what there is room for."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from pierhead.core.diagnosis import Diagnosis
from pierhead.core.languages import Language
from pierhead.core.principals import Principal
from pierhead.core.quotas import NOTHING, Amount
from pierhead.core.services import Service
from pierhead.core.status import Status, verdict
from pierhead.core.why import attention
from pierhead.operations import overview
from pierhead.operations.nodes import Machine, Nodes
from pierhead.operations.platform import Platform

#: Services that are told of, at most: who has more in trouble needs a list, no overview.
MOST = 50


@dataclass(frozen=True, slots=True)
class Trouble:
    """A service that somebody should look at."""

    service: Service
    status: Status
    diagnosis: Diagnosis


@dataclass(frozen=True, slots=True)
class Situation:
    """All of it at one moment."""

    services: Mapping[str, int]  #: status -> how many; those that nobody has are left out
    troubles: tuple[Trouble, ...]  #: the newest change first
    troubled: int  #: how many there are in all
    gateways: int  #: that were heard of just now
    machines: tuple[Machine, ...]
    warnings: tuple[str, ...]  #: of the runtime, about this host
    runtime: str

    @property
    def reserved(self) -> Amount:
        """What replicas count for, on all machines."""
        total = NOTHING
        for machine in self.machines:
            total += machine.reserved
        return total


async def at_present(nodes: Nodes, actor: Principal, language: Language) -> Situation:
    """The situation as far as `actor` may see it; room is told as a whole.

    Raises:
        Unavailable: the database does not answer.
    """
    platform: Platform = nodes.platform
    now = platform.clock()
    found = await overview.services(platform, actor)
    counts = Counter[str]()
    troubles: list[Trouble] = []
    for service, seen in found:
        status = verdict(service, seen, now).status
        counts[str(status)] += 1
        diagnosis = attention(service, seen, now, language)
        if diagnosis is not None:
            troubles.append(Trouble(service, status, diagnosis))
    troubles.sort(key=lambda one: (-one.service.updated, one.service.name))
    info = await nodes.info()
    return Situation(
        services=dict(sorted(counts.items())),
        troubles=tuple(troubles[:MOST]),
        troubled=len(troubles),
        gateways=platform.traffic().gateways,
        machines=await nodes.machines(actor),
        warnings=info.warnings,
        runtime=info.name,
    )
