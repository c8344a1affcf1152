"""The operations on auto-scalers and cron-scalers."""

from collections.abc import Mapping
from typing import Any

from pierhead.core.events import Notice
from pierhead.core.services import Service
from pierhead.dialects.eas import present
from pierhead.dialects.eas import scalers as wire
from pierhead.dialects.eas.app import Call, Handler
from pierhead.dialects.eas.messages import without_effect
from pierhead.operations import scalers, services
from pierhead.operations.platform import Platform

Answer = dict[str, Any]


class ScalerHandlers:
    """Scalers over one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def table(self) -> Mapping[str, Handler]:
        """Operation -> handler."""
        return {
            "CreateServiceAutoScaler": self.put_auto,
            "UpdateServiceAutoScaler": self.put_auto,
            "DescribeServiceAutoScaler": self.describe_auto,
            "DeleteServiceAutoScaler": self.delete_auto,
            "CreateServiceCronScaler": self.put_cron,
            "UpdateServiceCronScaler": self.put_cron,
            "DescribeServiceCronScaler": self.describe_cron,
            "DeleteServiceCronScaler": self.delete_cron,
        }

    async def put_auto(self, call: Call) -> Answer:
        """Scale by load; creating one replaces another, updating needs one."""
        service = await scalers.set_auto(
            self._platform,
            call.principal,
            _name(call),
            wire.auto_scaler(call.body),
            present=_updates(call),
            notices=_strangers(call),
        )
        return self._message(service, "Auto-scaler", "is set")

    async def describe_auto(self, call: Call) -> Answer:
        """Limits, strategies, and what was measured last."""
        service, _seen = await services.find(self._platform, _name(call), call.principal)
        kept = await scalers.auto_of(self._platform, call.principal, _name(call))
        return wire.shown_auto(service, kept, self._platform.scaled(service.id))

    async def delete_auto(self, call: Call) -> Answer:
        """The count is the owner's alone again."""
        service = await scalers.remove_auto(self._platform, call.principal, _name(call))
        return self._message(service, "Auto-scaler", "is deleted")

    async def put_cron(self, call: Call) -> Answer:
        """Scale by the clock; creating one replaces another, updating needs one."""
        service = await scalers.set_cron(
            self._platform,
            call.principal,
            _name(call),
            wire.cron_scaler(call.body),
            present=_updates(call),
            notices=_strangers(call),
        )
        return self._message(service, "Cron-scaler", "is set")

    async def describe_cron(self, call: Call) -> Answer:
        """Jobs, and what came of each."""
        service, _seen = await services.find(self._platform, _name(call), call.principal)
        kept = await scalers.cron_of(self._platform, call.principal, _name(call))
        return wire.shown_cron(service, kept)

    async def delete_cron(self, call: Call) -> Answer:
        """No job sets the count any more."""
        service = await scalers.remove_cron(self._platform, call.principal, _name(call))
        return self._message(service, "Cron-scaler", "is deleted")

    def _message(self, service: Service, what: str, became: str) -> Answer:
        region = self._platform.region
        return {"Message": f"{what} of service [{service.name}] in region [{region}] {became}"}


def _name(call: Call) -> str:
    return present.core_id(call.path["ServiceName"])


def _updates(call: Call) -> bool:
    return call.operation.method == "PUT"


def _strangers(call: Call) -> tuple[Notice, ...]:
    return tuple(
        without_effect(name, "no version of this operation knows it") for name in call.unknown
    )
