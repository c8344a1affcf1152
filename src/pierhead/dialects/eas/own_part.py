"""The part `pierhead` of a service JSON: what this platform knows and the vendor's does not.

    {"pierhead": {"affinity": "prefix" | "none", "repeats": true | false, "nodes": 2}}

A key of its own, so that it cannot come to mean something else in a later version of the vendor's.
"""

from typing import Any

from pierhead.core.errors import Invalid
from pierhead.core.services import Relaying
from pierhead.dialects.eas.document_part import Part

OWN = "pierhead"
_AFFINITIES = {"": None, "prefix": "prefix", "none": ""}


def relaying(part: Part) -> Relaying:
    """What it says of relaying; all that is left is reported.

    Raises:
        Invalid: a value is not legal.
    """
    affinity, repeats = part.text("affinity"), part.take("repeats")
    if affinity not in _AFFINITIES:
        raise Invalid(part.name("affinity"), f"[{affinity[:80]}]", "prefix, none")
    if repeats is not None and not isinstance(repeats, bool):
        raise Invalid(part.name("repeats"), f"[{str(repeats)[:80]}]", "true, false")
    part.rest()
    return Relaying(_AFFINITIES[affinity], repeats is not False)


def demand_nodes(part: Part, nodes: int) -> None:
    """Let a document say on how many nodes a replica is, if it says what the template says.

    Raises:
        Invalid: it says another number.
    """
    told = part.integer("nodes", 1)
    if told not in {None, nodes}:
        legal = f"{nodes}; ZStack's DeployDistributedModelService deploys over several nodes"
        raise Invalid(part.name("nodes"), f"[{told}]", legal)


def shown_nodes(nodes: int) -> dict[str, Any]:
    """The part that says on how many nodes a replica is; empty where it is on one."""
    return {"nodes": nodes} if nodes > 1 else {}


def shown_relaying(held: Relaying) -> dict[str, Any]:
    """The part that says it; empty where nothing was chosen."""
    shown: dict[str, Any] = {}
    if held.affinity is not None:
        shown["affinity"] = held.affinity or "none"
    if not held.repeats:
        shown["repeats"] = False
    return shown
