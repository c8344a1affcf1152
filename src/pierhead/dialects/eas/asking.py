"""What an operation is about to do, as policies are asked: its action, its objects, its workspace."""

from collections.abc import Mapping
from typing import Any, cast

from pierhead.core.aliases import Noun
from pierhead.core.conditions import Context
from pierhead.core.permits import Deed, Target
from pierhead.core.registry import ResourceType
from pierhead.core.twins import LIST, LOOK, LOOK_AT_GROUPS
from pierhead.dialects.eas.catalog import Operation
from pierhead.dialects.eas.present import core_id
from pierhead.dialects.eas.reading import Reading

#: What an operation without resource-level permission asks about.
WHOLE: Noun = ("eas", "*")
#: Lists over services: of the answer everything is left out that may not be seen.
LISTS = frozenset({"ListServices", "ListGroups", "ListResourceServices"})
_SHOWN_BY = (LIST, LOOK, LOOK_AT_GROUPS)
_MAKES = frozenset({"CreateService", "CreateAppService"})
_CLONES = "CloneService"


def deed(
    operation: Operation, path: Mapping[str, str], values: Reading | None, known: Context
) -> Deed:
    """What the operation is about to do.

    Args:
        operation: the operation.
        path: the names in the path, decoded.
        values: of query and body; None = they are not legal, which is told to those who may call.
        known: of the request: see `dialects/circumstances.py`.
    """
    return Deed((operation.ram.action,), _targets(operation, path, values), known)


def _targets(
    operation: Operation, path: Mapping[str, str], values: Reading | None
) -> tuple[Target, ...]:
    lists = (operation.ram.action, *_SHOWN_BY) if operation.id in LISTS else ()
    template = operation.ram.resource
    if "ServiceName" in path:
        return _service(operation, path["ServiceName"])
    if operation.id == "ListServices":
        groups = ("zstack", f"{ResourceType.GROUP}/*")
        return (Target(("eas", "service/*"), (groups,), lists=lists),)
    if operation.id in _MAKES:
        return (_made(values or Reading()),)
    if template == "*":
        return (Target(WHOLE, lists=lists),)
    noun = template.split(":", 4)[4]
    for name in operation.path_params:
        noun = noun.replace(f"{{{name}}}", path[name])
    return (Target(("eas", noun), lists=lists),)


def _service(operation: Operation, name: str) -> tuple[Target, ...]:
    told = ("eas", f"service/{name}")
    whole = (WHOLE,) if operation.ram.resource == "*" else ()
    clones = operation.id == _CLONES
    target = Target(told, whole, service=core_id(name), makes=clones)
    if not clones:
        return (target,)
    return (target, Target(told, service=core_id(name), actions=(LOOK,)))


def _made(values: Reading) -> Target:
    """A service to be made, in the workspace and with the labels that are asked for."""
    metadata: Any = values.body.get("metadata")
    inner: Any = (
        cast("dict[str, Any]", metadata).get("workspace_id") if isinstance(metadata, dict) else None
    )
    labels = cast("Mapping[str, Any]", values.query.get("Labels") or {})
    return Target(
        WHOLE,
        workspace=values.query.get("WorkspaceId") or (inner if isinstance(inner, str) else ""),
        labels={key: value for key, value in labels.items() if isinstance(value, str)},
        makes=True,
    )
