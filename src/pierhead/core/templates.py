"""A template: how a model is served. Engines turn one into a command line (see `launch.py`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pierhead.core.mounts import Source
from pierhead.core.resources import GIB, Resources

Precision = Literal["", "fp16", "int8", "q4"]


@dataclass(frozen=True, slots=True)
class Probe:
    """How to ask a replica whether it can take requests.

    `completion` asks for one token under the service's model name: the only proof that the right
    model answers. `http` wants a status below 400 on `path`; `http-any` below 500; `tcp` a
    connection; `exec` exit code 0 of `command` (run beside the replica, with its environment);
    `auto` = `http-any` on `/`, and if nothing speaks HTTP there, `tcp`.
    """

    kind: Literal["auto", "completion", "http", "http-any", "tcp", "exec"] = "auto"
    path: str = "/"
    port: int | None = None  #: the replica's own port when None
    command: tuple[str, ...] = ()
    initial_delay: float = 0.0  #: seconds before the first try
    period: float = 2.0  #: seconds between tries once ready; while starting it is asked more often
    timeout: float = 5.0  #: seconds per try
    failures: int = 3  #: tries in a row that must fail before a ready replica counts as not ready
    successes: int = 1


@dataclass(frozen=True, slots=True)
class Template:
    """One way to serve one model. The whole of it is kept with each version of a service."""

    name: str
    engine: str  #: key of `engines.ENGINES`
    family: str = ""  #: model family, e.g. `llama_7b`; "" when unknown
    precision: Precision = ""
    source: Source | None = None  #: default weights; a service's own mount goes before it
    context: int = 2048  #: tokens per request
    slots: int = 4  #: requests that the engine runs at once
    command: tuple[str, ...] = ()  #: custom engine: argv, placeholders {port} {host} {model_dir}
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    resources: Resources = field(default_factory=Resources)
    readiness: Probe = field(default_factory=Probe)
    liveness: Probe | None = None  #: when it fails, the replica is restarted
    start_deadline: float = 900.0  #: seconds from launch to ready
    stop_grace: float = 30.0  #: seconds a replica gets to end its requests, then TERM turns to KILL


@dataclass(frozen=True, slots=True)
class Rolling:
    """Bounds of a rolling update, each a count or a percentage text such as `25%`."""

    max_surge: int | str = 1
    max_unavailable: int | str = 0


def engine_deadline(weight_bytes: int) -> float:
    """Seconds an engine may take to become ready: 5 min + 20 s per GiB of weights, at most 6 h."""
    return min(300.0 + 20.0 * weight_bytes / GIB, 6 * 3600.0)
