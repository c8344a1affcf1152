"""The catalog: all 108 operations are there, each is found by its request line, each says why not."""

from urllib.parse import quote

import pytest

from pierhead.core.errors import Invalid
from pierhead.dialects.eas import coverage, errors, openapi
from pierhead.dialects.eas.catalog import Operation, UnknownPath, WrongMethod, load

CATALOG = load()
TIERS = {"1": 14, "2": 39, "2b": 8, "3": 47}
#: Operations beyond tier 1 that do real work.
SERVED = {
    *("DescribeServiceDiagnosis", "DescribeServiceInstanceDiagnosis"),
    *("ReleaseService", "ListGroups", "DescribeGroup", "DescribeGroupEndpoints", "UpdateGroup"),
    *("ListServiceVersions", "UpdateServiceVersion", "UpdateServiceSafetyLock"),
    *("UpdateServiceLabel", "DeleteServiceLabel", "DescribeMachineSpec", "DescribeRegions"),
    *("ListResources", "DescribeResource", "ListResourceInstances", "ListResourceServices"),
    "ListResourceInstanceWorker",
    *(f"{verb}ServiceAutoScaler" for verb in ("Create", "Update", "Describe", "Delete")),
    *(f"{verb}ServiceCronScaler" for verb in ("Create", "Update", "Describe", "Delete")),
}


def test_all_operations_are_there() -> None:
    counted = {tier: sum(o.tier == tier for o in CATALOG.operations) for tier in TIERS}
    assert counted == TIERS
    assert sum(o.newer for o in CATALOG.operations) == 9
    assert sum(o.ram.basis == "documented" for o in CATALOG.operations) == 14
    assert len(CATALOG.by_id) == 108


@pytest.mark.parametrize("operation", CATALOG.operations, ids=lambda one: one.id)
def test_each_is_found_by_its_request_line(operation: Operation) -> None:
    names = {name: f"{name} é/%~*.x" for name in operation.path_params}
    path = operation.path
    for name, value in names.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    found, values = CATALOG.match(operation.method, path)
    assert (found.id, values) == (operation.id, names)
    assert operation.ram.action == f"eas:{operation.id}"
    assert operation.kind


@pytest.mark.parametrize("operation", CATALOG.operations, ids=lambda one: one.id)
def test_each_without_effect_says_why_and_what_to_use(operation: Operation) -> None:
    if operation.tier == "1" or operation.id in SERVED:
        assert operation.unsupported == ""
    else:
        assert len(operation.unsupported) > 30
        assert not operation.unsupported.endswith(".")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/api/v2",
        "/api/v2/",
        "/api/v2/services/",
        "/api/v2/services/local",
        "/api/v2/services/local/foo/",
        "/api/v2/services/local//stop",
        "/api/v2/services/local/foo/nothing",
        "/api/v1/services",
        "/api/v2/services/local/foo/stop/more",
        "api/v2/services",
        "http://h/api/v2/services",
    ],
)
def test_unknown_paths(path: str) -> None:
    with pytest.raises(UnknownPath):
        CATALOG.match("GET", path)


@pytest.mark.parametrize("method", ["PATCH", "HEAD", "OPTIONS", "get", "POST"])
def test_other_methods(method: str) -> None:
    with pytest.raises(WrongMethod) as caught:
        CATALOG.match(method, "/api/v2/services/local/foo")
    assert caught.value.allowed == ("DELETE", "GET", "PUT")


@pytest.mark.parametrize("name", ["%FF", "a%00b", "%C3", "%ED%A0%80"])
def test_names_are_clean_text(name: str) -> None:
    with pytest.raises(Invalid, match="ServiceName"):
        CATALOG.match("GET", f"/api/v2/services/local/{name}")


def test_a_slash_inside_a_segment() -> None:
    """As the Python SDK sends it: the path is split before it is decoded."""
    _, names = CATALOG.match("PUT", "/api/v2/services/local/%E7%BB%84%2Ffoo%20bar~%2A/stop")
    assert names == {"ClusterId": "local", "ServiceName": "组/foo bar~*"}


# --- documents made from it -------------------------------------------------------------------


def references(value: object) -> list[str]:
    if isinstance(value, dict):
        inner = [found for entry in value.values() for found in references(entry)]
        return [*inner, value["$ref"]] if "$ref" in value else inner
    if isinstance(value, list):
        return [found for entry in value for found in references(entry)]
    return []


def test_the_openapi_document() -> None:
    document = openapi.document(CATALOG, "http://127.0.0.1:8080")
    assert document["openapi"] == "3.1.0"
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert len(operations) == len({one["operationId"] for one in operations}) == 108
    for path, methods in document["paths"].items():
        for one in methods.values():
            in_path = {p["name"] for p in one["parameters"] if p["in"] == "path"}
            assert in_path == {part[1:-1] for part in path.split("/") if part.startswith("{")}
            assert all("schema" in p or "content" in p for p in one["parameters"])
            assert one["x-pierhead-tier"] in TIERS
            answer = one["responses"]["200"]["content"]["application/json"]["schema"]
            assert "RequestId" in str(answer)
    found = references(document)
    assert found
    for reference in found:
        node = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
        assert node
    legal = {"string", "integer", "number", "boolean", "object", "array"}
    assert types(document["paths"]) | types(document["components"]["schemas"]) <= legal


def types(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {value["type"]} if isinstance(value.get("type"), str) else set()
        inner = (entry for name, entry in value.items() if name not in {"example", "x-example"})
        return own.union(*(types(entry) for entry in inner))
    if isinstance(value, list):
        return set().union(*(types(entry) for entry in value))
    return set()


def test_the_coverage_page_names_every_operation() -> None:
    page = coverage.markdown(CATALOG, {"DescribeService"})
    rows = [line for line in page.splitlines() if line.startswith("| ") and "`" in line]
    assert len(rows) == 108
    assert "1 of 108" in page
    served = next(row for row in rows if row.startswith("| DescribeService |"))
    assert "| served |" in served
    other = next(row for row in rows if row.startswith("| CreateGateway |"))
    assert "start options" in other


def test_the_page_of_codes_has_every_anchor() -> None:
    page = errors.reference()
    headings = {errors.anchor(line[3:]) for line in page.splitlines() if line.startswith("## ")}
    assert headings == {errors.anchor(code) for code in errors.CODES}
    assert all(400 <= status < 600 for status, _ in errors.CODES.values())
