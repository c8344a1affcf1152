"""What a runtime needs to start one replica: an engine's answer to (template, files, placement)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pierhead.core.events import Notice
from pierhead.core.fetches import Fetch
from pierhead.core.templates import Precision, Probe, Template

#: How weights are written down; "" = not known, or nothing an engine of ours reads.
Format = Literal["", "gguf", "safetensors"]
#: Where a template's `links` are shown, below the replica's own folder.
DATASETS = "datasets"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one run of a replica lives; chosen by the runtime before the engine is asked."""

    service: str  #: service name = model name that clients use
    replica: str  #: replica id
    host: str
    port: int
    key: str  #: secret between gateway and engine; "" for engines without one
    threads: int  #: CPU threads the engine may use
    folder: str = ""  #: the replica's own folder on its machine; "" when it has none
    #: Accelerators that are its own, as CUDA_VISIBLE_DEVICES names them; empty = it computes on the CPU.
    devices: tuple[str, ...] = ()
    #: Share of one device's memory that is its own; 0 = all of each.
    device_share: float = 0.0
    #: Can folders be shown to it elsewhere than where they lie? Else `Launch.binds` is not looked at.
    binds: bool = False


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or folder that a replica sees, read-only, at a path that need not exist for others."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Launch:
    """One process to start. `env` is the whole environment besides PATH, HOME, LANG and TMPDIR."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    readiness: Probe
    liveness: Probe | None = None
    cwd: str = ""
    api: Literal["openai", "any"] = "any"
    #: True when the engine checks `Authorization: Bearer <Placement.key>` itself.
    keyed: bool = False
    #: Folders that go before all others in the replica's PATH.
    path_first: tuple[str, ...] = ()
    #: Seconds from launch to ready, after which the run is ended; None = it may take its time.
    deadline: float | None = None
    binds: tuple[Bind, ...] = ()
    #: The name that the engine knows its model by; "" = the service's.
    model: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do, asked once; never a class hierarchy to test against."""

    api: Literal["openai", "any"]
    keyed: bool
    needs_weights: bool
    checks_model_name: bool  #: False: the gateway must refuse foreign model names
    #: Forms of weights it reads; empty = whatever lies there.
    formats: frozenset[Format] = frozenset()
    #: Architectures that it cannot run -> why, in a clause; all others it may be asked for.
    refuses: Mapping[str, str] = field(default_factory=dict[str, str])
    #: Precisions that it makes of whole-precision weights by itself, while it loads them.
    makes: frozenset[Precision] = frozenset()
    makes_on_gpu: frozenset[Precision] = frozenset()  #: further ones, where it computes on a GPU
    #: Paths that clients may call; empty = all. For engines that others can be told to do more with.
    paths: frozenset[str] = frozenset()
    on_cpu: bool = True
    on_gpu: bool = True
    #: Its options that say how many requests it works on at once, besides `Template.slots`, which it
    #: is started with; None = it is not told, and nobody knows.
    slot_options: frozenset[str] | None = None
    needs_command: bool = False  #: True: the template must say what is to be run
    spans: bool = False  #: one replica of it can compute on several machines

    def made(self, *, gpu: bool) -> frozenset[Precision]:
        """What it makes of whole-precision weights where it is to compute."""
        return self.makes | self.makes_on_gpu if gpu else self.makes


@dataclass(frozen=True, slots=True)
class Files:
    """What a replica finds on its machine; `model` is the file or folder that an engine loads."""

    folder: str
    model: str
    bytes: int
    format: Format = ""
    precision: str = (
        ""  #: of the weights as they lie, as `choice.precision_of` says; "" = not known
    )
    environment: str = ""  #: folder of its isolated Python environment; "" = none
    #: Variables that come with what it needs besides: where the services are that it depends on.
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    #: What their owner should know of how they came.
    notices: tuple[Notice, ...] = field(default=(), compare=False)
    #: What brings them to the replica's machine before it starts; None = they are there.
    fetch: Fetch | None = None


@dataclass(frozen=True, slots=True)
class EnvironmentPath:
    """An isolated Python environment that is wholly there."""

    folder: str
    notices: tuple[Notice, ...] = ()  #: what its owner should know of it


def no_files() -> Files:
    """The files of a service that needs none."""
    return Files(folder="", model="", bytes=0)


def describe(template: Template) -> str:
    """`llama_cpp, q4, 4 x 2048 tokens` for tables and events."""
    parts = [template.engine, template.precision, f"{template.slots} x {template.context} tokens"]
    return ", ".join(part for part in parts if part)
