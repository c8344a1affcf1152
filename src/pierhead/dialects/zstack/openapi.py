"""The catalog as an OpenAPI 3.1 document: all 74 APIs, supported or not, and the RPC door."""

import re
from collections.abc import Sequence
from typing import Any

from pierhead.core.openapi import extensions
from pierhead.dialects.zstack import explained, json_schema
from pierhead.dialects.zstack.catalog import Api, Catalog
from pierhead.dialects.zstack.errors import CODES
from pierhead.dialects.zstack.query_parameters import QUERY_PARAMETERS

__all__ = ["QUERY_PARAMETERS", "document"]

_JSON = "application/json"


def document(catalog: Catalog, server_url: str) -> dict[str, Any]:
    """The document; `server_url` is where the hub answers, without /zstack."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ZStack AIOS model services as Pierhead speaks them",
            "version": "v1",
            "description": "Log in with PUT /zstack/v1/accounts/login and send `OAuth <uuid>`, or "
            "sign with an access key: `ZStack <id>:<signature>`. The signature covers method, date "
            "and path, not the body: use TLS. Every API can also be called by its RPC message.",
        },
        "servers": [{"url": server_url}],
        "security": [{"credentials": []}],
        "paths": {**_paths(catalog), **_rpc(catalog)},
        "components": {
            "schemas": _schemas(catalog),
            "responses": _refusals(),
            "securitySchemes": {
                "credentials": {"type": "apiKey", "in": "header", "name": "Authorization"}
            },
        },
    }


def _paths(catalog: Catalog) -> dict[str, Any]:
    """One operation per path and method; APIs that share both are told apart by the body's key."""
    grouped: dict[tuple[str, str], list[Api]] = {}
    for api in catalog.apis.values():
        grouped.setdefault((api.path, api.method.lower()), []).append(api)
    paths: dict[str, dict[str, Any]] = {}
    for (path, method), apis in grouped.items():
        paths.setdefault(path, {})[method] = _operation(apis, catalog)
    for api in catalog.apis.values():
        if api.item_path:
            paths.setdefault(api.item_path, {})["get"] = _item(api, catalog)
    return paths


def _operation(apis: Sequence[Api], catalog: Catalog) -> dict[str, Any]:
    value: dict[str, Any] = {
        "operationId": "Or".join(api.name for api in apis),
        "summary": " Or: ".join(api.summary for api in apis),
        "description": " ".join(_state(api) for api in apis),
        "parameters": [*_path_parameters(apis[0].path), *_query_parameters(apis[0], catalog)],
        "responses": _responses(apis, catalog),
        "x-pierhead-apis": {api.name: _told(api, catalog) for api in apis},
    }
    if any(not api.authenticated for api in apis):
        value["security"] = []
    bodies = [_body(api, catalog) for api in apis if api.wrapper]
    if bodies:
        schema = bodies[0] if len(bodies) == 1 else {"oneOf": bodies}
        value["requestBody"] = {"content": {_JSON: {"schema": schema}}}
    return value


def _told(api: Api, catalog: Catalog) -> dict[str, Any]:
    found = explained.told(api, catalog)
    return {"tier": api.tier, "message": api.message, **extensions(found)}


def _state(api: Api) -> str:
    return f"Not supported: {api.reason}." if api.tier == 3 else api.effect


def _item(api: Api, catalog: Catalog) -> dict[str, Any]:
    return {
        "operationId": f"{api.name}ByUuid",
        "summary": f"{api.summary} The one of this uuid: a list of one, or an empty list.",
        "description": _state(api),
        "parameters": _path_parameters(api.item_path),
        "responses": _responses([api], catalog),
        "x-pierhead-apis": {api.name: _told(api, catalog)},
    }


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", path)
    ]


def _query_parameters(api: Api, catalog: Catalog) -> list[dict[str, Any]]:
    given = [
        {
            "name": item.name,
            "in": "query",
            "required": item.required,
            "schema": json_schema.of_param(item, catalog),
        }
        for item in api.params
        if item.place == "query"
    ]
    if not api.query:
        return given
    return given + [
        {"name": name, "in": "query", "description": meaning, "schema": _query_schema(kind)}
        for name, (kind, meaning) in QUERY_PARAMETERS.items()
    ]


def _query_schema(kind: str) -> dict[str, Any]:
    return {"type": kind, "items": {"type": "string"}} if kind == "array" else {"type": kind}


def _body(api: Api, catalog: Catalog) -> dict[str, Any]:
    """The parameters under their wrapper. The tags may also stand beside it."""
    inner = json_schema.of_fields((item for item in api.params if item.place == "body"), catalog)
    value: dict[str, Any] = {
        "type": "object",
        "properties": {api.wrapper: inner},
        "required": [api.wrapper],
    }
    if api.tags:
        texts = {"type": "array", "items": {"type": "string"}}
        for properties in (value["properties"], inner["properties"]):
            properties.update(systemTags=texts, userTags=texts)
    return value


def _schemas(catalog: Catalog) -> dict[str, Any]:
    structs = {
        name: json_schema.of_fields(fields, catalog) for name, fields in catalog.structs.items()
    }
    objects = {
        name: {
            "type": "object",
            "properties": {
                item.name: json_schema.of_answer(item, catalog)
                for item in found.fields
                if not item.never
            },
        }
        for name, found in catalog.inventories.items()
    }
    return {**structs, **objects, "Refusal": _refusal(), "Accepted": _accepted()}


def _responses(apis: Sequence[Api], catalog: Catalog) -> dict[str, Any]:
    served = [api for api in apis if api.tier != 3]
    if not served:
        return {"404": {"$ref": "#/components/responses/Text"}}
    answers = [_answer(api, catalog) for api in served]
    schema = answers[0] if len(answers) == 1 else {"anyOf": answers}
    value: dict[str, Any] = {
        "200": {"description": "Done.", "content": {_JSON: {"schema": schema}}},
        "503": {"$ref": "#/components/responses/Refused"},
        "4XX": {"$ref": "#/components/responses/Text"},
    }
    if any(not api.sync for api in served):
        value["202"] = {"$ref": "#/components/responses/Accepted"}
    return value


def _answer(api: Api, catalog: Catalog) -> dict[str, Any]:
    properties = {key: json_schema.of_type(kind, catalog) for key, kind in api.response.items()}
    if api.query:
        properties["total"] = {"type": "integer", "format": "int64"}
        properties["schema"] = {"type": "object", "additionalProperties": {"type": "string"}}
    told = {"success": {"const": True}, "error": {"type": "null"}}
    return {"type": "object", "properties": {**told, **properties}}


def _refusal() -> dict[str, Any]:
    """The error object; `cause` is the first of a chain, in the same shape."""
    texts = ("description", "details", "elaboration")
    maybe = {"anyOf": [{"$ref": "#/components/schemas/Refusal"}, {"type": "null"}]}
    return {
        "type": "object",
        "required": ["code", *texts, "opaque", "cause"],
        "properties": {
            "code": {"type": "string", "enum": sorted(CODES)},
            **{name: {"type": ["string", "null"]} for name in texts},
            "opaque": {"type": ["object", "null"]},
            "cause": maybe,
            "i18nDetails": {"type": "string"},
            "globalErrorCode": {"type": "string"},
        },
    }


def _accepted() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["location", "apiTimeout"],
        "properties": {
            "location": {"type": "string", "format": "uri"},
            "apiTimeout": {"type": "integer", "description": "Milliseconds."},
        },
    }


def _refusals() -> dict[str, Any]:
    refused = {
        "type": "object",
        "required": ["success", "error"],
        "properties": {
            "success": {"const": False},
            "error": {"$ref": "#/components/schemas/Refusal"},
        },
    }
    return {
        "Refused": {
            "description": "Refused, with a code that says why.",
            "content": {_JSON: {"schema": refused}},
        },
        "Accepted": {
            "description": "Taken up as a job: look at `location` until it is done.",
            "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Accepted"}}},
        },
        "Text": {
            "description": "The request itself cannot be read, or nothing is there.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
    }


def _rpc(catalog: Catalog) -> dict[str, Any]:
    """The RPC door: the message is the only key of the body."""
    messages = sorted(api.message for api in catalog.apis.values() if api.message)
    body = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "propertyNames": {"enum": messages},
        "additionalProperties": {"type": "object"},
    }
    answer = {
        "description": "Done or under way; `result` is JSON as a text.",
        "content": {
            _JSON: {
                "schema": {
                    "type": "object",
                    "required": ["state"],
                    "properties": {
                        "uuid": {"type": "string"},
                        "state": {"type": "string", "enum": ["Processing", "Done"]},
                        "createdDate": {"type": "string"},
                        "finishedDate": {"type": "string"},
                        "result": {"type": "string", "contentMediaType": _JSON},
                    },
                }
            }
        },
    }
    text = {"$ref": "#/components/responses/Text"}
    return {
        "/zstack/api": {
            "post": {
                "operationId": "Rpc",
                "summary": "Call any API by its message; the login stands in the message.",
                "security": [],
                "requestBody": {"required": True, "content": {_JSON: {"schema": body}}},
                "responses": {"200": answer, "4XX": text},
            }
        },
        "/zstack/api/result/{uuid}": {
            "get": {
                "operationId": "RpcResult",
                "summary": "The result of a call that was under way.",
                "security": [],
                "parameters": _path_parameters("/zstack/api/result/{uuid}"),
                "responses": {"200": answer, "404": text},
            }
        },
    }
