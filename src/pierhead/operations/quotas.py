"""Quotas: how much services may hold together, and how much they do."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from sqlalchemy import Connection

from pierhead.core.aliases import Noun
from pierhead.core.errors import NotFound
from pierhead.core.identities import check_name
from pierhead.core.permits import refusal
from pierhead.core.principals import Principal
from pierhead.core.quota_sizes import of_replica
from pierhead.core.quotas import CHANGED, NOTHING, Amount, Quota
from pierhead.core.services import Service, Wanted
from pierhead.core.workspaces import Workspace
from pierhead.failpoint import passing
from pierhead.operations import rights
from pierhead.operations.iam import common
from pierhead.operations.iam.users import refuse_in_use
from pierhead.operations.platform import Platform
from pierhead.store import quotas as rows
from pierhead.store import services as service_rows
from pierhead.store import workspaces as workspace_rows
from pierhead.store.services import ServiceQuery

GET, LIST = "pierhead:GetQuota", "pierhead:ListQuotas"
_UNSEEN_NAME = "one that may not be seen"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class QuotaChange:
    """What is to be different; None = it stays, infinite = no bound."""

    cpu: float | None = None  #: cores
    memory: float | None = None  #: bytes
    gpus: float | None = None
    replicas: float | None = None

    def of(self, quota: Quota) -> Quota:
        """The quota after the change."""
        return replace(
            quota,
            cpu=_bound(self.cpu, quota.cpu),
            memory=_whole(_bound(self.memory, quota.memory)),
            gpus=_bound(self.gpus, quota.gpus),
            replicas=_whole(_bound(self.replicas, quota.replicas)),
        )


@dataclass(frozen=True, slots=True)
class Use:
    """A quota, and what counts against it."""

    quota: Quota
    used: Amount  #: by replicas that exist, in whatever state
    wanted: Amount  #: by services that are to run
    services: int = 0
    workspaces: tuple[str, ...] = ()  #: ids of those whose services all count


async def create_quota(
    platform: Platform, actor: Principal, id_: str, bounds: QuotaChange = QuotaChange()
) -> Use:
    """Make a quota; services that name it already are bound from now on, and none of them stops.

    Raises:
        Invalid: its id is not legal.
        Duplicate: there is one of that id.
        Unavailable: the database does not answer.
    """
    now = platform.clock()
    made = bounds.of(Quota(check_name("Quota", id_), created=now, updated=now))
    await _written(platform, lambda tx: rows.add(tx, made))
    return await _woken(platform, actor, made.id)


async def get_quota(platform: Platform, actor: Principal, id_: str) -> Use:
    """A quota and what counts against it.

    Raises:
        NotFound: there is none.
        Forbidden: no policy lets the actor see it, neither everywhere nor in a workspace that has it.
        Unavailable: the database does not answer.
    """
    return await platform.db.read(_get, platform, actor, id_)


async def list_quotas(
    platform: Platform, actor: Principal, marker: str = "", max_items: int = common.USUAL_ITEMS
) -> tuple[list[Use], str]:
    """The quotas that the actor sees by their ids, and the marker of the next page; "" = that was all.

    Raises:
        Invalid: `max_items` is not 1 to 1000.
        Unavailable: the database does not answer.
    """
    common.check_page(max_items)
    return await platform.db.read(_page, platform, actor, marker, max_items)


async def update_quota(platform: Platform, actor: Principal, id_: str, change: QuotaChange) -> Use:
    """Change bounds; a lower one stops nothing that runs.

    Raises:
        NotFound: there is none.
        Unavailable: the database does not answer.
    """

    def write(tx: Connection) -> None:
        rows.change(tx, replace(change.of(_known(tx, id_)), updated=platform.clock()))

    await _written(platform, write)
    return await _woken(platform, actor, id_)


async def delete_quota(
    platform: Platform, actor: Principal, id_: str, *, force: bool = False
) -> None:
    """Delete a quota. Forced, services that name it go on to do so, and are bound by nothing.

    Raises:
        NotFound: there is none.
        InUse: services or workspaces name it, and it is not forced; the message names some.
        Unavailable: the database does not answer.
    """

    def write(tx: Connection) -> list[str]:
        _known(tx, id_)
        spaces = workspace_rows.using_quota(tx, id_)
        if not force:
            refuse_in_use("Quota", id_, _having(tx, actor, id_, spaces))
        freed = [service.id for service in counted(tx, id_, spaces)]
        for space in spaces:
            workspace_rows.change(tx, replace(space, quota="", updated=platform.clock()))
        rows.remove(tx, id_)
        return freed

    wake(platform, await _written(platform, write))


async def _written(platform: Platform, write: Callable[[Connection], T]) -> T:
    await passing("quota.before_write")
    done = await platform.db.write(write)
    await passing("quota.after_write")
    return done


def counted(tx: Connection, quota: str, spaces: Sequence[Workspace]) -> list[Service]:
    """The services that name a quota ("" = none) or are in one of `spaces`; each once."""
    queries = [ServiceQuery(workspace=space.id) for space in spaces]
    queries += [ServiceQuery(quota=quota)] if quota else []
    found = {
        service.id: service for query in queries for service, _ in service_rows.page(tx, query)[0]
    }
    return list(found.values())


def wake(platform: Platform, services: Iterable[str]) -> None:
    """Have the quotas read anew, and services looked at whose room may have changed."""
    platform.wake(CHANGED)
    for service in services:
        platform.wake(service)


async def _woken(platform: Platform, actor: Principal, id_: str) -> Use:
    """What a quota is like after a change, once those that it concerns are looked at."""

    def read(tx: Connection) -> tuple[Use, list[str]]:
        spaces = workspace_rows.using_quota(tx, id_)
        services = counted(tx, id_, spaces)
        use = _use(tx, platform, _known(tx, id_), services, spaces)
        return use, [service.id for service in services]

    use, concerned = await platform.db.read(read)
    wake(platform, concerned)
    return _shown(actor, use)


def _get(tx: Connection, platform: Platform, actor: Principal, id_: str) -> Use:
    spaces = workspace_rows.using_quota(tx, id_)
    if not sees(actor, id_, spaces, (GET,)):
        permit = actor.permit
        if permit is None:
            raise NotFound("Quota", id_)
        raise refusal(GET, permit.realm.arn(_noun(id_)), permit.asked((GET,), _noun(id_)))
    quota = _known(tx, id_)
    return _shown(actor, _use(tx, platform, quota, counted(tx, id_, spaces), spaces))


def _page(
    tx: Connection, platform: Platform, actor: Principal, marker: str, most: int
) -> tuple[list[Use], str]:
    by_quota: dict[str, list[Workspace]] = {}
    for space in workspace_rows.everything(tx):
        by_quota.setdefault(space.quota, []).append(space)
    left = [
        quota
        for quota in sorted(rows.everything(tx), key=lambda one: one.id)
        if quota.id > marker and sees(actor, quota.id, by_quota.get(quota.id, []), (LIST, GET))
    ]
    found, rest = common.cut(left, most, lambda quota: quota.id)
    uses: list[Use] = []
    for quota in found:
        spaces = by_quota.get(quota.id, [])
        uses.append(_shown(actor, _use(tx, platform, quota, counted(tx, quota.id, spaces), spaces)))
    return uses, rest


def sees(actor: Principal, quota: str, spaces: Sequence[Workspace], by: tuple[str, ...]) -> bool:
    """May `actor` see a quota, by one of the actions `by`, the first that policies speak of?

    It belongs to the workspaces that have it: who may see it in one of them may see it.
    """
    permit = actor.permit
    if actor.admin or permit is None:
        return actor.admin
    for within in ("", *(space.id for space in spaces)):
        for action in by:
            decision = permit.asked((action,), _noun(quota), within)
            if decision.allowed:
                return True
            if decision.explicit:
                break
    return False


def _shown(actor: Principal, use: Use) -> Use:
    """Without the workspaces of others."""
    permit = actor.permit
    if actor.admin or permit is None:
        return use
    noun = _noun(use.quota.id)
    mine = (one for one in use.workspaces if permit.asked((GET,), noun, one).allowed)
    return replace(use, workspaces=tuple(mine))


def _use(
    tx: Connection,
    platform: Platform,
    quota: Quota,
    services: Sequence[Service],
    spaces: Sequence[Workspace],
) -> Use:
    used = wanted = NOTHING
    for service in services:
        one = of_replica(service.current.template)
        wanted += one.times(service.wanted_replicas)
        running = Counter(replica.rollout for replica in platform.runtime.observe(service.id))
        for rollout, count in running.items():
            used += _of_rollout(tx, service, rollout).times(count)
    return Use(quota, used, wanted, len(services), tuple(space.id for space in spaces))


def _of_rollout(tx: Connection, service: Service, rollout: str) -> Amount:
    """What one replica of a rollout counts for: what its own version asks for."""
    number = int(rollout.partition(".")[0])
    version = service.current
    if number != version.number:
        version = service_rows.version(tx, service.id, number) or version
    return of_replica(version.template)


def _having(
    tx: Connection, actor: Principal, id_: str, spaces: Sequence[Workspace]
) -> dict[str, list[str]]:
    found, _ = service_rows.page(tx, ServiceQuery(quota=id_))
    naming = [service for service, _ in found if service.wanted is not Wanted.DELETED]
    return {"Workspace": [space.id for space in spaces], "Service": names(actor, naming)}


def names(actor: Principal, services: Sequence[Service]) -> list[str]:
    """What services are called, as far as `actor` may see them."""
    return [
        service.name if rights.sees_service(actor, service) else _UNSEEN_NAME
        for service in services
    ]


def _known(tx: Connection, id_: str) -> Quota:
    found = rows.load(tx, id_)
    if found is None:
        raise NotFound("Quota", id_)
    return found


def _noun(quota: str) -> Noun:
    return ("pierhead", f"quota/{quota}")


def _bound(new: float | None, old: float | None) -> float | None:
    if new is None:
        return old
    return None if new == float("inf") else new


def _whole(bound: float | None) -> int | None:
    return None if bound is None else int(bound)
