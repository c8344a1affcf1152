"""Figures of a service over time, and how everything is at present: ours, not the vendor's."""

import platform as host
from collections.abc import Mapping
from dataclasses import dataclass

from pierhead.core.languages import Language
from pierhead.dialects.ram import asking
from pierhead.dialects.ram.calls import Call, Handler
from pierhead.dialects.ram.handlers.infrastructure import amount
from pierhead.dialects.ram.present import Json
from pierhead.operations import series, situation
from pierhead.operations.nodes import Nodes
from pierhead.operations.platform import Platform
from pierhead.operations.situation import Situation, Trouble


@dataclass(frozen=True, slots=True)
class Figures:
    """Shows what was and what is."""

    nodes: Nodes

    def table(self) -> Mapping[str, Handler]:
        """Operation id -> handler."""
        return {"GetServiceSeries": self.series, "GetOverview": self.overview}

    @property
    def platform(self) -> Platform:
        """The platform."""
        return self.nodes.platform

    async def series(self, call: Call) -> Json:
        """Points of some figures of one service."""
        name = asking.service_name(call.text("ServiceName"))
        found = await series.of_service(self.platform, call.principal, name, series_asked(call))
        return {"Start": found.start, "Step": found.step, "Series": dict(found.points)}

    async def overview(self, call: Call) -> Json:
        """Counts, troubles, room, versions."""
        language = Language(call.text("Language") or Language.EN)
        found = await situation.at_present(self.nodes, call.principal, language)
        return {
            "Services": {
                "Total": sum(found.services.values()),
                "ByStatus": {
                    "Status": [{"Name": n, "Count": count} for n, count in found.services.items()]
                },
            },
            "Troubles": {"Trouble": [_trouble(one) for one in found.troubles]},
            "TroubleCount": found.troubled,
            "Gateways": found.gateways,
            "Capacity": _capacity(found),
            "Warnings": {"Warning": list(found.warnings)},
            "Versions": {
                "Pierhead": self.platform.premises.version,
                "Python": host.python_version(),
                "Runtime": found.runtime,
                "Database": self.platform.db.url.partition(":")[0].partition("+")[0],
            },
        }


def series_asked(call: Call) -> series.Asked:
    """Which figures a call asks for, as it says."""
    return series.Asked(
        since=call.text("Since"),
        until=call.text("Until"),
        step=call.number("Step") or 0,
        metrics=call.text("Metrics"),
    )


def _capacity(found: Situation) -> Json:
    nodes = [machine.node for machine in found.machines]
    gpus = [gpu for node in nodes for gpu in node.accelerators]
    return {
        "Nodes": len(nodes),
        "Cpu": sum(node.cpu for node in nodes),
        "Memory": sum(node.memory for node in nodes),
        "MemoryFree": sum(node.memory_free for node in nodes),
        "Gpus": sum(node.gpus for node in nodes),
        "GpuMemory": sum(gpu.memory for gpu in gpus),
        "GpuMemoryFree": sum(gpu.memory_free or 0 for gpu in gpus),
        "Reserved": amount(found.reserved),
    }


def _trouble(one: Trouble) -> Json:
    told = one.diagnosis
    return {
        "ServiceName": one.service.name,
        "WorkspaceId": one.service.workspace,
        "Status": str(one.status),
        "Reason": told.reason,
        "Error": told.error,
        "Cause": told.causes[0] if told.causes else "",
        "Advice": told.advices[0] if told.advices else "",
    }
