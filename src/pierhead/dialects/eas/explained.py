"""The catalog in neutral words: for the explorer, the samples and the documentation."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pierhead.core import examples
from pierhead.core.conditions import KEYS, RESOURCE_TAG
from pierhead.core.history import with_history
from pierhead.core.reference import Authorization, Parameter, Place, Style
from pierhead.core.reference import Operation as Told
from pierhead.dialects.eas import shown_examples
from pierhead.dialects.eas.catalog import Catalog, Field, Operation, load
from pierhead.dialects.eas.document_keys import DOCUMENTS
from pierhead.dialects.eas.errors import CODES
from pierhead.dialects.signing.codes import CODES as SIGNATURE_CODES

PRODUCT, VERSION = "eas", "2021-07-01"
#: What no client of the generation of the Python SDK 7.0.0 sends.
NEWER = "SDK > 7.0.0"
#: Codes that every operation may give.
COMMON = (
    *SIGNATURE_CODES,
    "Forbidden.RAM",
    "Throttling.User",
    "InvalidAction.Mismatch",
    "InvalidVersion",
    "RequestTimeout",
    "RequestEntityTooLarge",
    "InternalError",
    "ServiceUnavailable",
)
_LABELLED = f"{RESOURCE_TAG}<key>"
_DEEPEST = 8  #: models inside models


def operations() -> tuple[Told, ...]:
    """All operations of the vendor's API, in the catalog's order, each with examples."""
    catalog = load()
    return tuple(told(operation, catalog) for operation in catalog.operations)


def find(_product: str, name: str) -> Told | None:
    """One operation by its name, as it is spelled."""
    operation = load().by_id.get(name)
    return None if operation is None else told(operation, load())


def codes() -> Mapping[str, tuple[int, str]]:
    """Code -> (HTTP status, what it means)."""
    return CODES


def told(operation: Operation, catalog: Catalog) -> Told:
    """One operation, with examples."""
    ram = operation.ram
    found = Told(
        product=PRODUCT,
        version=VERSION,
        id=operation.id,
        style=Style.ROA,
        method=operation.method,
        path=operation.path,
        group=operation.kind,
        parameters=tuple(_parameters(operation)),
        response=_response(operation, catalog),
        authorization=Authorization(
            ram.action, ram.access, ram.resource, _conditions(operation), ram.basis
        ),
        document=operation.body is not None and operation.body.kind == "json_document",
        unsupported=operation.unsupported,
        deprecated=operation.deprecated,
        since=NEWER if operation.newer else VERSION,
        errors=tuple(_errors(operation)),
    )
    shown = shown_examples.with_seeds(
        examples.exemplified(examples.hinted(found, shown_examples.HINTS))
    )
    return with_history(shown)


def _parameters(operation: Operation) -> Iterator[Parameter]:
    for name in operation.path_params:
        yield Parameter(name, "string", Place.PATH, required=True)
    for item in operation.query:
        yield replace(parameter(item), place=Place.QUERY)
    if operation.body is not None:
        yield from (parameter(item) for item in operation.body.fields)
    yield from DOCUMENTS.get(operation.id, ())


def parameter(item: Field, models: Mapping[str, tuple[Field, ...]] | None = None) -> Parameter:
    """A field of a request or an answer; `models` are those that it may name."""
    return _parameter(item, models or {}, 0)


def _parameter(item: Field, models: Mapping[str, tuple[Field, ...]], depth: int) -> Parameter:
    fields = item.fields or (models.get(item.ref, ()) if depth < _DEEPEST else ())
    inner = item.items or item.of
    return Parameter(
        name=item.name,
        type="object" if item.ref else item.type,
        required=item.required and not item.instead,
        values=item.values,
        open=item.open or item.name == "Sort",
        default=item.default,
        minimum=1 if item.paging else item.minimum,
        maximum=item.maximum,
        unit=item.unit,
        deprecated=item.deprecated,
        since=NEWER if item.newer else "",
        serialization=item.serialization,
        fields=tuple(_parameter(one, models, depth + 1) for one in fields),
        items=None if inner is None else _parameter(inner, models, depth + 1),
    )


def _response(operation: Operation, catalog: Catalog) -> tuple[Parameter, ...]:
    """Every answer carries RequestId, whether its model declares it or not."""
    whole = parameter(operation.response, catalog.models)
    known = {one.name for one in whole.fields}
    request_id = () if "RequestId" in known else (Parameter("RequestId", "string"),)
    return (*request_id, *whole.fields)


def _conditions(operation: Operation) -> tuple[str, ...]:
    """Labels can be asked for where the deed is about one service, or makes one with labels."""
    labelled = "ServiceName" in operation.path_params or "service/" in operation.ram.resource
    makes = any(item.name == "Labels" for item in operation.query)
    return (*KEYS, _LABELLED) if labelled or makes else KEYS


def _errors(operation: Operation) -> Iterator[str]:
    fields = (*operation.query, *(operation.body.fields if operation.body else ()))
    if any(item.required for item in fields) or operation.body is not None:
        yield "MissingParameter"
    if fields or operation.body is not None:
        yield "InvalidParameter"
    if operation.unsupported or operation.body is not None:
        yield "UnsupportedOperation"
    if operation.unsupported:
        return
    yield from _not_found(operation)
    changes = operation.ram.access in {"create", "update", "delete"}
    if changes and operation.kind in {"service", "group"}:
        yield "InvalidService.Conflict"
    if changes and operation.body is not None:
        yield "QuotaExceeded"


_NOT_FOUND = {
    "ServiceName": "InvalidService.NotFound",
    "GroupName": "InvalidGroup.NotFound",
    "InstanceName": "InvalidInstance.NotFound",
    "ResourceId": "InvalidResource.NotFound",
    "GatewayId": "InvalidGateway.NotFound",
    "TaskName": "InvalidBenchmarkTask.NotFound",
}
_PARTS = {
    "AutoScaler": "InvalidAutoScaler.NotFound",
    "CronScaler": "InvalidCronScaler.NotFound",
    "Mirror": "InvalidMirror.NotFound",
}


def _not_found(operation: Operation) -> Iterator[str]:
    if "ClusterId" in operation.path_params:
        yield "InvalidRegion.NotFound"
    for name, code in _NOT_FOUND.items():
        if name in operation.path_params:
            yield code
    for part, code in _PARTS.items():
        if operation.id.endswith(part) and not operation.id.startswith("Create"):
            yield code
    for item in operation.query:
        if item.name in {"WorkspaceId", "QuotaId"} and operation.ram.access != "get":
            yield f"Invalid{item.name.removesuffix('Id')}.NotFound"


def answer_of(operation: Operation, catalog: Catalog, sent: Mapping[str, Any]) -> dict[str, Any]:
    """The documented answer of a call, with the names that the client sent."""
    return examples.echoed(told(operation, catalog).answer, sent)
