"""Parameters, questions, routes, schema and times of the ZStack dialect, without any I/O."""

import json
import os
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.core.errors import Invalid, Missing, PierheadError
from pierhead.core.query import Kind, Op
from pierhead.dialects.zstack import query_language, reading, rest, routes, rpc
from pierhead.dialects.zstack.catalog import Api, load
from pierhead.dialects.zstack.errors import CODES, NotAmong, TextRefusal, code_of
from pierhead.dialects.zstack.kinds import kinds
from pierhead.dialects.zstack.reading import Given
from pierhead.dialects.zstack.schema import schema_of
from pierhead.dialects.zstack.times import second_text, time_text

CATALOG = load()
APIS = sorted(CATALOG.apis.values(), key=lambda api: api.name)
QUERIES = [api for api in APIS if api.query]
NAMES = sorted({param.name for api in APIS for param in api.params})

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", " ", "4", "4.0", "-1", "true", "Endpoint", "amd64", "{}", "[", "1e400"])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)
texts = st.dictionaries(
    st.sampled_from(NAMES) | st.text(max_size=12),
    st.lists(st.text(max_size=20), min_size=1, max_size=3),
)


def bodies(api: Api) -> st.SearchStrategy[dict[str, Any]]:
    names = [param.name for param in api.params] or ["x"]
    return st.dictionaries(st.sampled_from([*names, "systemTags", "userTags", "x"]), values)


# ---- parameters


@given(st.data())
def test_reading_refuses_or_gives_what_the_catalog_knows(data: st.DataObject) -> None:
    api = data.draw(st.sampled_from(APIS))
    given_ = Given(
        data.draw(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=10))),
        data.draw(texts),
        data.draw(bodies(api)),
        data.draw(bodies(api)),
    )
    try:
        typed = reading.types(api, given_)
    except TextRefusal as error:
        assert error.status == 400
        return
    try:
        read = reading.judge(api, typed)
    except (Missing, Invalid) as error:
        assert code_of(error) == "SYS.1007"
        return
    known = {param.name for param in api.params}
    assert set(read.params) <= known
    assert {param.name for param in api.params if param.required} <= set(read.params)
    for name, value in read.params.items():
        assert value is not None, name


@given(st.data())
def test_what_was_read_reads_the_same_again(data: st.DataObject) -> None:
    api = data.draw(st.sampled_from(APIS))
    try:
        first = reading.read(api, Given(body=data.draw(bodies(api))))
    except (TextRefusal, Missing, Invalid):
        return
    assert reading.read(api, Given(body=first.params)).params == first.params


@pytest.mark.parametrize(
    ("kind", "given_", "read"),
    [
        ("Integer", 4, 4),
        ("Integer", 4.0, 4),
        ("Integer", "4", 4),
        ("Integer", " -4.0 ", -4),
        ("Long", "9007199254740993", 9007199254740993),  # as a float it would be one less
        ("Long", 2**63 - 1, 2**63 - 1),
        ("Float", "1.5", 1.5),
        ("Float", 2, 2),
        ("Boolean", True, True),
        ("Boolean", "False", False),
        ("List<Integer>", ["1", 2.0], [1, 2]),
        ("Map<String,String>", {"a": " b ", "c": None}, {"a": " b "}),
        ("Map<String,List<String>>", {"a": ["b"]}, {"a": ["b"]}),
    ],
)
def test_lenient_types(kind: str, given_: Any, read: Any) -> None:
    found = reading._value(kind, given_, "x")  # pyright: ignore[reportPrivateUsage]
    assert found == read
    assert type(found) is type(read)


@pytest.mark.parametrize(
    ("kind", "given_"),
    [
        *(("Integer", wrong) for wrong in (1.5, "1.5", "", "x", True, None, [], {}, "١", "1e3")),
        *(("Integer", wrong) for wrong in (float("inf"), float("nan"), "1_000", "0x10")),
        *(("Boolean", wrong) for wrong in (1, 0, "yes", "", [])),
        *(("String", wrong) for wrong in (1, True, [], {})),
        *(("Float", wrong) for wrong in ("x", True, "nan", float("nan"))),
        *(("List<String>", wrong) for wrong in ("x", {}, [1], [None])),
        *(("Map<String,String>", wrong) for wrong in ("x", [], {"a": 1}, {"a": {}})),
        *(("ArchitectureImageMapping", wrong) for wrong in (1, [], "x", "[]", '{"a":1,"a":2}')),
    ],
)
def test_wrong_types(kind: str, given_: Any) -> None:
    with pytest.raises(TextRefusal, match="here"):
        reading._value(kind, given_, "here")  # pyright: ignore[reportPrivateUsage]


def test_every_enumeration_is_spelled_canonically() -> None:
    for api in APIS:
        for param in api.params:
            for legal in param.values:
                listed = param.type.startswith("List")
                typed = {param.name: [legal.upper()] if listed else legal.swapcase()}
                one = Api(**{**_fields(api), "params": (param,)})
                found = reading.judge(one, typed).params[param.name]
                assert found == ([legal] if listed else legal), api.name


def _fields(api: Api) -> dict[str, Any]:
    return {name: getattr(api, name) for name in Api.__dataclass_fields__}


def test_a_wrong_delete_mode_goes_before_everything() -> None:
    api = CATALOG.apis["DeleteModels"]
    with pytest.raises(NotAmong, match="deleteMode"):
        reading.judge(api, {"deleteMode": "Odd"})
    with pytest.raises(Missing, match="uuids"):
        reading.judge(api, {})


def test_structs_inside_a_list_are_judged_and_named() -> None:
    api = CATALOG.apis["DeployDistributedModelService"]
    node = {
        "zoneUuid": "z",
        "name": "n",
        "type": "container",
        "nodeRank": "0",
        "isInitialNode": "true",
    }
    body = {
        "name": "g",
        "serviceCreationStrategy": "PARALLEL",
        "modelServices": [{**node, "rootDiskSize": 1}],
    }
    read = reading.read(api, Given(body=body))
    assert read.params["modelServices"] == [
        {**node, "type": "Container", "nodeRank": 0, "isInitialNode": True, "rootDiskSize": 1}
    ]
    assert (read.params["serviceCreationStrategy"], read.no_effect) == (
        "parallel",
        ("rootDiskSize",),
    )
    with pytest.raises(Missing, match=re.escape("modelServices[1].zoneUuid")):
        reading.read(api, Given(body={**body, "modelServices": [node, {}]}))
    with pytest.raises(Invalid, match="modelServices"):
        reading.read(api, Given(body={**body, "modelServices": []}))


# ---- questions


@pytest.mark.parametrize(
    ("text", "field", "op", "value"),
    [
        ("name=x", "name", Op.EQUAL, "x"),
        (" name = x", "name", Op.EQUAL, " x"),
        ("name!=x", "name", Op.NOT_EQUAL, "x"),
        ("a>=1", "a", Op.AT_LEAST, "1"),
        ("a<=1", "a", Op.AT_MOST, "1"),
        ("a>1", "a", Op.GREATER, "1"),
        ("a<1", "a", Op.LESS, "1"),
        ("a!?=1,2", "a", Op.NOT_IN, "1,2"),
        ("a?=1,2", "a", Op.IN, "1,2"),
        ("a!~=1%", "a", Op.NOT_LIKE, "1%"),
        ("a~=1%", "a", Op.LIKE, "1%"),
        ("a is null", "a", Op.IS_NULL, ""),
        ("a not null", "a", Op.NOT_NULL, ""),
        ("a=b>=c!=d", "a", Op.EQUAL, "b>=c!=d"),
        ("a=is null", "a", Op.EQUAL, "is null"),
        ("__systemTag__~=ai::%", "__systemTag__", Op.LIKE, "ai::%"),
        ("name=", "name", Op.EQUAL, ""),
    ],
)
def test_conditions(text: str, field: str, op: Op, value: str) -> None:
    found = query_language.condition(text)
    assert (found.field, found.op, found.value) == (field, op, value)


@given(st.sampled_from(QUERIES), texts, st.lists(st.text(max_size=20)))
def test_questions_are_read_or_refused(
    api: Api, given_: dict[str, list[str]], asked: list[str]
) -> None:
    try:
        query = query_language.of_rest(api, {**given_, "q": asked})
    except (TextRefusal, Invalid):
        return
    assert len(query.conditions) == len(asked)
    assert query.limit >= 0 <= query.start


@given(
    st.sampled_from(QUERIES),
    st.dictionaries(
        st.sampled_from(
            ["conditions", "limit", "start", "count", "sortBy", "sortDirection", "fields"]
        ),
        values | st.lists(st.fixed_dictionaries({"name": scalars, "op": scalars, "value": values})),
    ),
)
def test_rpc_questions_are_read_or_refused(api: Api, given_: dict[str, Any]) -> None:
    try:
        query_language.of_rpc(api, given_)
    except (TextRefusal, Invalid):
        return


@pytest.mark.parametrize(("text", "sort", "descending"), [
    ("+name", "name", False), (" name", "name", False), ("name", "name", False), ("-name", "name", True), ("", "", False),
])  # fmt: skip
def test_order(text: str, sort: str, descending: bool) -> None:
    query = query_language.of_rest(CATALOG.apis["QueryModel"], {"sort": [text]})
    assert (query.sort, query.descending) == (sort, descending)


# ---- routes and bodies


@given(
    st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "x"]),
    st.text(alphabet="/abczstkv1%{}.-_é\x00 ", max_size=40),
)
def test_paths_lead_somewhere_or_nowhere(method: str, path: str) -> None:
    for prefix in ("/", "/zstack/v1/ai/model-services/", "/zstack/v1/tags/"):
        try:
            route = routes.match(method, prefix + path)
        except TextRefusal as error:
            assert error.status in (400, 404, 405)
            continue
        assert all(route.names.values())


@given(st.binary(max_size=60) | st.text().map(str.encode))
def test_bodies_and_query_strings_are_read_or_refused(raw: bytes) -> None:
    for read in (rest.parse_body, rest.parse_query):
        try:
            assert isinstance(read(raw), dict)
        except TextRefusal as error:
            assert error.status == 400


@given(
    st.dictionaries(
        st.text(max_size=10) | st.sampled_from(["a.APIQueryZoneMsg"]), values, max_size=2
    )
)
def test_messages_are_read_or_refused(body: dict[str, Any]) -> None:
    try:
        message = rpc.parse(body)
        message.api()
    except PierheadError:
        return
    assert "session" not in message.params


# ---- the catalog


def test_the_catalog_is_whole() -> None:
    assert len(APIS) == 74
    tiers = [sum(api.tier == tier for api in APIS) for tier in (1, 2, 3)]
    assert tiers == [18 + 7, 14 + 22, 12 + 1]
    for api in APIS:
        assert api.reason if api.tier == 3 else api.effect, api.name
        assert api.message or api.name == "GetApiJob"
        assert not api.query or api.inventory in CATALOG.inventories
        assert api.sync or api.event, api.name
    assert (
        CATALOG.messages["APIAddModelServiceMsg"].reply
        == "org.zstack.ai.message.APIAddModelServiceEvent"
    )


def test_add_model_service_takes_its_26_inputs_and_answers_29_fields() -> None:
    names = {param.name for param in CATALOG.apis["AddModelService"].params}
    assert len(names | {"systemTags", "userTags"}) == 26 + 2  # with two aliases of older clients
    fields = [
        item for item in CATALOG.inventories["ModelServiceInventory"].fields if not item.never
    ]
    assert len(fields) == 29 + 1  # with zoneUuid


def test_codes_are_those_of_the_wire() -> None:
    assert all(re.fullmatch(r"(SYS|ID|TAG)\.\d{4}", code) for code in CODES)


def test_kinds_reach_into_what_hangs_below() -> None:
    known = kinds("ModelServiceInventory")
    assert known["requestCpu"] is Kind.INTEGER
    assert known["system"] is Kind.BOOLEAN
    assert known["createDate"] is Kind.TIME
    assert known["cpuArchitectures"] is Kind.LIST
    assert known["modelServiceRefs.modelUuid"] is Kind.TEXT
    assert known["modelServiceImages.cpuArchitecture"] is Kind.TEXT
    assert known["modelCenter.name"] is Kind.TEXT
    groups = kinds("ModelServiceInstanceGroupInventory")
    assert {"instances.status", "instances.url", "datasetRefInventories.datasetUuid"} <= set(groups)
    assert kinds("ModelCenterInventory")["capacity.totalCapacity"] is Kind.INTEGER
    assert "inherent" in kinds("SystemTagInventory")
    assert "resourceUuid" in kinds("SystemTagInventory")  # inherited


def test_every_queryable_field_has_a_kind() -> None:
    for api in QUERIES:
        missing = {name for name in api.queryable if not name.startswith("__")} - set(
            kinds(api.inventory)
        )
        assert not missing, api.name


# ---- answers


def test_schema_puts_parents_first_and_names_no_nulls() -> None:
    group = {
        "uuid": "g",
        "instances": [{"uuid": "i", "vm": None}, {"uuid": "j"}],
        "datasetRefInventories": [],
    }
    api = CATALOG.apis["QueryModelServiceInstanceGroup"]
    stem = "org.zstack.ai.entity."
    assert list(schema_of(api, {"inventories": [group]}).items()) == [
        ("inventories[0]", f"{stem}ModelServiceInstanceGroupInventory"),
        ("inventories[0].instances[0]", f"{stem}ModelServiceInstanceInventory"),
        ("inventories[0].instances[1]", f"{stem}ModelServiceInstanceInventory"),
    ]
    assert schema_of(api, {"inventories": []}) == {}
    deploy = CATALOG.apis["DeployModelService"]
    assert schema_of(deploy, {"inventory": None}) == {}
    template = {"modelServiceImages": [{"uuid": "x"}], "modelServiceRefs": None}
    assert list(schema_of(CATALOG.apis["AddModelService"], {"inventory": template})) == [
        "inventory",
        "inventory.modelServiceImages[0]",
    ]
    results = {"results": [{"inventory": {"uuid": "t"}, "success": True}, {"success": False}]}
    assert schema_of(CATALOG.apis["AttachTagToResources"], results) == {
        "results[0].inventory": "org.zstack.header.tag.UserTagInventory"
    }


@pytest.fixture
def berlin() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    second_text.cache_clear()
    yield
    second_text.cache_clear()
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("epoch", "text"),
    [
        (1510694457, "Nov 14, 2017 10:20:57 PM"),
        (1510614000, "Nov 14, 2017 12:00:00 AM"),
        (1510657200.9, "Nov 14, 2017 12:00:00 PM"),
        (1498867205, "Jul 1, 2017 2:00:05 AM"),
    ],
)
def test_times_are_local_and_english(epoch: float, text: str) -> None:
    assert time_text(epoch) == text


def test_the_catalog_file_is_plain_json() -> None:
    folder = __import__("importlib.resources", fromlist=["files"]).files("pierhead.dialects.zstack")
    document = json.loads(folder.joinpath("apis.json").read_text())
    assert set(document) == {"apis", "inventories", "structs", "spellings", "enums"}
