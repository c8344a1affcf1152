"""What a kubelet says about a pod: phase and conditions from the facts of its containers."""

from collections.abc import Sequence
from typing import Any

from containers import Container, stamp

Json = dict[str, Any]


def phase(containers: Sequence[Container], *, initialized: bool, over: bool) -> str:
    """The pod's phase; `over`: no container is started again."""
    ends = [each.state["terminated"] for each in containers if "terminated" in each.state]
    if len(ends) == len(containers):
        if not over:
            return "Running"
        return "Failed" if any(end["exitCode"] for end in ends) else "Succeeded"
    begun = any(each.running or each.restarts for each in containers)
    return "Running" if initialized and begun else "Pending"


class Conditions:
    """The conditions of one pod, each with the time since when it is what it is."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[bool, str]] = {}

    def of(self, containers: Sequence[Container], *, initialized: bool) -> list[Json]:
        """As they are now."""
        unready = [each.name for each in containers if not each.ready]
        message = f"containers with unready status: [{' '.join(unready)}]"
        return [
            self._condition("Initialized", initialized, "ContainersNotInitialized", ""),
            self._condition("Ready", not unready, "ContainersNotReady", message),
            self._condition("ContainersReady", not unready, "ContainersNotReady", message),
        ]

    def _condition(self, kind: str, value: bool, reason: str, message: str) -> Json:
        known = self._since.get(kind)
        if known is None or known[0] != value:
            known = self._since[kind] = (value, stamp())
        said = {"type": kind, "status": str(value), "lastTransitionTime": known[1]}
        # A strategic merge keeps what is left out, so an old reason must be taken away by name.
        return said | {"reason": None if value else reason, "message": None if value else message}


def of_init(container: Container) -> Json:
    """An init container is ready once it has done its work."""
    done = container.state.get("terminated", {}).get("exitCode") == 0
    return container.status() | {"ready": done}


def readiness(status: Json) -> dict[str, str]:
    """What a node says of its pod's conditions; whether it is scheduled others say."""
    conditions = status.get("conditions", ())
    return {each["type"]: each["status"] for each in conditions if each["type"] != "PodScheduled"}
