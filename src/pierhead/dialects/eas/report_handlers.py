"""The operations that tell what is there and what came of it: instances, logs, events, diagnoses, endpoints."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pierhead.core.errors import NotFound
from pierhead.core.services import Seen
from pierhead.core.why import why, why_replica
from pierhead.dialects.eas import listing, present
from pierhead.dialects.eas.app import Call, Handler
from pierhead.dialects.eas.present import View
from pierhead.operations import pools, reports, services
from pierhead.operations.platform import Platform
from pierhead.runtimes.base import LogLine, LogQuery
from pierhead.store.events import EventQuery

_WEEK = 7 * 86400.0
#: What chooses lines by more than their place.
_SIFTING = frozenset({"Keyword", "StartTime", "EndTime", "Ip", "ContainerName"})

Answer = dict[str, Any]


class ReportHandlers:
    """Handlers over one platform. Names of the methods are the operations' names in snake case."""

    def __init__(self, platform: Platform, view: View) -> None:
        self._platform, self._view = platform, view

    def table(self) -> Mapping[str, Handler]:
        """Operation -> handler."""
        return {
            "ListServiceInstances": self.list_service_instances,
            "DescribeServiceLog": self.describe_service_log,
            "DescribeServiceEvent": self.describe_service_event,
            "DescribeServiceEndpoints": self.describe_service_endpoints,
            "DescribeServiceDiagnosis": self.describe_service_diagnosis,
            "DescribeServiceInstanceDiagnosis": self.describe_service_instance_diagnosis,
        }

    async def list_service_instances(self, call: Call) -> Answer:
        """Replicas: address, state, restarts, node."""
        listing.demand_no_member(call.query, "MemberType")
        number, size = listing.page(call.query)
        service, seen = await services.find(self._platform, _name(call), call.principal)
        here = (pools.id_of(self._platform), self._platform.region)
        within = listing.is_of(call.query, here, service.quota)
        matching = listing.instances(seen.replicas, call.query) if within else []
        shown = [
            present.instance(self._view, replica, call.language)
            for replica in matching[(number - 1) * size : number * size]
        ]
        return {
            "Instances": shown,
            "PageNumber": number,
            "PageSize": size,
            "TotalCount": len(matching),
        }

    async def describe_service_log(self, call: Call) -> Answer:
        """What the replicas wrote; page 1 is the newest."""
        number, size = listing.page(call.query, "PageNum")
        service, seen = await services.find(self._platform, _name(call), call.principal)
        instance = _instance(call, seen)
        if _SIFTING.isdisjoint(call.query):
            skip, previous = (number - 1) * size, bool(call.query.get("Previous"))
            query = LogQuery(instance, previous, skip, size)
            lines, total = await reports.log_page(
                self._platform, _name(call), query, call.principal
            )
        else:
            sifted = await self._sifted(call, service.name, seen, instance)
            lines, total = listing.newest_page(sifted, number, size), len(sifted)
        return {
            "Logs": [line.text if instance else f"[{line.replica}] {line.text}" for line in lines],
            "PageNum": number,
            "TotalCount": total,
            "TotalPageNum": listing.pages(total, size),
        }

    async def _sifted(
        self, call: Call, service: str, seen: Seen, instance: str
    ) -> Sequence[LogLine]:
        """All lines that are asked for: to find them, the whole log is read."""
        found = await reports.logs(
            self._platform,
            _name(call),
            replica=instance,
            previous=bool(call.query.get("Previous")),
            actor=call.principal,
        )
        hosts = {replica.id: replica.host for replica in seen.replicas}
        wanted_host, container = call.query.get("Ip"), call.query.get("ContainerName", service)
        lines = [
            line
            for line in found
            if wanted_host in {None, hosts.get(line.replica)} and container == service
        ]
        return listing.log_lines(lines, call.query)

    async def describe_service_event(self, call: Call) -> Answer:
        """What happened and why, newest first; without times the last seven days."""
        number, size = listing.page(call.query, "PageNum")
        now = self._platform.clock()
        since, until = listing.span(call.query, now - _WEEK, now)
        query = EventQuery(
            type=call.query.get("EventType", ""),
            replica=call.query.get("InstanceName", ""),
            since=since,
            until=until,
            offset=(number - 1) * size,
            limit=size,
        )
        found, total = await reports.events(self._platform, _name(call), query, call.principal)
        return {
            "Events": [present.event(item) for item in found],
            "PageNum": number,
            "TotalCount": total,
            "TotalPageNum": listing.pages(total, size),
        }

    async def describe_service_diagnosis(self, call: Call) -> Answer:
        """All that is not as wanted, what lies deepest first; nothing when it runs as wanted."""
        service, seen = await services.find(self._platform, _name(call), call.principal)
        found = why(service, seen, self._platform.clock(), call.language)
        return {"DiagnosisList": [present.diagnosis(each, call.language) for each in found]}

    async def describe_service_instance_diagnosis(self, call: Call) -> Answer:
        """Why one replica is not ready; empty when it is."""
        service, seen = await services.find(self._platform, _name(call), call.principal)
        name = call.path["InstanceName"]
        replica = next((each for each in seen.replicas if each.id == name), None)
        if replica is None:
            raise NotFound("instance", name)
        found = why_replica(service, replica, call.language)
        return {"Diagnosis": present.diagnosis(found, call.language)}

    async def describe_service_endpoints(self, call: Call) -> Answer:
        """URLs and token."""
        service, _seen = await services.find(self._platform, _name(call), call.principal)
        url = self._view.endpoint(service)
        endpoint = {
            "BackendId": "",
            "EndpointType": "DefaultGateway",
            "InternetEndpoints": [url],
            "IntranetEndpoints": [url],
            "PathType": "Service",
            "Port": _port(self._platform.gateway),
        }
        return {"AccessToken": service.token, "Endpoints": [endpoint], "Message": ""}


def _name(call: Call) -> str:
    return present.core_id(call.path["ServiceName"])


def _instance(call: Call, seen: Seen) -> str:
    name: str = call.query.get("InstanceName", "")
    if name and name not in {replica.id for replica in seen.replicas}:
        raise NotFound("instance", name)
    return name


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)
