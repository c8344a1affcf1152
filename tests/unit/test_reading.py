"""Values from hostile bytes: typed by the catalog, refused by name, never any other exception."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pierhead.core.errors import Invalid, Missing
from pierhead.dialects.eas import messages, reading
from pierhead.dialects.eas.catalog import Field, Operation, load

CATALOG = load()
OPERATIONS = CATALOG.operations
APP = {
    "ServiceName": "foo",
    "AppType": "LLM",
    "AppVersion": "v1",
    "ServiceSpec": "llama_7b_fp16",
    "Replicas": 1,
}


def query(operation: str, text: str) -> Any:
    return reading.read(CATALOG.by_id[operation], text.encode("latin-1"), "", b"").query


def body(operation: str, content: Any, content_type: str = "application/json") -> reading.Reading:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return reading.read(CATALOG.by_id[operation], b"", content_type, raw)


# --- queries ----------------------------------------------------------------------------------


def test_defaults_and_unknown_fields() -> None:
    assert query("ListServices", "RegionId=x&New=1") == {
        "Order": "desc",
        "PageNumber": 1,
        "PageSize": 100,
    }
    assert query("DescribeServiceLog", "") == {"PageNum": 1, "PageSize": 500}
    assert query("DescribeServiceEvent", "PageSize=5") == {"PageNum": 1, "PageSize": 5}


def test_empty_is_absent() -> None:
    assert query("ListServices", "Filter=&PageSize=&Order&Label=") == query("ListServices", "")


def test_sizes_above_the_limit_are_cut() -> None:
    assert query("ListServices", "PageSize=5000&PageNumber=2000")["PageSize"] == 1000
    assert query("DescribeServiceEvent", "PageSize=1001")["PageSize"] == 1000


@pytest.mark.parametrize("text", ["true", "True", "TRUE", "false", "False"])
def test_booleans_of_every_language(text: str) -> None:
    assert query("DescribeServiceLog", f"Previous={text}")["Previous"] is (text.lower() == "true")


def test_orders_and_sorts() -> None:
    assert query("ListServiceInstances", "Order=DESC&Sort=Whatever") == {
        "Order": "desc",
        "Sort": "Whatever",
        "PageNumber": 1,
        "PageSize": 100,
    }


def test_maps_and_lists() -> None:
    label = urlencode({"Label": '{"a b":"中 文","k":null}'})
    assert query("ListServices", label)["Label"] == {"a b": "中 文", "k": None}
    labels = urlencode({"Labels": '{"a":"1","b":null}'})
    assert query("CreateService", labels)["Labels"] == {"a": "1"}
    for keys in ("a,b", "a,,b,", '["a","b"]', "a%2Cb", " a , b "):
        assert query(
            "DeleteServiceLabel", urlencode({"Keys": "x"}) if not keys else f"Keys={keys}"
        )["Keys"] == ["a", "b"]
    assert query("DeleteServiceLabel", 'LabelKeys=["a"]') == {"LabelKeys": ["a"]}
    assert query("DeleteServiceInstances", "InstanceList=x,y&SoftRestart=True") == {
        "InstanceList": ["x", "y"],
        "SoftRestart": True,
    }


@pytest.mark.parametrize(
    ("operation", "text", "field"),
    [
        ("ListServices", "PageSize=abc", "PageSize"),
        ("ListServices", "PageSize=1.5", "PageSize"),
        ("ListServices", "PageSize=0", "PageSize"),
        ("ListServices", "PageNumber=-1", "PageNumber"),
        ("ListServices", "PageNumber=" + "9" * 400, "PageNumber"),
        ("ListServices", f"PageNumber={2**62}", "PageNumber"),
        ("ListServices", "PageNumber=%D9%A1", "PageNumber"),
        ("DescribeServiceEvent", "PageNum=x", "PageNum"),
        ("DescribeServiceLog", "Previous=yes", "Previous"),
        ("ListServices", "Order=sideways", "Order"),
        ("ListServices", "ServiceStatus=Dancing", "ServiceStatus"),
        ("ListServices", "Label=[1]", "Label"),
        ("ListServices", "Label={", "Label"),
        ("ListServices", 'Label={"a":1}', "Label.a"),
        ("ListServices", 'Label={"a":"1","a":"2"}', "Label"),
        ("ListServices", "Filter=%FF", "Filter"),
        ("ListServices", "Filter=a%00b", "Filter"),
        ("ListServices", "%FF=1", "of the query"),
        ("ListServices", "Filter=a&Filter=b", "Filter"),
        ("ListServices", "Filter=&Filter=b", "Filter"),
        ("DeleteServiceLabel", "Keys=[1]", "Keys"),
        ("CreateService", "Develop=maybe", "Develop"),
    ],
)
def test_bad_query_values_name_their_field(operation: str, text: str, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        query(operation, text)
    assert caught.value.field.startswith(field)


def test_legal_values_are_told() -> None:
    with pytest.raises(Invalid, match="asc, desc"):
        query("ListServices", "Order=up")
    with pytest.raises(Missing, match="Keys"):
        query("DeleteServiceLabel", "")


# --- bodies -----------------------------------------------------------------------------------


def test_an_app_service() -> None:
    config = {"ModelStorage": "oss", "n": {"a": [1, 2.5, True, None]}}
    sent = {**APP, "Config": config, "Extra": 1, "QuotaId": None}
    read = body("CreateAppService", sent)
    assert read.body == {**APP, "Config": config}
    assert read.unknown == ("Extra", "QuotaId")


@pytest.mark.parametrize(
    ("raw", "content_type"),
    [
        (json.dumps(APP).encode(), "application/json; charset=utf-8"),
        (json.dumps(APP).encode(), ""),
        (json.dumps(json.dumps(APP)).encode(), "application/json"),
        (urlencode({"body": json.dumps(APP)}).encode(), "application/x-www-form-urlencoded"),
        (json.dumps(APP).encode(), "application/x-www-form-urlencoded"),
    ],
)
def test_the_ways_to_send_json(raw: bytes, content_type: str) -> None:
    assert body("CreateAppService", raw, content_type).body == APP


@pytest.mark.parametrize("raw", [b"", b"  ", b"{}", b'""', b'"{}"'])
def test_the_ways_to_send_nothing(raw: bytes) -> None:
    assert body("UpdateAppService", raw).body == {}
    with pytest.raises(Missing, match="AppType"):
        body("CreateAppService", raw)


def test_a_service_document_is_kept_as_it_came() -> None:
    document = {"metadata": {"name": "foo", "x": None}, "unknown": [1, {"a": ""}]}
    assert body("CreateService", document).body == document


def test_operations_without_a_body_ignore_one() -> None:
    assert body("StopService", b"\xff{").body == {}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"Replicas": 1.5}, "Replicas"),
        ({"Replicas": "1"}, "Replicas"),
        ({"Replicas": True}, "Replicas"),
        ({"Replicas": 0}, "Replicas"),
        ({"Replicas": []}, "Replicas"),
        ({"ServiceName": 5}, "ServiceName"),
        ({"AppType": "CV"}, "AppType"),
        ({"Config": "oss"}, "Config"),
        ({"Config": [1]}, "Config"),
        ({"ServiceSpec": {}}, "ServiceSpec"),
    ],
)
def test_bad_body_values_name_their_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        body("CreateAppService", {**APP, **change})
    assert caught.value.field == field


@pytest.mark.parametrize("field", ["ServiceName", "ServiceSpec", "Replicas", "AppType"])
@pytest.mark.parametrize("value", [None, "", ...])
def test_missing_fields(field: str, value: Any) -> None:
    sent: dict[str, Any] = {**APP, field: value}
    if value is ...:
        del sent[field]
    with pytest.raises(Missing) as caught:
        body("CreateAppService", sent)
    assert caught.value.field == field


def test_nested_fields_are_named() -> None:
    rule = {"metricName": "cpu", "threshold": "high"}
    with pytest.raises(Invalid) as caught:
        body("CreateServiceAutoScaler", {"min": 1, "max": 2, "scaleStrategies": [rule]})
    assert caught.value.field == "scaleStrategies[0].threshold"
    with pytest.raises(Missing, match=r"scaleStrategies\[0\]\.metricName"):
        body("CreateServiceAutoScaler", {"min": 1, "max": 2, "scaleStrategies": [{"threshold": 1}]})


HOSTILE = [
    b"\xff\xfe",
    b"{",
    b"[]",
    b"1",
    b"null",
    b'"text"',
    b'{"a":NaN}',
    b'{"a":Infinity}',
    b'{"a":-Infinity}',
    b'{"a":1e999}',
    b'{"a":' + b"9" * 5000 + b"}",
    b'{"a":-9223372036854775809}',
    b'{"a":"\\ud800"}',
    b'{"\\udc00":1}',
    b'{"a":"\\u0000"}',
    b'{"a":1,"a":1}',
    b'{"a":' * 70 + b"1" + b"}" * 70,
    b"[" * 200_000,
    b'{"a":' * 200_000,
    b'"' + b"[" * 100_000 + b'"',
    '{"a":1}'.encode("utf-16"),
    b"\xef\xbb\xbf{}",
    b"{'a':1}",
]


@pytest.mark.parametrize("raw", HOSTILE, ids=lambda raw: repr(raw[:30]))
@pytest.mark.parametrize("operation", ["CreateService", "UpdateAppService"])
def test_hostile_bodies(operation: str, raw: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        body(operation, raw)
    assert caught.value.field == "body"


def test_sixty_four_levels_are_legal() -> None:
    document: dict[str, Any] = {}
    for _ in range(63):
        document = {"a": document}
    assert body("CreateService", document).body == document


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(OPERATIONS), st.binary(max_size=60), st.binary(max_size=60), st.booleans())
def test_any_bytes_end_in_values_or_a_named_refusal(
    operation: Operation, text: bytes, content: bytes, form: bool
) -> None:
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    try:
        reading.read(operation, text, kind, content)
    except (Invalid, Missing) as error:
        assert error.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([one for one in OPERATIONS if one.body]), st.data())
def test_any_json_ends_in_values_or_a_named_refusal(operation: Operation, data: Any) -> None:
    assert operation.body is not None
    document = {field.name: data.draw(JSON) for field in operation.body.fields}
    try:
        read = reading.read(operation, b"", "", json.dumps(document).encode())
    except (Invalid, Missing) as error:
        assert error.message
    else:
        assert all(typed(field, read.body.get(field.name)) for field in operation.body.fields)


def typed(field: Field, value: Any) -> bool:
    kinds = {
        "integer": int,
        "string": str,
        "boolean": bool,
        "array": list,
        "object": dict,
        "map": dict,
    }
    wrong = value is not None and not isinstance(value, kinds.get(field.type, object))
    return not wrong or value == ""


# --- Config -----------------------------------------------------------------------------------


def test_weights_from_oss_and_nas() -> None:
    asked = messages.app_request(
        {"Config": {"ModelStorage": "oss", "OssPath": "oss://bucket-1/路径/"}}
    )
    assert str(asked.source) == "oss://bucket-1/路径/"
    assert asked.notices == ()
    source, _ = messages.weights(
        {"ModelStorage": "oss", "OssPath": "oss://bkt.oss-cn-x.aliyuncs.com/p"}
    )
    assert source == messages.OssSource("bkt", "p", "oss-cn-x.aliyuncs.com")
    nas = {"ModelStorage": "nas", "NasMountTarget": "0a1-x.cn.nas.aliyuncs.com", "NasPath": "/m/7b"}
    source, _ = messages.weights(nas)
    assert source == messages.NasSource("0a1-x.cn.nas.aliyuncs.com", "/m/7b")
    assert messages.app_request({}).source is None


def test_what_has_no_effect_is_reported_by_name() -> None:
    config = {"VpcID": "v", "VswitchID": "w", "SecurityGroupID": "s", "Note": 1, "Empty": ""}
    asked = messages.app_request({"Config": config, "AppVersion": "v2"})
    texts = " ".join(notice.message for notice in asked.notices)
    assert len(asked.notices) == 5
    for name in ("VpcID", "VswitchID", "SecurityGroupID", "Note", "AppVersion"):
        assert name in texts


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"ModelStorage": "s3"}, "ModelStorage"),
        ({"ModelStorage": 5}, "ModelStorage"),
        ({"ModelStorage": "oss"}, "OssPath"),
        ({"ModelStorage": "oss", "OssPath": 5}, "OssPath"),
        ({"OssPath": "oss://bucket/"}, "ModelStorage"),
        ({"ModelStorage": "nas", "NasPath": "/x"}, "NasMountTarget"),
        ({"ModelStorage": "nas", "NasMountTarget": "t"}, "NasPath"),
        *(
            ({"ModelStorage": "oss", "OssPath": path}, "OssPath")
            for path in (
                "bucket/prefix",
                "s3://bucket/",
                "oss://",
                "oss://B/",
                "oss://bucket/../x",
                "oss://bucket/a/..",
                "oss://bucket/a\\b",
                "oss://bucket/a\x00b",
                "oss://bucket/a\nb",
                "oss://bucket@evil/x",
                "oss://bucket/" + "x" * 2000,
            )
        ),
        *(
            ({"ModelStorage": "nas", "NasMountTarget": "t", "NasPath": path}, "NasPath")
            for path in ("/a/../b", "..", "/a\x7f", "/a\\..")
        ),
        ({"ModelStorage": "nas", "NasMountTarget": "t/../x", "NasPath": "/"}, "NasMountTarget"),
    ],
)
def test_bad_configs(config: dict[str, Any], field: str) -> None:
    with pytest.raises((Invalid, Missing)) as caught:
        messages.weights(config)
    assert caught.value.field == f"Config.{field}"
