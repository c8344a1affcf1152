"""A template: how a model is served. Engines turn one into a command line (see `launch.py`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pierhead.core.mounts import Source
from pierhead.core.resources import GIB, Resources

Precision = Literal["", "fp16", "int8", "q4"]
#: `Template.engine` of templates that leave the choice to the platform, see `choice.py`.
AUTO = "auto"


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
class Environment:
    """An isolated Python environment of a command; equal ones are built once and shared."""

    python: str = ""  #: version, e.g. `3.11`; "" = the platform's own
    conda: str = ""  #: conda version asked for: the environment is solved from conda packages
    requirements: tuple[str, ...] = ()  #: lines of requirements.txt
    index_url: str = ""
    trusted_host: str = ""
    packages: tuple[str, ...] = ()  #: of the distribution; installed in images, checked elsewhere


@dataclass(frozen=True, slots=True)
class Constraints:
    """What a node must have besides room. Empty = anything will do."""

    architectures: tuple[str, ...] = ()  #: `X86_64`, `AARCH64`
    gpu_capability: str = ""  #: lowest CUDA compute capability, e.g. `7.5`
    #: GPU vendor -> spec uuids; an empty list means any GPU of that vendor.
    gpu_specs: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


@dataclass(frozen=True, slots=True)
class Link:
    """A folder shown to a replica, read-only by convention: `<DATASETS_DIR>/<name>` -> `path`."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Template:
    """One way to serve one model. The whole of it is kept with each version of a service."""

    name: str
    engine: str  #: an engine's name, or `AUTO`: the first that can serve the weights
    family: str = ""  #: model family, e.g. `llama_7b`; "" when unknown
    precision: Precision = ""
    source: Source | None = None  #: default weights; a service's own mount goes before it
    context: int = 2048  #: tokens per request
    slots: int = 4  #: requests that the engine runs at once
    command: tuple[str, ...] = ()  #: custom engine: argv, placeholders {port} {host} {model_dir}
    #: custom engine: a text for `/bin/sh -c` in place of `command`; placeholders become quoted values.
    script: str = ""
    flags: tuple[
        str, ...
    ] = ()  #: custom engine: arguments after the command, never read by a shell
    workdir: str = ""  #: working directory; missing = an empty one of its own
    environment: Environment | None = None
    ports: tuple[int, ...] = ()  #: declared by the template: hints for a command that ignores PORT
    #: Further ports and services of the same replica: service name -> declared port.
    side_ports: Mapping[str, int] = field(default_factory=dict[str, int])
    images: Mapping[str, str] = field(default_factory=dict[str, str])  #: architecture -> image
    constraints: Constraints = field(default_factory=Constraints)
    links: tuple[Link, ...] = ()
    mount_path: str = ""  #: where a replica sees its weights; "" = where they lie
    framework: str = ""
    routed: Literal["openai", "private"] = "openai"  #: `private`: not listed under /v1/models
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    resources: Resources = field(default_factory=Resources)  #: of each node that a replica is on
    nodes: int = 1  #: machines that one replica computes on: a leader, and members that follow it
    #: The members start once their leader can be joined; else all of them start at once.
    in_turn: bool = False
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
