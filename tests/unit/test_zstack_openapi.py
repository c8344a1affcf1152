"""The OpenAPI document of the ZStack door: complete, consistent, and true to the catalog."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from pierhead.dialects.zstack import openapi
from pierhead.dialects.zstack.catalog import Catalog, load

METHODS = {"get", "put", "post", "delete"}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load()


@pytest.fixture(scope="module")
def document(catalog: Catalog) -> dict[str, Any]:
    # What a client reads is JSON.
    return json.loads(json.dumps(openapi.document(catalog, "http://127.0.0.1:8080")))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        assert set(item) <= METHODS
        for method, operation in item.items():
            yield path, method, operation


def test_every_api_is_there_with_its_tier(catalog: Catalog, document: dict[str, Any]) -> None:
    found: dict[str, set[tuple[str, str]]] = {}
    tiers = {}
    for path, method, operation in operations(document):
        for name, facts in operation.get("x-pierhead-apis", {}).items():
            found.setdefault(name, set()).add((path, method))
            tiers[name] = facts["tier"]
    assert len(catalog.apis) == 74
    assert tiers == {api.name: api.tier for api in catalog.apis.values()}
    for api in catalog.apis.values():
        wanted = {(api.path, api.method.lower())}
        wanted |= {(api.item_path, "get")} if api.item_path else set()
        assert found[api.name] == wanted


def test_path_parameters_match(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        declared = [
            each["name"] for each in operation.get("parameters", []) if each["in"] == "path"
        ]
        assert declared == re.findall(r"\{(\w+)\}", path), path


def test_no_two_paths_differ_only_in_a_name(document: dict[str, Any]) -> None:
    shapes = [re.sub(r"\{\w+\}", "{}", path) for path in document["paths"]]
    assert len(shapes) == len(set(shapes))


def test_operation_ids_are_unique(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"\w+", each) for each in ids)


def test_every_reference_resolves(document: dict[str, Any]) -> None:
    used = set()
    for reference in _references(document):
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in target, reference
            target = target[part]
        used.add(reference.rpartition("/")[2])
    assert {"ModelServiceInventory", "ModelServiceInstanceInventory", "Refusal"} <= used
    assert {"Refused", "Accepted", "Text"} <= used


def test_unsupported_apis_say_why_and_answer_404(
    catalog: Catalog, document: dict[str, Any]
) -> None:
    for _, _, operation in operations(document):
        apis = [catalog.apis[name] for name in operation.get("x-pierhead-apis", {})]
        if apis and all(api.tier == 3 for api in apis):
            assert set(operation["responses"]) == {"404"}
            assert operation["description"].startswith("Not supported: ")
            assert apis[0].reason in operation["description"]


def test_only_what_may_be_a_job_is_answered_202(catalog: Catalog, document: dict[str, Any]) -> None:
    for _, _, operation in operations(document):
        apis = [catalog.apis[name] for name in operation.get("x-pierhead-apis", {})]
        if any(api.tier != 3 for api in apis):
            assert ("202" in operation["responses"]) == (not apis[0].sync), operation["operationId"]


def test_the_template_is_described_in_full(document: dict[str, Any]) -> None:
    operation = document["paths"]["/zstack/v1/ai/model-services"]["post"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    param = body["properties"]["param"]
    assert set(param["required"]) == {
        "name", "yaml", "requestCpu", "requestMemory", "modelCenterUuid", "installPath",
        "startCommand",
    }  # fmt: skip
    assert {"systemTags", "userTags", "resourceUuid", "tagUuids"} <= set(param["properties"])
    assert param["properties"]["type"]["enum"] == ["Endpoint", "FineTune", "ModelEval", "App"]
    assert param["properties"]["requestMemory"] == {
        "type": "integer",
        "format": "int64",
        "minimum": 1,
    }
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["properties"]["inventory"] == {
        "$ref": "#/components/schemas/ModelServiceInventory"
    }
    template = document["components"]["schemas"]["ModelServiceInventory"]["properties"]
    assert template["supportDistributed"] == {"type": "boolean"}  # its type has no null
    assert {"type": "null"} in template["readme"]["anyOf"]


def test_two_actions_on_one_path_are_told_apart_by_the_key(document: dict[str, Any]) -> None:
    operation = document["paths"]["/zstack/v1/ai/model-services/{uuid}"]["put"]
    bodies = operation["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    assert sorted(body["required"] for body in bodies) == [
        ["deployModelService"],
        ["updateModelService"],
    ]


def test_queries_take_the_query_language(document: dict[str, Any]) -> None:
    operation = document["paths"]["/zstack/v1/ai/models"]["get"]
    assert {each["name"] for each in operation["parameters"]} == set(openapi.QUERY_PARAMETERS)
    assert openapi.QUERY_PARAMETERS["q"][0] == "array"


def test_what_has_no_effect_says_so(document: dict[str, Any]) -> None:
    operation = document["paths"]["/zstack/v1/ai/model-services/{uuid}"]["put"]
    assert json.dumps(operation).count("has no effect on this platform") == 6


def test_the_rpc_door_knows_every_message(catalog: Catalog, document: dict[str, Any]) -> None:
    operation = document["paths"]["/zstack/api"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    messages = {api.message for api in catalog.apis.values() if api.message}
    assert set(schema["propertyNames"]["enum"]) == messages
    assert "org.zstack.ai.message.APIAddModelServiceMsg" in messages


def test_calls_without_credentials_say_so(document: dict[str, Any]) -> None:
    open_ones = {
        operation["operationId"]
        for _, _, operation in operations(document)
        if operation.get("security") == []
    }
    assert {"LogInByAccount", "LogOut", "ValidateSession", "GetApiJob", "Rpc"} <= open_ones
    assert "AddModelService" not in open_ones


def _references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)
