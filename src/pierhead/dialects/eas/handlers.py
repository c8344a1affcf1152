"""The operations that do real work: each reads the call, asks for one use case, and shows what came of it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

from pierhead.core.errors import Invalid, Unsupported
from pierhead.core.events import Notice
from pierhead.core.services import Seen, Service
from pierhead.dialects.eas import listing, present, revise
from pierhead.dialects.eas import service_document as documents
from pierhead.dialects.eas.app import Call, Handler
from pierhead.dialects.eas.containers import named
from pierhead.dialects.eas.group_handlers import GroupHandlers
from pierhead.dialects.eas.label_handlers import LabelHandlers
from pierhead.dialects.eas.messages import app_request, without_effect
from pierhead.dialects.eas.present import APP, DOCUMENT, View
from pierhead.dialects.eas.report_handlers import ReportHandlers
from pierhead.dialects.eas.resource_handlers import ResourceHandlers
from pierhead.dialects.eas.scaler_handlers import ScalerHandlers
from pierhead.dialects.eas.version_handlers import VersionHandlers
from pierhead.operations import pools, resolving, scalers, services
from pierhead.operations.platform import Platform
from pierhead.operations.resolving import Resolved
from pierhead.operations.services import Decision, Draft

Answer = dict[str, Any]


class Handlers:
    """Handlers over one platform. Names of the methods are the operations' names in snake case."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._view = View(platform.region, platform.gateway, platform.clock, revise.config)
        self._listed = present.Listed(self._view)
        self._pool = pools.id_of(platform)
        self._here = documents.Here(self._pool, platform.images)

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
            **ScalerHandlers(self._platform).table(),
            **ReportHandlers(self._platform, self._view).table(),
            **GroupHandlers(self._platform, self._view).table(),
            **VersionHandlers(self._platform).table(),
            **LabelHandlers(self._platform).table(),
            **ResourceHandlers(self._platform, self._listed).table(),
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
        spec = documents.translate(call.body, names, here=self._here)
        fresh = names.fresh(call.body)
        draft = Draft(
            name=spec.name,
            origin=DOCUMENT,
            template=spec.template,
            replicas=scalers.first_count(spec.autoscaler, spec.instance),
            submitted=call.body,
            source=spec.source,
            rolling=spec.rolling,
            request_timeout=spec.request_timeout,
            relaying=spec.relaying,
            intake=spec.intake,
            workspace=call.query.get("WorkspaceId") or spec.workspace_id,
            quota=spec.quota_id,
            group=spec.group,
            token=spec.token,
            labels=call.query.get("Labels", {}),
            notices=(*spec.notices, *(fresh.notices if fresh else ())),
        )
        scaler = spec.autoscaler
        also = await scalers.beside(self._platform, scaler, told=scaler is not None)
        return self._created(await services.create(self._platform, call.principal, draft, also))

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
        listing.demand_no_member(call.query, "MemberToUpdate")
        merge = str(call.query.get("UpdateType", "merge")).lower() == "merge"
        before, _seen = await services.find(self._platform, _name(call), call.principal)
        found: dict[str, Resolved] = {}
        for document in (revise.config(before), call.body):
            names = [name for name in named(document) if not revise.is_own(before, name)]
            found |= await self._resolved(call, names, before.name)

        scaling = revise.scaling(before, call.body, merge=merge)
        also = await scalers.beside(self._platform, scaling.autoscaler, told=scaling.told)

        def decide(service: Service, _seen: Seen, now: float) -> Decision:
            return revise.document(service, call.body, found, now, merge=merge, here=self._here)

        changed = await services.change(self._platform, call.principal, _name(call), decide, also)
        return self._message(changed, "updating")

    async def describe_service(self, call: Call) -> Answer:
        """Wanted and observed state as one object."""
        service, seen = await services.find(self._platform, _name(call), call.principal)
        return present.service(self._view, service, seen, call.language)

    async def list_services(self, call: Call) -> Answer:
        """All filters AND; paging, sorting, labels, status."""
        number, size = listing.page(call.query)
        found, total = [], 0
        if not listing.matches_nothing(call.query):
            query = listing.service_query(call.query, self._pool, self._platform.region)
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
