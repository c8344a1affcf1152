"""What services are busy with at this moment, as far as somebody may see them."""

from dataclasses import dataclass

from pierhead.core.principals import Principal
from pierhead.core.replicas import ReplicaState
from pierhead.core.services import Service
from pierhead.core.status import Verdict, verdict
from pierhead.core.traffic import ServiceFigures
from pierhead.operations import overview
from pierhead.operations.platform import Platform


@dataclass(frozen=True, slots=True)
class Busy:
    """One service: how it is, and what it does."""

    service: Service
    verdict: Verdict
    ready: int  #: replicas that take requests
    figures: ServiceFigures


async def of_services(platform: Platform, actor: Principal) -> tuple[int, list[Busy]]:
    """Gateways that were heard of just now, and every service that `actor` sees, by name.

    Without a gateway all figures are zero: nobody knows them.

    Raises:
        Unavailable: the database does not answer.
    """
    traffic, now = platform.traffic(), platform.clock()
    found: list[Busy] = []
    for service, seen in await overview.services(platform, actor):
        ready = sum(one.state is ReplicaState.READY for one in seen.replicas)
        figures = traffic.of(service.id, (one.id for one in seen.replicas))
        found.append(Busy(service, verdict(service, seen, now), ready, figures))
    return traffic.gateways, sorted(found, key=lambda one: one.service.name)
