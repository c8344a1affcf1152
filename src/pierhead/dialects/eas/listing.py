"""Filters, sorting and paging of the list operations, as the wire has them. Pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pierhead.core.errors import Invalid, Unsupported
from pierhead.core.names import id_of
from pierhead.core.replicas import ReplicaStatus
from pierhead.dialects.eas.present import INSTANCE_STATUS, core_id
from pierhead.runtimes.base import LogLine
from pierhead.store.scalers import CRON, LOAD
from pierhead.store.services import ServiceQuery, Sort

#: Filters on what is the same for every service here: another value matches nothing.
_CONSTANT: Mapping[str, str] = {
    "Accessibility": "PUBLIC",
    "Gateway": "",
    "ParentServiceUid": "",
    "ResourceBurstable": "false",
    "ResourceType": "",
    "Role": "Standard",
    "ServiceType": "Standard",
}
#: Filters on the pool of machines that a service asked for, by its id or its name.
_POOLS = ("ResourceId", "ResourceName", "ResourceAliasName")
_SCALERS = {"AutoscalerEnabled": LOAD, "CronscalerEnabled": CRON}
_SORTS: Mapping[str, Sort] = {
    "createtime": "created",
    "updatetime": "updated",
    "servicename": "name",
}
_TIME_FORMS = (
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%MZ",
    "%Y-%m-%d",
)


def matches_nothing(query: Mapping[str, Any]) -> bool:
    """Does a filter ask for a kind of service that does not exist here?"""
    for name, only in _CONSTANT.items():
        value = query.get(name)
        if value is not None and str(value).lower() != only.lower():
            return True
    return False


def service_query(query: Mapping[str, Any], pool: str = "", pool_name: str = "") -> ServiceQuery:
    """The query of ListServices; conditions AND. The status is filtered apart, it is computed.

    `pool`: id of the pool of machines.
    """
    number, size = page(query)
    pools = {pool if query[name] == pool_name else query[name] for name in _POOLS if name in query}
    return ServiceQuery(
        name=query.get("ServiceName", ""),
        contains=query.get("Filter", ""),
        id=_digits(query.get("ServiceUid", "")),
        group=query.get("GroupName", ""),
        workspace=query.get("WorkspaceId", ""),
        or_no_workspace=bool(query.get("IncludeNoWorkspace")),
        quota=query.get("QuotaId", ""),
        pools=tuple(sorted(pools)),
        caller=query.get("CallerUid", ""),
        grouped={"grouping": True, "standalone": False}.get(
            str(query.get("TrafficState", "")).lower()
        ),
        scaled={kind: query[name] for name, kind in _SCALERS.items() if name in query},
        labels=query.get("Label", {}),
        sort=_SORTS.get(str(query.get("Sort", "")).lower(), "created"),
        descending=str(query.get("Order", "desc")).lower() != "asc",
        offset=(number - 1) * size,
        limit=size,
    )


def _digits(uid: str) -> str:
    found = core_id(uid)
    return id_of(found) or found


def page(query: Mapping[str, Any], number: str = "PageNumber") -> tuple[int, int]:
    """(page, size); both were checked and cut when they were read."""
    return int(query[number]), int(query["PageSize"])


def demand_no_member(query: Mapping[str, Any], name: str) -> None:
    """Refuse what speaks of one member of a service that is made of several.

    Raises:
        Unsupported: there is such a parameter, and it is not empty.
    """
    if query.get(name):
        reason = "no service here is made of several members; leave the parameter out"
        raise Unsupported(f"The parameter {name}", reason)


def is_of(query: Mapping[str, Any], pools: Collection[str], quota: str) -> bool:
    """Are instances in these pools, of a service of this quota, those that are asked for?"""
    pool, counted = query.get("Resource"), query.get("QuotaId")
    return (not pool or pool in pools) and (not counted or counted == quota)


def instances(replicas: Sequence[ReplicaStatus], query: Mapping[str, Any]) -> list[ReplicaStatus]:
    """The replicas that pass the filters, in the order asked for.

    Each is one instance, so `ListReplica` lists the same.
    """
    passing = [replica for replica in replicas if _passes(replica, query)]
    passing.sort(
        key=lambda replica: (replica.started or replica.created, replica.id),
        reverse=str(query.get("Order", "desc")).lower() != "asc",
    )
    return passing


def _passes(replica: ReplicaStatus, query: Mapping[str, Any]) -> bool:
    facts = {
        "InstanceName": replica.id,
        "ReplicaName": replica.id,
        "InstanceIP": replica.host,
        "HostIP": replica.host,
        "InstanceStatus": INSTANCE_STATUS[replica.state],
        "InstanceType": "",
        "IsSpot": "false",
        "ResourceType": "DedicatedResource",
        "Role": "Standard",
    }
    if any(
        query.get(name) is not None and str(query[name]).lower() != fact.lower()
        for name, fact in facts.items()
    ):
        return False
    anywhere = query.get("Filter")
    return anywhere is None or any(anywhere in fact for fact in (replica.id, replica.host))


def log_lines(lines: Sequence[LogLine], query: Mapping[str, Any]) -> list[LogLine]:
    """The lines within the time span and with the keyword."""
    since, until = span(query, 0.0, float("inf"))
    keyword = query.get("Keyword", "")
    return [line for line in lines if since <= line.at <= until and keyword in line.text]


def newest_page(lines: Sequence[LogLine], number: int, size: int) -> Sequence[LogLine]:
    """Page 1 holds the newest lines; within a page the oldest comes first."""
    end = len(lines) - (number - 1) * size
    return lines[max(0, end - size) : max(0, end)]


def span(query: Mapping[str, Any], since: float, until: float) -> tuple[float, float]:
    """StartTime and EndTime in epoch seconds, else the usual ones.

    Raises:
        Invalid: one is no time.
    """
    first, last = query.get("StartTime"), query.get("EndTime")
    return (
        since if first is None else moment("StartTime", first),
        # Times on the wire have whole seconds: the last one counts as a whole.
        until if last is None else moment("EndTime", last) + 0.999999,
    )


def moment(name: str, text: str) -> float:
    """A UTC time in epoch seconds.

    Raises:
        Invalid: the text is no time; the message names the parameter.
    """
    for form in _TIME_FORMS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    raise Invalid(name, f"[{text[:40]}]", "a UTC time such as 2026-11-21T19:27:22Z")


def pages(total: int, size: int) -> int:
    """How many pages there are."""
    return -(-total // size)
