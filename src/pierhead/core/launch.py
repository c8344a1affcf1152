"""What a runtime needs to start one replica: an engine's answer to (template, files, placement)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pierhead.core.templates import Probe, Template


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one run of a replica lives; chosen by the runtime before the engine is asked."""

    service: str  #: service name = model name that clients use
    replica: str  #: replica id
    host: str
    port: int
    key: str  #: secret between gateway and engine; "" for engines without one
    threads: int  #: CPU threads the engine may use


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


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do, asked once; never a class hierarchy to test against."""

    api: Literal["openai", "any"]
    keyed: bool
    needs_weights: bool
    checks_model_name: bool  #: False: the gateway must refuse foreign model names
    families: frozenset[str]  #: model families it runs; empty = whatever the file says


@dataclass(frozen=True, slots=True)
class Files:
    """Weights as they lie on this machine; `model` is the file or folder that an engine loads."""

    folder: str
    model: str
    bytes: int


def no_files() -> Files:
    """The files of a service that needs none."""
    return Files(folder="", model="", bytes=0)


def describe(template: Template) -> str:
    """`llama_cpp, q4, 4 x 2048 tokens` for tables and events."""
    parts = [template.engine, template.precision, f"{template.slots} x {template.context} tokens"]
    return ", ".join(part for part in parts if part)
