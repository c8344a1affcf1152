"""What services are busy with: ours, not the vendor's."""

from collections.abc import Mapping
from dataclasses import dataclass

from pierhead.core.traffic import SPAN
from pierhead.dialects.ram.calls import Call, Handler
from pierhead.dialects.ram.present import Json
from pierhead.operations import traffic
from pierhead.operations.platform import Platform
from pierhead.operations.traffic import Busy


@dataclass(frozen=True, slots=True)
class Traffic:
    """Shows the figures of the last seconds."""

    platform: Platform

    def table(self) -> Mapping[str, Handler]:
        """Operation id -> handler."""
        return {"ListServiceTraffic": self.listed}

    async def listed(self, call: Call) -> Json:
        """Every service that the caller sees, by name."""
        gateways, found = await traffic.of_services(self.platform, call.principal)
        return {
            "Gateways": gateways,
            "Seconds": SPAN,
            "Services": {"Service": [_shown(one) for one in found]},
        }


def _shown(one: Busy) -> Json:
    figures = one.figures
    shown: Json = {
        "ServiceName": one.service.name,
        "WorkspaceId": one.service.workspace,
        "Status": str(one.verdict.status),
        "ReadyInstance": one.ready,
        "TotalInstance": one.service.replicas,
        "RequestsPerSecond": round(figures.requests, 3),
        "ErrorsPerSecond": round(figures.errors, 3),
        "InFlight": figures.in_flight,
        "Queued": figures.queued,
        "Held": figures.held,
        "PromptTokensPerSecond": round(figures.prompt, 3),
        "TokensPerSecond": round(figures.tokens, 3),
    }
    for name, share in (("TtftP50", 0.5), ("TtftP95", 0.95)):
        seconds = figures.ttft_at(share)
        if seconds is not None:
            shown[name] = round(seconds, 4)
    return shown
