"""What of a workload goes to the cluster now. Pure.

The owner's own controller rolls; what it knows nothing of is decided here: a rollout that is held
or frozen leaves the pods' template as it is, and a quota's room bounds how many new pods there may be.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pierhead.core import plan
from pierhead.core.replicas import LEAVING, ReplicaState, ReplicaStatus
from pierhead.core.templates import Rolling
from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes import fields, owners
from pierhead.runtimes.kubernetes.api import Manifest


@dataclass(frozen=True, slots=True)
class Deployed:
    """What was last asked of the cluster."""

    rollout: str
    replicas: int


@dataclass(frozen=True, slots=True)
class Render:
    """Send it as objects; nothing in it is bounded any more."""

    workload: Workload


@dataclass(frozen=True, slots=True)
class Scale:
    """Change the number of replicas alone; what they run stays."""

    replicas: int


Step = Render | Scale | None


def deployed(owner: Manifest | None) -> Deployed | None:
    """What was last asked of an owner; None = it is not there, or is being deleted."""
    if owner is None or fields.at(owner, "metadata", "deletionTimestamp"):
        return None
    return Deployed(owners.rollout(owner), fields.number(owner, "spec", "replicas"))


def runs(workload: Workload, owner: Manifest) -> bool:
    """Is it what the owner runs, so that what is made for it fits the pods that there are?"""
    found = deployed(owner)
    return found is not None and found.rollout == workload.rollout and workload.replicas > 0


def step(workload: Workload, deployed: Deployed | None, live: int) -> Step:
    """The next step; None = nothing. `live` = replicas of this rollout that are not on their way out."""
    fresh = deployed is None or deployed.rollout != workload.rollout
    no_room = workload.room == 0 and not workload.crowded and fresh
    stays = workload.held or workload.frozen or no_room
    if deployed is None:
        number = _within(workload.replicas, workload.room)
        return None if stays or number == 0 else Render(_bounded(workload, number, None))
    if stays or workload.replicas == 0:
        number = min(deployed.replicas, workload.replicas)
        return None if number == deployed.replicas else Scale(number)
    if not fresh:
        room = None if workload.room is None else max(deployed.replicas, live + workload.room)
        return Render(_bounded(workload, _within(workload.replicas, room), _bounds(workload)))
    return Render(_rolled(workload, deployed))


def older(workload: Workload, owner: Manifest) -> int:
    """Replicas that the owner keeps in whose place another one is to come, and cannot yet.

    Where a quota has no room for the new ones, so many of these end as are in their way.
    """
    here = fields.number(owner, "spec", "replicas")
    return min(here, max(0, workload.replicas - workload.crowded))


def replaced(workload: Workload, replicas: Iterable[ReplicaStatus]) -> bool:
    """Are there as many of its rollout as are wanted, so that nobody needs an older owner's any more?"""
    ready = [each for each in replicas if each.rollout == workload.rollout]
    return sum(each.state is ReplicaState.READY for each in ready) >= workload.replicas


def _within(number: int, room: int | None) -> int:
    return number if room is None else min(number, room)


def _bounds(workload: Workload) -> tuple[int, int] | None:
    """(max_surge, max_unavailable) where the workload's own do not do; None = they do."""
    unavailable = plan.bounds(workload.rolling, workload.replicas)[1]
    if workload.crowded:
        return 0, max(unavailable, workload.crowded)
    return None


def _rolled(workload: Workload, deployed: Deployed) -> Workload:
    """A new rollout beside an older one."""
    bounds = _bounds(workload)
    if bounds is not None or workload.room is None:
        return _bounded(workload, workload.replicas, bounds)
    surge, unavailable = plan.bounds(workload.rolling, workload.replicas)
    surge = min(surge, workload.room)
    most = max(deployed.replicas, deployed.replicas + workload.room - surge)
    return _bounded(workload, min(workload.replicas, most), (surge, unavailable))


def _bounded(workload: Workload, number: int, bounds: tuple[int, int] | None) -> Workload:
    rolling = workload.rolling if bounds is None else Rolling(*bounds)
    return replace(
        workload,
        replicas=number,
        rolling=rolling,
        drained=frozenset(),
        room=None,
        crowded=0,
    )


def surplus(replicas: Iterable[ReplicaStatus], wanted: int) -> list[str]:
    """Ids of those that leave when fewer are wanted: those that serve nobody first, then the youngest."""
    live = [each for each in replicas if each.state not in LEAVING]
    live.reverse()  # of those made within the same second, the one that is told of last is the youngest
    order = sorted(live, key=lambda each: (each.state is ReplicaState.READY, -each.created))
    return [each.id for each in order[: max(0, len(live) - wanted)]]


def shown(statuses: Sequence[ReplicaStatus], over: frozenset[str]) -> list[ReplicaStatus]:
    """Without the pods that are `over` for good, once one that is younger takes requests in their place."""
    ready = [each.created for each in statuses if each.state is ReplicaState.READY]
    newest = max(ready, default=-1.0)
    return [each for each in statuses if each.id not in over or each.created > newest]
