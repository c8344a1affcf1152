"""A deployment of one replica over several nodes, from what is said of each node. Pure.

The nodes of a replica run the same: what is said of the first counts for all, and another one may repeat it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pierhead.core.errors import Invalid, Missing
from pierhead.core.events import Notice
from pierhead.core.registry import RegisteredTemplate
from pierhead.core.replicas import RuntimeInfo
from pierhead.core.spans import MOST_NODES
from pierhead.operations.effective import NO_EFFECT
from pierhead.operations.wishes import DeployWish

_FIELD = "modelServices"
_ONE = "the nodes of a replica run the same; leave it out, or say the same for each"


@dataclass(frozen=True, slots=True)
class Part:
    """What is said of one node; None = nothing."""

    template: str  #: uuid
    wish: DeployWish
    rank: int | None = None
    tensor: int | None = None  #: GPUs of the node that the engine computes on
    initial: bool | None = None  #: is it the one that has the engine?
    #: Everything that must be the same for all nodes, by the wire's names.
    said: Mapping[str, Any] = field(default_factory=dict[str, Any])
    described: bool = False  #: has it a description of its own, which nothing shows?


@dataclass(frozen=True, slots=True)
class Spread:
    """What is asked for as a whole."""

    parts: tuple[Part, ...]
    name: str = ""
    description: str | None = None
    in_turn: bool = False  #: the members start once their leader can be joined
    without_effect: tuple[str, ...] = ()


def wish(spread: Spread) -> DeployWish:
    """The one deployment that the parts come to.

    Raises:
        Missing: it cannot be told which node is which.
        Invalid: the parts do not make one replica; the message names the field.
    """
    parts = spread.parts
    if not 2 <= len(parts) <= MOST_NODES:
        legal = f"2 to {MOST_NODES}, one for each node; DeployModelService is for one node"
        raise Invalid(_FIELD, f"it has {len(parts)} element(s)", legal)
    first = _first(parts)
    tensor = _tensor(parts)
    _demand_same(parts, first)
    return replace(
        parts[first].wish,
        name=spread.name,
        description=spread.description,
        nodes=len(parts),
        tensor=tensor,
        in_turn=spread.in_turn,
        without_effect=spread.without_effect,
        told=_told(parts),
    )


def demand_one(templates: Mapping[str, RegisteredTemplate], parts: Sequence[Part]) -> None:
    """Refuse templates that are not made for it, or are not one.

    Raises:
        Invalid: they are; the message names them.
    """
    for template in templates.values():
        if not template.support_distributed:
            raise Invalid(_FIELD, f"[{template.name[:80]}] has supportDistributed false")
    for at, part in enumerate(parts):
        if part.template != parts[0].template:
            one, other = (templates[each.template].name[:80] for each in (parts[0], part))
            raise Invalid(f"{_FIELD}[{at}].uuid", f"[{other}] beside [{one}]", _ONE)


def demand_gpus(asked: DeployWish, info: RuntimeInfo) -> None:
    """Refuse more GPUs than any node has.

    Raises:
        Invalid: no node has as many.
    """
    most = max((node.gpus for node in info.nodes), default=None)
    if asked.tensor is not None and most is not None and asked.tensor > most:
        problem = f"{asked.tensor} is more than a node has GPUs"
        raise Invalid("tensorParallelSize", problem, f"from 1 to {most}" if most else "")


def _first(parts: Sequence[Part]) -> int:
    """Which part is the node of rank 0."""
    initial = [at for at, part in enumerate(parts) if part.initial]
    if len(initial) > 1:
        raise Invalid(
            _named(initial[1], "isInitialNode"), "it is true already", "true for one node"
        )
    ranks = _ranks(parts, initial[0] if initial else 0)
    first = ranks.index(0)
    if initial and initial[0] != first:
        problem = f"it is true, and the node has the rank {ranks[initial[0]]}"
        raise Invalid(_named(initial[0], "isInitialNode"), problem, "true for rank 0")
    if parts[first].initial is False:
        raise Invalid(_named(first, "isInitialNode"), "it is false", "true for rank 0")
    return first


def _ranks(parts: Sequence[Part], first: int) -> list[int]:
    """The rank of each part: as said, else in the order of the list, with part `first` before all others."""
    told = [part.rank for part in parts]
    if not any(rank is not None for rank in told):
        return [0 if at == first else at + (at < first) for at in range(len(parts))]
    for at, rank in enumerate(told):
        if rank is None:
            raise Missing(_named(at, "nodeRank"), "given for one node, it is given for all")
        if rank >= len(parts):
            raise Invalid(_named(at, "nodeRank"), f"{rank}", f"from 0 to {len(parts) - 1}")
        if rank in told[:at]:
            raise Invalid(_named(at, "nodeRank"), f"{rank} is another node's", "one for each node")
    return [rank for rank in told if rank is not None]


def _tensor(parts: Sequence[Part]) -> int | None:
    """How many GPUs of each node the engine computes on."""
    found: int | None = None
    for at, part in enumerate(parts):
        if part.tensor is None:
            continue
        if part.tensor < 1:
            raise Invalid(_named(at, "tensorParallelSize"), f"{part.tensor}", "1 or more")
        if found not in {None, part.tensor}:
            problem = f"{part.tensor} beside {found}"
            raise Invalid(_named(at, "tensorParallelSize"), problem, "one number for all nodes")
        found = part.tensor
    return found


def _demand_same(parts: Sequence[Part], first: int) -> None:
    for at, part in enumerate(parts):
        for name, value in part.said.items():
            if name in {"resourceUuid", "tagUuids"}:
                raise Invalid(
                    _named(at, name), "one group is made of all nodes", f"beside {_FIELD}"
                )
            if parts[first].said.get(name) != value:
                raise Invalid(_named(at, name), "it is not what the node of rank 0 has", _ONE)


def _told(parts: Sequence[Part]) -> tuple[Notice, ...]:
    if not any(part.described for part in parts):
        return ()
    why = "the group has one description, beside them"
    return (Notice(NO_EFFECT, f"The parameter {_FIELD}.description has no effect: {why}."),)


def _named(at: int, name: str) -> str:
    return f"{_FIELD}[{at}].{name}"
