"""What handlers find wrong with a request before they change anything: asked for mock calls."""

from collections.abc import Mapping
from typing import Any, cast

from pierhead.core.errors import Invalid, Missing, Unsupported
from pierhead.dialects.eas import listing, revise, scalers
from pierhead.dialects.eas import service_document as documents
from pierhead.dialects.eas.app import Call, Check
from pierhead.dialects.eas.containers import named
from pierhead.dialects.eas.messages import app_request
from pierhead.operations import pools, resolving
from pierhead.operations.platform import Platform


def checks(platform: Platform) -> Mapping[str, Check]:
    """Operation -> check. What depends on objects that need not exist for a mock call is not asked."""
    return {
        "CreateService": _Creating(platform).document,
        "CreateAppService": _Creating(platform).app,
        "UpdateAppService": _app_values,
        "CreateServiceAutoScaler": _auto_scaler,
        "UpdateServiceAutoScaler": _auto_scaler,
        "CreateServiceCronScaler": _cron_scaler,
        "UpdateServiceCronScaler": _cron_scaler,
        "ReleaseService": _release,
        "UpdateGroup": _group,
        "ListServices": _list,
    }


class _Creating:
    """Checks of what is to be a service: the templates that it names are looked up."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def document(self, call: Call) -> None:
        if str(call.query.get("Develop", "")).lower() == "true":
            raise Unsupported(
                "Develop=true", "there is no development mode; a service runs as it is created"
            )
        here = documents.Here(pools.id_of(self._platform), self._platform.images)
        for name in named(call.body):
            found = await resolving.resolve(self._platform, call.principal, name, _name(call.body))
            if found is not None:
                documents.translate(call.body, revise.Names({name: found}), here=here)
                return
        documents.translate(call.body, revise.Names({}), here=here)

    async def app(self, call: Call) -> None:
        request = app_request(call.body)
        spec, name = request.spec or "", request.name or ""
        if await resolving.resolve(self._platform, call.principal, spec, name) is None:
            known = await resolving.known(self._platform, call.principal)
            raise Invalid("ServiceSpec", f"[{spec[:80]}] is not known", ", ".join(known))


def _name(document: Mapping[str, Any]) -> str:
    metadata = document.get("metadata")
    name: Any = cast("dict[str, Any]", metadata).get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""


async def _app_values(call: Call) -> None:
    app_request(call.body)


async def _auto_scaler(call: Call) -> None:
    scalers.auto_scaler(call.body)


async def _cron_scaler(call: Call) -> None:
    scalers.cron_scaler(call.body)


async def _release(call: Call) -> None:
    if call.body.get("Weight") is None and call.body.get("TrafficState") is None:
        raise Missing("Weight", "a number from -1 to 1000; or TrafficState")


async def _group(call: Call) -> None:
    if call.body.get("TrafficMode") is None:
        raise Missing("TrafficMode", "one of auto, customized")


async def _list(call: Call) -> None:
    listing.page(call.query)
    if not listing.matches_nothing(call.query):
        listing.service_query(call.query)
