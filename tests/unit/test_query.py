"""What a query means, on rows that lie in a list."""

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.core.comparing import MAX_PATTERN, Kind, Op, read
from pierhead.core.errors import Invalid
from pierhead.core.query import MAX_CONDITIONS, MAX_VALUES, Condition, Query, rows_of
from pierhead.core.registry import ResourceType, Tag

KINDS: Mapping[str, Kind] = {
    "uuid": Kind.TEXT,
    "name": Kind.TEXT,
    "size": Kind.INTEGER,
    "share": Kind.DECIMAL,
    "system": Kind.BOOLEAN,
    "createDate": Kind.TIME,
    "metrics": Kind.LIST,
    "capacity.total": Kind.INTEGER,
    "instances.status": Kind.TEXT,
    "instances.node.name": Kind.TEXT,
    "instances.tags": Kind.LIST,
}
T0 = 1_510_698_057  # Nov 14, 2017 22:20:57 UTC


def row(name: str | None, at: float = T0, **more: Any) -> dict[str, Any]:
    return {"uuid": f"u-{name}", "name": name, "createDate": at, **more}


def names(rows: list[dict[str, Any]], *conditions: tuple[str, Op, str], **more: Any) -> list[Any]:
    query = Query(conditions=tuple(Condition(*each) for each in conditions), **more)
    return [each["name"] for each in rows_of(rows, query, KINDS).rows]


# --- one comparison --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "value", "fits"),
    [
        (Op.EQUAL, "b", "b"),
        (Op.NOT_EQUAL, "b", "aBc"),
        (Op.LESS, "b", "aB"),  # code points: capitals first
        (Op.AT_MOST, "b", "aBb"),
        (Op.GREATER, "b", "c"),
        (Op.AT_LEAST, "b", "bc"),
        (Op.IN, "a,c", "ac"),
        (Op.IN, "a, c", "a"),  # values are taken as they are
        (Op.NOT_IN, "a,c", "Bb"),
        (Op.LIKE, "b", "b"),  # no wildcard: equal
        (Op.LIKE, "b%", "Bb"),
        (Op.LIKE, "_", "aBbc"),
        (Op.LIKE, "__", ""),
        (Op.NOT_LIKE, "b%", "ac"),
        (Op.NOT_LIKE, "b", "aBc"),
        (Op.IS_NULL, "", "-"),
        (Op.NOT_NULL, "ignored", "aBbc"),
    ],
)
def test_a_text_is_compared(op: Op, value: str, fits: str) -> None:
    rows = [row(letter, T0 + n) for n, letter in enumerate("aBbc")] + [row(None, T0 + 9)]
    found = names(rows, ("name", op, value))
    assert "".join(each or "-" for each in found) == fits


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("%", "", True),
        ("%%", "x", True),
        ("a%c", "ABBC", True),
        ("a%c", "abcd", False),
        ("a%a", "a", False),
        ("%ab%ab%", "xabab", True),
        ("%ab%ab%", "xabxb", False),
        ("_%_", "x", False),
        ("_%_", "xy", True),
        ("%\nb", "a\nb", True),
        (r"100\%%", "100% sure", True),
        (r"100\%%", "1000", False),
        (r"a\_c%", "abc", False),
        (r"a\_c%", "a_c", True),
        (r"\\%", r"\x", True),
        (r"C:\dir%", r"C:\dir\x", True),
        ("a.*%", "abc", False),
        ("[ab]%", "a", False),
        ("ä%", "Äx", False),  # case counts outside ASCII
        ("_", "🙂", True),
        ("%\\", "a\\", True),
        ("Straße%", "STRAßE 1", True),
    ],
)
def test_a_pattern(pattern: str, text: str, fits: bool) -> None:
    assert read("name", Op.LIKE, pattern, Kind.TEXT).holds(text) is fits
    assert read("name", Op.NOT_LIKE, pattern, Kind.TEXT).holds(text) is not fits


def test_wildcards_that_were_quoted_and_such_that_were_not_are_never_mixed_up() -> None:
    for pattern, text, fits in ((r"%\%", "c", False), ("%%", "c", True), (r"%\%", "c%", True)):
        assert read("name", Op.LIKE, pattern, Kind.TEXT).holds(text) is fits


@given(st.text("ab_%\\", max_size=6), st.text("abAB_%", max_size=8))
def test_patterns_are_what_an_expression_says(pattern: str, text: str) -> None:
    tokens: list[str] = re.findall(r"\\[%_\\]|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    expression = "".join(wild.get(token, re.escape(token[-1])) for token in tokens)
    if not any(token in wild for token in tokens):
        expected = text == "".join(token[-1] for token in tokens)
    else:
        expected = re.fullmatch(expression, text, re.DOTALL | re.IGNORECASE) is not None
    assert read("name", Op.LIKE, pattern, Kind.TEXT).holds(text) is expected


def test_a_hostile_pattern_takes_no_time() -> None:
    comparison = read("name", Op.LIKE, "%a" * 2000 + "%b", Kind.TEXT)
    began = time.process_time()
    assert not comparison.holds("a" * 100_000)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("field", "op", "value", "fits"),
    [
        ("size", Op.EQUAL, "2", [2]),
        ("size", Op.EQUAL, " 2.0 ", [2]),
        ("size", Op.LIKE, "2", [2]),
        ("size", Op.GREATER, "-1", [0, 2, 10]),
        ("size", Op.LESS, "10", [0, 2]),
        ("size", Op.IN, "10,0", [0, 10]),
        ("share", Op.AT_LEAST, "0.5", [2, 10]),
        ("share", Op.EQUAL, "5e-1", [2]),
        ("system", Op.EQUAL, "TRUE", [2]),
        ("system", Op.NOT_EQUAL, "1", [0, 10]),
        ("system", Op.IN, "true,false", [0, 2, 10]),
        ("size", Op.IS_NULL, "", [None]),
    ],
)
def test_numbers_and_truths_are_compared_as_such(
    field: str, op: Op, value: str, fits: list[Any]
) -> None:
    rows = [
        row("a", size=0, share=0.25, system=False),
        row("b", T0 + 1, size=2, share=0.5, system=True),
        row("c", T0 + 2, size=10, share=1.0, system=False),
        row("d", T0 + 3, size=None),
    ]
    query = Query(conditions=(Condition(field, op, value),))
    assert [each["size"] for each in rows_of(rows, query, KINDS).rows] == fits


@pytest.mark.parametrize(
    "moment",
    [
        f"{T0}000",
        f"{T0}999",
        "2017-11-14T22:20:57Z",
        "2017-11-14 23:20:57.5+01:00",
        datetime.fromtimestamp(T0).isoformat(),  # noqa: DTZ006 - local time is what it is about
        datetime.fromtimestamp(T0).strftime("%b %d, %Y %I:%M:%S %p"),  # noqa: DTZ006
        datetime.fromtimestamp(T0).strftime("%b %d, %Y  %I:%M:%S\u202f%p"),  # noqa: DTZ006
    ],
)
def test_a_moment_is_a_whole_second(moment: str) -> None:
    rows = [row(None, T0 + n) | {"name": n} for n in (-0.5, 0, 0.5, 1)]
    found = {
        op: names(rows, ("createDate", op, moment))
        for op in (Op.EQUAL, Op.NOT_EQUAL, Op.LESS, Op.AT_MOST, Op.GREATER, Op.AT_LEAST)
    }
    assert found == {
        Op.EQUAL: [0, 0.5],
        Op.NOT_EQUAL: [-0.5, 1],
        Op.LESS: [-0.5],
        Op.AT_MOST: [-0.5, 0, 0.5],
        Op.GREATER: [1],
        Op.AT_LEAST: [0, 0.5, 1],
    }


def test_times_may_stand_in_rows_as_the_wire_writes_them() -> None:
    stamps = [
        datetime.fromtimestamp(T0 + n).strftime("%b %d, %Y %I:%M:%S %p")  # noqa: DTZ006
        for n in (0, 40_000, -40_000)
    ]
    rows = [row(name) | {"createDate": stamp} for name, stamp in zip("abc", stamps, strict=True)]
    assert names(rows) == ["c", "a", "b"]
    after = datetime.fromtimestamp(T0, UTC).isoformat()
    assert names(rows, ("createDate", Op.GREATER, after)) == ["b"]


@pytest.mark.parametrize(
    ("field", "op", "value"),
    [
        ("size", Op.EQUAL, ""),
        ("size", Op.EQUAL, "1.5"),
        ("size", Op.EQUAL, "x"),
        ("size", Op.IN, "1,x"),
        ("size", Op.EQUAL, str(2**63)),
        ("size", Op.LIKE, "1%"),
        ("share", Op.EQUAL, "nan"),
        ("share", Op.EQUAL, "1e999"),
        ("system", Op.EQUAL, "yes"),
        ("createDate", Op.EQUAL, "yesterday"),
        ("createDate", Op.EQUAL, "Nov 31, 2017 10:20:57 PM"),
        ("createDate", Op.EQUAL, "Nov 14, 2017 13:20:57 PM"),
        ("createDate", Op.EQUAL, "9" * 18 + "9"),
        ("createDate", Op.LIKE, "2017%"),
        ("name", Op.EQUAL, "a\0b"),
        ("name", Op.LIKE, "\ud800%"),
        ("name", Op.LIKE, "%" * (MAX_PATTERN + 1)),
        ("nope", Op.IS_NULL, ""),
        ("name.nope", Op.EQUAL, "x"),
        ("instances", Op.EQUAL, "x"),
        ("", Op.EQUAL, "x"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_field(field: str, op: Op, value: str) -> None:
    with pytest.raises(Invalid) as caught:
        names([], (field, op, value))
    assert caught.value.field == field


def test_there_is_an_end_to_conditions_and_values() -> None:
    condition = Condition("name", Op.EQUAL, "x")
    rows_of([], Query(conditions=(condition,) * MAX_CONDITIONS), KINDS)
    many = Condition("name", Op.IN, "," * MAX_VALUES)
    for conditions in ((condition,) * (MAX_CONDITIONS + 1), (many,)):
        with pytest.raises(Invalid, match="more than"):
            rows_of([], Query(conditions=conditions), KINDS)


# --- nested fields, lists, tags --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "op", "value", "fits"),
    [
        ("capacity.total", Op.GREATER, "5", "a"),
        ("capacity.total", Op.IS_NULL, "", "b"),  # a child without it; without a child nothing fits
        ("instances.status", Op.EQUAL, "Running", "ab"),
        ("instances.status", Op.NOT_EQUAL, "Running", "b"),  # some child, not every child
        ("instances.status", Op.LIKE, "%ing", "ab"),
        ("instances.node.name", Op.EQUAL, "n1", "b"),
        ("instances.tags", Op.EQUAL, "y", "b"),
        ("metrics", Op.EQUAL, "cpu", "ab"),
        ("metrics", Op.NOT_EQUAL, "cpu", "b"),
        ("metrics", Op.LIKE, "g%", "b"),
        ("metrics", Op.IS_NULL, "", "cd"),
        ("metrics", Op.NOT_NULL, "", "ab"),
    ],
)
def test_some_child_or_element_must_fit(field: str, op: Op, value: str, fits: str) -> None:
    rows = [
        row("a", capacity={"total": 9}, instances=[{"status": "Running"}], metrics=["cpu"]),
        row(
            "b",
            capacity={"total": None},
            instances=[
                {"status": "Running", "node": {"name": "n1"}, "tags": ["x", "y"]},
                {"status": "Error", "node": None},
            ],
            metrics=["gpu", "cpu"],
        ),
        row("c", capacity=None, instances=[], metrics=[]),
        row("d"),
    ]
    assert "".join(names(rows, (field, op, value))) == fits


def test_each_condition_may_hold_for_a_child_of_its_own() -> None:
    rows = [row("a", instances=[{"status": "Running"}, {"status": "Error"}])]
    both = [("instances.status", Op.EQUAL, status) for status in ("Running", "Error")]
    assert names(rows, *both) == ["a"]


TAGS = {
    "u-a": [("ai::x::1", True, None), ("team", False, None)],
    "u-b": [("Team", False, "p1"), ("ai::y::1", True, None)],
}


def tags_of(uuid: str) -> list[Tag]:
    return [
        Tag(str(n), uuid, ResourceType.GROUP, text, system, 0.0, 0.0, pattern=pattern)
        for n, (text, system, pattern) in enumerate(TAGS.get(uuid, []))
    ]


@pytest.mark.parametrize(
    ("field", "op", "value", "fits"),
    [
        ("__systemTag__", Op.EQUAL, "ai::x::1", "a"),
        ("__systemTag__", Op.NOT_EQUAL, "ai::x::1", "bc"),  # no such tag, or none at all
        ("__systemTag__", Op.LIKE, "AI::%", "ab"),
        ("__systemTag__", Op.NOT_LIKE, "ai::x%", "bc"),
        ("__systemTag__", Op.EQUAL, "team", ""),
        ("__userTag__", Op.EQUAL, "team", "a"),
        ("__userTag__", Op.IN, "team,Team", "ab"),
        ("__userTag__", Op.NOT_IN, "team,x", "bc"),
        ("__userTag__", Op.IS_NULL, "", "c"),
        ("__userTag__", Op.NOT_NULL, "", "ab"),
        ("__tagUuid__", Op.EQUAL, "p1", "b"),
        ("__tagUuid__", Op.NOT_EQUAL, "p1", "ac"),
        ("__tagUuid__", Op.IS_NULL, "", "ac"),
    ],
)
def test_tags_are_asked_for(field: str, op: Op, value: str, fits: str) -> None:
    query = Query(conditions=(Condition(field, op, value),))
    found = rows_of([row(name) for name in "abc"], query, KINDS, tags_of).rows
    assert "".join(str(each["name"]) for each in found) == fits


# --- order and pages -------------------------------------------------------------------------------

ROWS = [
    row("d", T0 + 2, size=1),
    row("b", T0, size=None),
    row("a", T0, size=10),
    row("c", T0 + 1, size=1),
]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "abcd"),  # creation, then uuid
        ({"descending": True}, "abcd"),  # there is nothing to turn round without `sort`
        ({"sort": "name", "descending": True}, "dcba"),
        ({"sort": "size"}, "bcda"),  # what has no value first, equal ones by uuid
        ({"sort": "size", "descending": True}, "acdb"),
        ({"sort": "createDate", "descending": True}, "dcab"),
        ({"limit": 2}, "ab"),
        ({"limit": 2, "start": 1}, "bc"),
        ({"start": 9}, ""),
        ({"limit": 0}, ""),
        ({"group_by": "size"}, "abc"),
        ({"group_by": "createDate"}, "acd"),
        ({"group_by": "size", "sort": "size"}, "bca"),
        ({"group_by": "size", "sort": "name", "descending": True, "limit": 2}, "cb"),
    ],
)
def test_order_and_page(more: dict[str, Any], expected: str) -> None:
    assert "".join(names(ROWS, **more)) == expected


@pytest.mark.parametrize(
    ("more", "shown", "total"),
    [
        ({"limit": 1}, 1, None),
        ({"limit": 1, "reply_with_count": True}, 1, 4),
        ({"limit": 1, "count": True}, 0, 4),
        ({"limit": 0, "reply_with_count": True}, 0, 4),
        ({"start": 3, "reply_with_count": True, "group_by": "size"}, 0, 3),
    ],
)
def test_the_total_is_counted_without_the_page(
    more: dict[str, Any], shown: int, total: int | None
) -> None:
    found = rows_of(ROWS, Query(**more), KINDS)
    assert (len(found.rows), found.total) == (shown, total)


@pytest.mark.parametrize("field", ["nope", "metrics", "capacity.total", "__userTag__"])
@pytest.mark.parametrize(("parameter", "name"), [("sort", "sort"), ("group_by", "groupBy")])
def test_only_own_fields_with_one_value_give_an_order(
    parameter: str, name: str, field: str
) -> None:
    with pytest.raises(Invalid, match=field) as caught:
        rows_of(ROWS, replace(Query(), **{parameter: field}), KINDS)
    assert caught.value.field == name


def test_the_rows_are_left_as_they_are() -> None:
    before = list(ROWS)
    rows_of(ROWS, Query(sort="name", descending=True), KINDS)
    assert before == ROWS
