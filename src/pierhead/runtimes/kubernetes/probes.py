"""A template's probes as the kubelet asks them.

The kubelet takes any status from 200 to 399 and asks no completion, so some probes become the nearest
that it has: `completion` asks for /health, which the engines answer once their model is loaded;
`http-any` and `auto`, for which a 404 is an answer too, become a connection.
"""

from math import ceil
from typing import Any

from pierhead.core.events import Notice
from pierhead.core.launch import Launch
from pierhead.core.templates import Probe, Template, engine_deadline
from pierhead.runtimes.kubernetes.launching import engine_port

#: Seconds between two looks at a replica that is starting.
_STARTING = 1
#: Seconds that members of a replica on several nodes get to be placed, fetch their files and join: the
#: engine of their leader waits for them, for as long as vLLM does that.
_JOINING = 1800


def boot_seconds(template: Template, launch: Launch, weight_bytes: int) -> int:
    """Seconds from a container's start to ready, after which it is started anew."""
    return ceil(launch.deadline or engine_deadline(weight_bytes)) + _joining(template)


def deadline(template: Template, launch: Launch) -> float | None:
    """The same where somebody set it; None = it may take its time."""
    return None if launch.deadline is None else launch.deadline + _joining(template)


def _joining(template: Template) -> int:
    return 0 if template.nodes == 1 else _JOINING


def probes(template: Template, launch: Launch, weight_bytes: int) -> dict[str, Any]:
    """`startupProbe`, `readinessProbe` and, where the template has one, `livenessProbe`."""
    ready = launch.readiness
    way = _way(ready, template)
    found = {
        "startupProbe": {
            **way,
            **_delay(ready),
            "periodSeconds": _STARTING,
            "timeoutSeconds": _seconds(ready.timeout),
            "successThreshold": 1,
            "failureThreshold": max(1, boot_seconds(template, launch, weight_bytes) // _STARTING),
        },
        "readinessProbe": {
            **way,
            "periodSeconds": _seconds(ready.period),
            "timeoutSeconds": _seconds(ready.timeout),
            "successThreshold": max(1, ready.successes),
            "failureThreshold": max(1, ready.failures),
        },
    }
    if launch.liveness is not None:
        found["livenessProbe"] = _liveness(launch.liveness, template)
    return found


def _liveness(probe: Probe, template: Template) -> dict[str, Any]:
    return {
        **_way(probe, template),
        **_delay(probe),
        "periodSeconds": _seconds(probe.period),
        "timeoutSeconds": _seconds(probe.timeout),
        "successThreshold": 1,  # another number is refused
        "failureThreshold": max(1, probe.failures),
    }


def _delay(probe: Probe) -> dict[str, Any]:
    """None at all is not written: a server does not keep it either."""
    return {"initialDelaySeconds": ceil(probe.initial_delay)} if probe.initial_delay > 0 else {}


def _seconds(value: float) -> int:
    return max(1, ceil(value))


def _way(probe: Probe, template: Template) -> dict[str, Any]:
    port = probe.port or engine_port(template)
    match probe.kind:
        case "completion":
            return {"httpGet": {"path": "/health", "port": port, "scheme": "HTTP"}}
        case "http":
            return {"httpGet": {"path": probe.path, "port": port, "scheme": "HTTP"}}
        case "exec":
            # Unlike a container's command it is taken as it is: nothing in it is replaced.
            return {"exec": {"command": [*probe.command]}}
        case "http-any" | "tcp" | "auto":
            return {"tcpSocket": {"port": port}}


def told(launch: Launch) -> list[Notice]:
    """Which probes the kubelet cannot ask as they are written."""
    named = (("readiness", launch.readiness), ("liveness", launch.liveness))
    return [
        Notice(
            "ProbeByConnection",
            f"The {name} probe on {probe.path} takes any status below 500; on a cluster a status "
            "from 200 to 399 would be needed, so a connection to the port is enough.",
        )
        for name, probe in named
        if probe is not None and probe.kind == "http-any"
    ]
