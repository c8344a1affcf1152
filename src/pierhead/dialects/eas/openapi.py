"""The catalog as an OpenAPI 3.1 document: all 108 operations, supported or not."""

from typing import Any

from pierhead.core.openapi import extensions
from pierhead.core.reference import Operation as Told
from pierhead.core.reference import Place
from pierhead.dialects.eas import explained
from pierhead.dialects.eas.catalog import Catalog, Field, Operation
from pierhead.dialects.eas.errors import CODES

_TYPES = {"integer": "integer", "number": "number", "boolean": "boolean", "string": "string"}


def document(catalog: Catalog, server_url: str) -> dict[str, Any]:
    """The document; `server_url` is where the control plane answers."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in catalog.operations:
        told = explained.told(operation, catalog)
        shown = _operation(operation, told)
        paths.setdefault(operation.path, {})[operation.method.lower()] = shown
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "PAI-EAS as Pierhead speaks it",
            "version": "2021-07-01",
            "description": "Requests are signed (ACS3-HMAC-SHA256 or ROA HMAC-SHA1) or bring a "
            "bearer token in x-acs-bearer-token.",
        },
        "servers": [{"url": server_url}],
        "security": [{"signature": []}, {"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": {**_models(catalog), "Error": _error()},
            "responses": {"Refused": _refused()},
            "securitySchemes": {
                "signature": {"type": "apiKey", "in": "header", "name": "Authorization"},
                "bearer": {"type": "apiKey", "in": "header", "name": "x-acs-bearer-token"},
            },
        },
    }


def _models(catalog: Catalog) -> dict[str, Any]:
    return {name: _object(fields) for name, fields in catalog.models.items()}


def _operation(operation: Operation, told: Told) -> dict[str, Any]:
    value: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.kind],
        "description": f"Not supported: {operation.unsupported}."
        if operation.unsupported
        else "Supported.",
        "parameters": _parameters(operation),
        "responses": {
            "200": {
                "description": "The operation was accepted or answered.",
                "content": {
                    "application/json": {
                        "schema": _answer(operation.response),
                        "example": dict(told.answer),
                    }
                },
            },
            "4XX": {"$ref": "#/components/responses/Refused"},
            "5XX": {"$ref": "#/components/responses/Refused"},
        },
        "x-pierhead-tier": operation.tier,
        **extensions(told),
    }
    if operation.deprecated:
        value["deprecated"] = True
    if operation.body is not None:
        value["requestBody"] = _body(operation, told)
    return value


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in operation.path_params
    ]
    return [*path, *(_query(item) for item in operation.query)]


def _query(item: Field) -> dict[str, Any]:
    value: dict[str, Any] = {"name": item.name, "in": "query", "required": item.required}
    if item.deprecated:
        value["deprecated"] = True
    if item.note:
        value["description"] = item.note
    if item.instead:
        value["required"] = False
        value["description"] = f"Required unless {item.instead} is given."
    if item.serialization == "comma":
        return {**value, "style": "form", "explode": False, "schema": _schema(item)}
    if item.serialization == "json":
        return {**value, "content": {"application/json": {"schema": _schema(item)}}}
    return {**value, "schema": _schema(item)}


def _body(operation: Operation, told: Told) -> dict[str, Any]:
    body = operation.body
    assert body is not None  # noqa: S101 - asked by the caller
    schema = _object(body.fields)
    return {
        "required": bool(schema.get("required")),
        "description": body.note or "A JSON object.",
        "content": {"application/json": {"schema": schema, "example": _sent(told)}},
    }


def _sent(told: Told) -> dict[str, Any]:
    """The body of the example."""
    beside = {one.name for one in told.parameters if one.place is not Place.BODY}
    return {name: value for name, value in told.example.items() if name not in beside}


def _object(fields: tuple[Field, ...]) -> dict[str, Any]:
    value: dict[str, Any] = {
        "type": "object",
        "properties": {item.name: _schema(item) for item in fields},
    }
    required = [item.name for item in fields if item.required]
    return {**value, "required": required} if required else value


def _answer(response: Field) -> dict[str, Any]:
    """Every answer carries RequestId, whether its model declares it or not."""
    request_id = {"type": "string"}
    if response.ref:
        extra = {"type": "object", "properties": {"RequestId": request_id}}
        return {"allOf": [{"$ref": f"#/components/schemas/{response.ref}"}, extra]}
    schema = _object(response.fields)
    schema["properties"].setdefault("RequestId", request_id)
    return schema


def _schema(item: Field) -> dict[str, Any]:
    if item.ref:
        return {"$ref": f"#/components/schemas/{item.ref}"}
    return {**_shape(item), **_facets(item)}


def _shape(item: Field) -> dict[str, Any]:
    if item.type == "array":
        return {"type": "array", "items": _schema(item.items) if item.items else {}}
    if item.type == "map":
        return {"type": "object", "additionalProperties": _schema(item.of) if item.of else True}
    if item.type == "object":
        return _object(item.fields)
    return {"type": _TYPES[item.type]} if item.type in _TYPES else {}


def _facets(item: Field) -> dict[str, Any]:
    facets = {
        "minimum": item.minimum,
        "maximum": item.maximum,
        "default": item.default,
        "description": ", ".join(text for text in (item.note, item.unit) if text) or None,
        "deprecated": item.deprecated or None,
        "examples" if item.open or item.name == "Sort" else "enum": list(item.values) or None,
    }
    return {name: value for name, value in facets.items() if value is not None}


def _error() -> dict[str, Any]:
    texts = ("RequestId", "HostId", "Message", "Recommend")
    return {
        "type": "object",
        "required": ["RequestId", "HostId", "Code", "Message", "Recommend"],
        "properties": {
            **{name: {"type": "string"} for name in texts},
            "Code": {"type": "string", "enum": sorted(CODES)},
            "AccessDeniedDetail": {
                "type": "object",
                "additionalProperties": {"type": "string"},
            },
        },
    }


def _refused() -> dict[str, Any]:
    return {
        "description": "Refused, with a code that says why.",
        "headers": {"x-acs-request-id": {"schema": {"type": "string"}}},
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
