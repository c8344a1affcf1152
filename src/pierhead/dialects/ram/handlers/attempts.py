"""What became of a service's runs: ours, not the vendor's."""

from collections.abc import Mapping
from dataclasses import dataclass

from pierhead.dialects.ram import asking, present
from pierhead.dialects.ram.calls import Call, Handler
from pierhead.dialects.ram.present import Json
from pierhead.operations import reports
from pierhead.operations.platform import Platform
from pierhead.runtimes.base import Attempt


@dataclass(frozen=True, slots=True)
class Attempts:
    """Shows the runs that are kept, the first and the last ones."""

    platform: Platform

    def table(self) -> Mapping[str, Handler]:
        """Operation id -> handler."""
        return {"ListServiceAttempts": self.listed}

    async def listed(self, call: Call) -> Json:
        """Runs of a service's replicas, oldest first."""
        found = await reports.attempts(
            self.platform,
            asking.service_name(call.text("ServiceName")),
            replica=call.text("InstanceName"),
            which=call.text("Attempt"),
            lines=call.number("Lines") or 0,
            actor=call.principal,
        )
        return {"Attempts": {"Attempt": [_shown(one) for one in found]}}


def _shown(one: Attempt) -> Json:
    end = one.end
    shown: Json = {
        "InstanceName": one.replica,
        "Number": one.number,
        "StartDate": present.moment(one.started),
        "ReadyDate": present.moment(one.ready_at),
        "EndDate": present.moment(end.at if end else None),
        "Reason": one.reason,
        "Message": one.message,
        "Lines": {"Line": list(one.lines)},
    }
    if end is not None and end.code is not None:
        shown["ExitCode"] = end.code
    if end is not None and end.signal is not None:
        shown["Signal"] = end.signal
    return shown
