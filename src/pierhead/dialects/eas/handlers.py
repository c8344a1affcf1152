"""The operations that do real work: each reads the call, asks for one use case, and shows what came of it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast
from urllib.parse import urlsplit

from pierhead.core.errors import Invalid, NotFound, Unsupported
from pierhead.core.events import Notice
from pierhead.core.services import Seen, Service
from pierhead.core.why import why, why_replica
from pierhead.dialects.eas import listing, present, revise
from pierhead.dialects.eas import service_document as documents
from pierhead.dialects.eas.app import Call, Handler
from pierhead.dialects.eas.containers import named
from pierhead.dialects.eas.messages import app_request, without_effect
from pierhead.dialects.eas.present import APP, DOCUMENT, View
from pierhead.operations import reports, resolving, services
from pierhead.operations.platform import Platform
from pierhead.operations.resolving import Resolved
from pierhead.operations.services import Decision, Draft
from pierhead.store.events import EventQuery

_WEEK = 7 * 86400.0

Answer = dict[str, Any]


class Handlers:
    """Handlers over one platform. Names of the methods are the operations' names in snake case."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._view = View(platform.region, platform.gateway, platform.clock, revise.config)
        self._listed = present.Listed(self._view)

    def table(self) -> Mapping[str, Handler]:
        """Operation -> handler."""
        return {
            "CreateAppService": self.create_app_service,
            "UpdateAppService": self.update_app_service,
            "CreateService": self.create_service,
            "UpdateService": self.update_service,
            "DescribeService": self.describe_service,
            "ListServices": self.list_services,
            "DeleteService": self.delete_service,
            "StartService": self.start_service,
            "StopService": self.stop_service,
            "RestartService": self.restart_service,
            "ListServiceInstances": self.list_service_instances,
            "DescribeServiceLog": self.describe_service_log,
            "DescribeServiceEvent": self.describe_service_event,
            "DescribeServiceEndpoints": self.describe_service_endpoints,
            "DescribeServiceDiagnosis": self.describe_service_diagnosis,
            "DescribeServiceInstanceDiagnosis": self.describe_service_instance_diagnosis,
        }

    async def create_app_service(self, call: Call) -> Answer:
        """A service from a spec, with the weights that Config names or the spec brings along."""
        request = app_request(call.body)
        found = await self._spec(call, request.spec or "", request.name or "")
        facts = {
            "AppType": request.app_type,
            "AppVersion": request.app_version,
            "ServiceSpec": request.spec,
            "Config": request.config,
        }
        draft = Draft(
            name=request.name or "",
            origin=APP,
            template=found.template,
            replicas=request.replicas or 0,
            submitted={key: value for key, value in facts.items() if value is not None},
            source=request.source,
            workspace=call.query.get("WorkspaceId", ""),
            quota=call.query.get("QuotaId", ""),
            notices=(*request.notices, *_strangers(call), *found.notices),
            registration=found.registration,
        )
        return self._created(await services.create(self._platform, call.principal, draft))

    async def create_service(self, call: Call) -> Answer:
        """A service from a service JSON."""
        if str(call.query.get("Develop", "")).lower() == "true":
            raise Unsupported(
                "Develop=true", "there is no development mode; a service runs as it is created"
            )
        found = await self._resolved(call, named(call.body), _document_name(call.body))
        names = revise.Names(found)
        spec = documents.translate(call.body, names)
        fresh = names.fresh(call.body)
        draft = Draft(
            name=spec.name,
            origin=DOCUMENT,
            template=spec.template,
            replicas=1 if spec.instance is None else spec.instance,
            submitted=call.body,
            source=spec.source,
            rolling=spec.rolling,
            request_timeout=spec.request_timeout,
            workspace=call.query.get("WorkspaceId") or spec.workspace_id,
            quota=spec.quota_id,
            group=spec.group,
            token=spec.token,
            labels=call.query.get("Labels", {}),
            notices=(*spec.notices, *(fresh.notices if fresh else ())),
        )
        return self._created(await services.create(self._platform, call.principal, draft))

    async def update_app_service(self, call: Call) -> Answer:
        """Only Replicas = scale, else a new version and a rolling update."""
        request = app_request(call.body)
        found = None
        if request.spec is not None:
            present_one, _seen = await services.find(self._platform, _name(call), call.principal)
            found = await self._spec(call, request.spec, present_one.name)
        owners = revise.Owners(call.query.get("WorkspaceId"), call.query.get("QuotaId"))
        request = replace(request, notices=(*request.notices, *_strangers(call)))

        def decide(service: Service, _seen: Seen, now: float) -> Decision:
            return revise.app(service, request, found, owners, now)

        return self._message(
            await services.change(self._platform, call.principal, _name(call), decide), "updating"
        )

    async def update_service(self, call: Call) -> Answer:
        """Merge into the service JSON or put a new one in place."""
        merge = str(call.query.get("UpdateType", "merge")).lower() == "merge"
        before, _seen = await services.find(self._platform, _name(call), call.principal)
        found: dict[str, Resolved] = {}
        for document in (revise.config(before), call.body):
            names = [name for name in named(document) if not revise.is_own(before, name)]
            found |= await self._resolved(call, names, before.name)

        def decide(service: Service, _seen: Seen, now: float) -> Decision:
            return revise.document(service, call.body, found, now, merge=merge)

        return self._message(
            await services.change(self._platform, call.principal, _name(call), decide), "updating"
        )

    async def describe_service(self, call: Call) -> Answer:
        """Wanted and observed state as one object."""
        service, seen = await services.find(self._platform, _name(call), call.principal)
        return present.service(self._view, service, seen, call.language)

    async def list_services(self, call: Call) -> Answer:
        """All filters AND; paging, sorting, labels, status."""
        number, size = listing.page(call.query)
        found, total = [], 0
        if not listing.matches_nothing(call.query):
            query = listing.service_query(call.query)
            found, total = await services.page(
                self._platform, query, call.query.get("ServiceStatus", ""), call.principal
            )
        shown = [self._listed.show(service, seen, call.language) for service, seen in found]
        return {"Services": shown, "PageNumber": number, "PageSize": size, "TotalCount": total}

    async def delete_service(self, call: Call) -> Answer:
        """Drain, stop, remove; the record goes last."""
        return self._message(
            await services.delete(self._platform, call.principal, _name(call)), "deleting"
        )

    async def start_service(self, call: Call) -> Answer:
        """Replicas up to the wanted count."""
        return self._message(
            await services.start(self._platform, call.principal, _name(call)), "starting"
        )

    async def stop_service(self, call: Call) -> Answer:
        """Drain, then no replica; configuration, name and token stay."""
        return self._message(
            await services.stop(self._platform, call.principal, _name(call)), "stopping"
        )

    async def restart_service(self, call: Call) -> Answer:
        """Rolling replacement; no request is lost."""
        return self._message(
            await services.restart(self._platform, call.principal, _name(call)), "restarting"
        )

    async def list_service_instances(self, call: Call) -> Answer:
        """Replicas: address, state, restarts, node."""
        number, size = listing.page(call.query)
        _service, seen = await services.find(self._platform, _name(call), call.principal)
        matching = listing.instances(seen.replicas, call.query)
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
        instance = self._instance(call, seen)
        found = await reports.logs(
            self._platform,
            _name(call),
            replica=instance,
            previous=bool(call.query.get("Previous")),
            actor=call.principal,
        )
        hosts = {replica.id: replica.host for replica in seen.replicas}
        wanted_host, container = call.query.get("Ip"), call.query.get("ContainerName", service.name)
        lines = [
            line
            for line in found
            if wanted_host in {None, hosts.get(line.replica)} and container == service.name
        ]
        lines = listing.log_lines(lines, call.query)
        texts = [
            line.text if instance else f"[{line.replica}] {line.text}"
            for line in listing.newest_page(lines, number, size)
        ]
        return {
            "Logs": texts,
            "PageNum": number,
            "TotalCount": len(lines),
            "TotalPageNum": listing.pages(len(lines), size),
        }

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

    async def _spec(self, call: Call, spec: str, service: str) -> Resolved:
        """The template that a ServiceSpec names, for a service of this name."""
        found = await resolving.resolve(self._platform, call.principal, spec, service)
        if found is None:
            known = await resolving.known(self._platform, call.principal)
            raise Invalid("ServiceSpec", f"[{spec[:80]}] is not known", ", ".join(known))
        return found

    async def _resolved(
        self, call: Call, names: Iterable[str], service: str
    ) -> dict[str, Resolved]:
        """The first of these names that a template has, with the template."""
        for name in names:
            found = await resolving.resolve(self._platform, call.principal, name, service)
            if found is not None:
                return {name: found}
        return {}

    def _created(self, service: Service) -> Answer:
        return present.created(self._view, service, "Creating")

    def _message(self, service: Service, doing: str) -> Answer:
        return {
            "Message": f"Service [{service.name}] in region [{self._platform.region}] is {doing}"
        }

    def _instance(self, call: Call, seen: Seen) -> str:
        name: str = call.query.get("InstanceName", "")
        if name and name not in {replica.id for replica in seen.replicas}:
            raise NotFound("instance", name)
        return name


def _name(call: Call) -> str:
    return present.core_id(call.path["ServiceName"])


def _document_name(document: Mapping[str, Any]) -> str:
    """The name in a service JSON that nobody has checked yet."""
    metadata = document.get("metadata")
    name: Any = cast("dict[str, Any]", metadata).get("name") if isinstance(metadata, dict) else None
    name = name or document.get("name")
    return name if isinstance(name, str) else ""


def _strangers(call: Call) -> tuple[Notice, ...]:
    """A notice for each field of the body that no version of the API knows."""
    return tuple(
        without_effect(name, "no version of this operation knows it") for name in call.unknown
    )


def _port(url: str) -> int:

    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)
