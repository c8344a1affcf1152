"""What OpenAPI documents say of an operation beside its shape; and a whole document of our own words."""

from collections.abc import Iterable, Mapping
from typing import Any

from pierhead.core.reference import Operation, Parameter, Place, Style

JSON = "application/json"
_KINDS = ("string", "integer", "number", "boolean")


def extensions(operation: Operation) -> dict[str, Any]:
    """Since when, under which action, at once or later, and an example: the same as in the explorer."""
    authorization = operation.authorization
    return {
        "x-since": operation.since or operation.version,
        "x-sync": operation.synchronous,
        "x-auth": operation.style.value,
        "x-ram-action": authorization.action,
        "x-ram-access-level": authorization.access,
        "x-ram-resource": authorization.resource,
        "x-ram-conditions": list(authorization.conditions),
        "x-errors": list(operation.errors),
        "x-example": {"request": dict(operation.example), "answer": dict(operation.answer)},
    }


def document(
    title: str, version: str, server_url: str, operations: Iterable[Operation]
) -> dict[str, Any]:
    """The operations as an OpenAPI 3.1 document.

    Calls in RPC style share one path; `Action` and `Version` stand in its query to tell them apart.
    """
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(_path(one), {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "servers": [{"url": server_url}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "credentials": {"type": "apiKey", "in": "header", "name": "Authorization"}
            }
        },
        "security": [{"credentials": []}],
    }


def _path(operation: Operation) -> str:
    if operation.style is not Style.RPC:
        return operation.path
    return f"/?Action={operation.id}&Version={operation.version}"


def _operation(operation: Operation) -> dict[str, Any]:
    body = [one for one in operation.parameters if one.place is Place.BODY]
    value: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.group],
        "description": f"Not supported: {operation.unsupported}."
        if operation.unsupported
        else "Supported.",
        "parameters": [
            {
                "name": one.name,
                "in": one.place.value,
                "required": one.required,
                "schema": schema(one),
                "example": one.example,
            }
            for one in operation.parameters
            if one.place is not Place.BODY
        ],
        "responses": {
            "200": {
                "description": "Done.",
                "content": {
                    JSON: {"schema": _object(operation.response), "example": operation.answer}
                },
            }
        },
        **extensions(operation),
    }
    if body:
        sent = {one.name: operation.example.get(one.name) for one in body}
        example = {name: shown for name, shown in sent.items() if shown is not None}
        value["requestBody"] = {"content": {JSON: {"schema": _object(body), "example": example}}}
    return value


def schema(parameter: Parameter) -> dict[str, Any]:
    """A parameter's type, with its bounds and legal values."""
    facets: Mapping[str, Any] = {
        "enum": list(parameter.values) if parameter.values and not parameter.open else None,
        "examples": list(parameter.values) if parameter.values and parameter.open else None,
        "default": parameter.default,
        "minimum": parameter.minimum,
        "maximum": parameter.maximum,
        "maxLength": parameter.longest or None,
        "deprecated": parameter.deprecated or None,
        "x-since": parameter.since or None,
    }
    return {**_shape(parameter), **{name: one for name, one in facets.items() if one is not None}}


def _shape(parameter: Parameter) -> dict[str, Any]:
    inner = {} if parameter.items is None else schema(parameter.items)
    if parameter.type == "array":
        return {"type": "array", "items": inner}
    if parameter.type == "map":
        return {"type": "object", "additionalProperties": inner or True}
    if parameter.type == "object":
        return _object(parameter.fields)
    return {"type": parameter.type} if parameter.type in _KINDS else {}


def _object(fields: Iterable[Parameter]) -> dict[str, Any]:
    listed = tuple(fields)
    required = [one.name for one in listed if one.required]
    value: dict[str, Any] = {
        "type": "object",
        "properties": {one.name: schema(one) for one in listed},
    }
    return {**value, "required": required} if required else value
