"""What a deployment asks for, what else its snapshot depends on, and the layers it keeps. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pierhead.core.events import Notice
from pierhead.core.registry import Dataset, Model, ModelCenter
from pierhead.core.templates import Template
from pierhead.operations import commands


@dataclass(frozen=True, slots=True)
class DeployWish:
    """What a deployment asks for; None, "" and empty = as the template has it."""

    name: str = ""  #: display name
    description: str | None = None
    kind: str = "Container"  #: `Container` or `VirtualMachine`
    zone: str = ""  #: uuid
    model: str = ""  #: uuid
    cpu: int | None = None  #: cores per replica
    memory: int | None = None  #: as given; see `memory_bytes`
    cpu_request: int | None = None
    memory_request: int | None = None
    image: str = ""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    startup_parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    livez: str = ""
    readyz: str = ""
    boot_seconds: float | None = None
    workspace: str = ""  #: projectUuid
    datasets: tuple[str, ...] = ()  #: uuids
    needs: tuple[str, ...] = ()  #: uuids of deployments that must run first
    without_effect: tuple[str, ...] = ()  #: names of parameters that mean nothing here
    nodes: int = 1  #: machines that one replica computes on
    tensor: int | None = None  #: GPUs of each of them that the engine computes on
    in_turn: bool = False  #: the members start once their leader can be joined
    told: tuple[Notice, ...] = ()  #: what else its owner should know of what was asked for


@dataclass(frozen=True, slots=True)
class Facts:
    """What a snapshot depends on besides the template and the wish."""

    service: str  #: the service name it will have
    center: ModelCenter | None = None  #: the template's
    model: Model | None = None
    model_center: ModelCenter | None = None
    datasets: tuple[tuple[Dataset, ModelCenter | None], ...] = ()
    shipped: Template | None = None  #: the built-in template behind a shipped one
    gpus: int | None = None  #: `ai::gpus`
    images: bool = False  #: do commands run in images of their own?
    trusted: bool = False  #: its requirements may name paths, repositories and indexes


@dataclass(frozen=True, slots=True)
class Layers:
    """Parts of a snapshot that an update of the deployment replaces on their own."""

    environment: Mapping[str, str]  #: what lies below the deployment's own variables
    variables: Mapping[str, str]
    defaults: Mapping[str, str]  #: startup parameters below the deployment's own
    parameters: Mapping[str, str]

    def env(self) -> dict[str, str]:
        """The variables of a replica, the deployment's own last."""
        return {**self.environment, **self.variables}

    def flags(self) -> tuple[str, ...]:
        """The arguments after the command."""
        return commands.flags({**self.defaults, **self.parameters})

    def document(self) -> dict[str, Any]:
        """As a version keeps it."""
        return {name: dict(getattr(self, name)) for name in self.__slots__}


def kept(template: Template, submitted: Mapping[str, Any]) -> Layers:
    """The layers that a version keeps; of one that keeps none, everything lies below."""
    if not set(Layers.__slots__) <= submitted.keys():
        return one_layer(template)
    return Layers(**{name: submitted[name] for name in Layers.__slots__})


def one_layer(template: Template) -> Layers:
    """A template that was made in one piece."""
    return Layers(dict(template.env), {}, {}, {})
