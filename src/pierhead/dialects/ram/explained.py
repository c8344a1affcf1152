"""The catalog in neutral words: for the explorer, the samples and the documentation."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from pierhead.core import examples
from pierhead.core.conditions import KEYS, RESOURCE_TAG
from pierhead.core.history import with_history
from pierhead.core.reference import Authorization, Place, Style
from pierhead.core.reference import Operation as Told
from pierhead.core.reference import Parameter as Field
from pierhead.dialects.audit_explained import told_audit
from pierhead.dialects.ram import errors, shown_examples
from pierhead.dialects.ram.catalog import (
    NATIVE,
    RAM,
    STS,
    Operation,
    Parameter,
    Refusal,
    Shape,
    load,
)

_PRODUCTS = {RAM: "ram", STS: "sts"}
_OWN = "pierhead"
_VERSIONS = {"ram": RAM, "sts": STS, _OWN: NATIVE}
COMMON = ("NoPermission", "Throttling.User", "InternalError", "ServiceUnavailable")
#: Our types -> (neutral type, how it is written out where that says more).
_TYPES = {
    "boolean": ("boolean", ""),
    "integer": ("integer", ""),
    "bound": ("string", "number, or `none`"),
    "whole": ("string", "whole number, or `none`"),
    "document": ("string", "policy document (JSON)"),
}
_VERBS = (
    "Create", "Get", "Update", "Delete", "List", "Add", "Remove", "Attach", "Detach", "Set",
    "Rotate", "Revoke", "Simulate", "Change",
)  # fmt: skip


def operations() -> tuple[Told, ...]:
    """All operations of RAM, of STS and of our own, those of the vendor's that are not here last."""
    catalog = load()
    real = tuple(told(one) for one in catalog.operations.values())
    return (*real, told_audit(), *(_refused(one) for one in catalog.refused.values()))


def find(product: str, name: str) -> Told | None:
    """One operation of a product by its name, as it is spelled."""
    found = load().operations.get((_VERSIONS[product], name))
    if found is not None:
        return told(found)
    refused = load().refused.get((_VERSIONS[product], name))
    if refused is not None:
        return _refused(refused)
    audit = told_audit()
    return audit if (product, name) == (audit.product, audit.id) else None


def codes() -> Mapping[str, tuple[int, str]]:
    """Code -> (HTTP status, what it means)."""
    return errors.codes()


def told(operation: Operation) -> Told:
    """One operation, with examples."""
    found = Told(
        product=_PRODUCTS.get(operation.version, _OWN),
        version=operation.version,
        id=operation.id,
        style=Style.RPC,
        method="POST",
        path="/",
        group=_group(operation.id),
        parameters=tuple(_parameter(item) for item in operation.parameters),
        response=(Field("RequestId", "string"), *fields(operation.response)),
        authorization=_authorization(operation),
        since=operation.version,
        errors=tuple(dict.fromkeys(_errors(operation))),
    )
    shown = shown_examples.with_examples(examples.exemplified(shown_examples.hinted(found)))
    return with_history(shown)


def _refused(one: Refusal) -> Told:
    product = _PRODUCTS.get(one.version, _OWN)
    return Told(
        product=product,
        version=one.version,
        id=one.id,
        style=Style.RPC,
        method="POST",
        path="/",
        group=_group(one.id),
        parameters=(),
        response=(Field("RequestId", "string"),),
        authorization=Authorization(f"{product}:{one.id}", "none", "*", (), "documented"),
        unsupported=one.reason,
        since=one.version,
        errors=("InvalidAction.NotFound",),
    )


def _group(name: str) -> str:
    """The noun of an operation's name: `AttachPolicyToUser` is about policies."""
    verb = next((one for one in _VERBS if name.startswith(one)), "")
    rest = name.removeprefix(verb)
    for joint in ("To", "From", "For", "LastUsed"):
        head, found, _ = rest.partition(joint)
        if (found and head and joint != "To") or (
            found and head and rest[len(head) + 2 : len(head) + 3].isupper()
        ):
            rest = head
    if rest.endswith("Series"):  # one is called as many are
        return rest
    if rest.endswith("ies"):
        return f"{rest[:-3]}y"
    return rest[:-1] if rest.endswith("s") and not rest.endswith(("Alias", "ss")) else rest


def _parameter(item: Parameter) -> Field:
    kind, text = _TYPES.get(item.type, ("string", ""))
    numbered = item.type in errors.NUMBERS
    low = item.minimum if item.minimum is not None else (1 if item.type == "integer" else None)
    return Field(
        name=item.name,
        type=kind,
        place=Place.QUERY,
        required=item.required,
        values=item.values,
        default=item.default,
        minimum=low if kind == "integer" else None,
        maximum=item.maximum if kind == "integer" else None,
        longest=0 if numbered else item.maximum or 0,
        unit="bytes" if item.type == "document" else "",
        example=shown_examples.of_type(item),
        type_text=text,
    )


def fields(shape: Shape) -> tuple[Field, ...]:
    """An answer's fields."""
    return tuple(_field(name, inner) for name, inner in shape.items())


def _field(name: str, inner: object) -> Field:
    if isinstance(inner, dict):
        return Field(name, "object", fields=fields(cast("Shape", inner)))
    if isinstance(inner, list):
        (item,) = cast("list[object]", inner)
        return Field(name, "array", items=_field("", item))
    return Field(name, cast("str", inner))


def _authorization(operation: Operation) -> Authorization:
    scope = "acs:ram:*:{accountId}:" if operation.action.startswith("ram:") else ""
    own = operation.action.startswith("pierhead:")
    about = [_arn(one, scope, own=own) for one in operation.resources]
    labelled = any(one.startswith("service/") for one in operation.resources)
    keys = (*KEYS, f"{RESOURCE_TAG}<key>") if labelled else KEYS
    return Authorization(
        operation.action,
        operation.access,
        ", ".join(about) or "*",
        keys,
        "inferred" if own else "documented",
    )


def _arn(template: str, scope: str, *, own: bool) -> str:
    if template.startswith("service/"):
        return f"acs:eas:{{regionId}}:{{accountId}}:{template}"
    return f"{'acs:pierhead:{regionId}:{accountId}:' if own else scope}{template}"


def _errors(operation: Operation) -> Iterator[str]:
    known = errors.codes()
    for item in operation.parameters:
        yield from (code for code, _meaning in errors.of_parameter(item))
        kind = f"EntityNotExist.{item.of}"
        if item.of and kind in known and not _is_new(operation, item):
            yield kind
    noun = _group(operation.id)
    if operation.access == "create" and f"EntityAlreadyExists.{noun}" in known:
        yield f"EntityAlreadyExists.{noun}"
    if operation.access == "delete":
        yield from (code for code in known if code.startswith(f"DeleteConflict.{noun}."))
    if any(item.type == "document" for item in operation.parameters):
        yield "MalformedPolicyDocument"
    if operation.access not in {"get", "list"}:
        yield "OperationConflict"


def _is_new(operation: Operation, item: Parameter) -> bool:
    first = operation.parameters[0] is item
    return item.name.startswith("New") or (operation.access == "create" and first)


def answer_of(operation: Operation, sent: Mapping[str, Any]) -> dict[str, Any]:
    """The documented answer of a call, with the names that the client sent."""
    return examples.echoed(told(operation).answer, sent)
