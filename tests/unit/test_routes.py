"""The route table: what it finds by which name, and that it comes back from JSON as it went."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.core.endpoint_tokens import Limits
from pierhead.core.routes import Route, RouteTable, RouteToken, Target, dump, load, table

KEYS = (RouteToken("t1"), RouteToken("t2", "ci", 9.0, Limits(rpm=3), 5, "2026-11"))
A = Route(service="a" * 32, name="alpha", aliases=("team.alpha",), tokens=KEYS)
B = Route(service="b" * 32, name="beta", targets=(Target("b-1", "127.0.0.1", 4001, "key"),))


def test_a_route_is_found_by_its_name_and_its_aliases() -> None:
    found = table(7, [A, B])
    assert found.revision == 7
    assert found.routes["alpha"] is found.routes["team.alpha"] is A
    assert found.routes["beta"] is B


def test_a_name_wins_over_another_services_alias() -> None:
    thief = Route(service="c" * 32, name="gamma", aliases=("alpha",))
    for order in ([A, thief], [thief, A]):
        assert table(1, order).routes["alpha"] is A


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
targets = st.builds(Target, texts, texts, st.integers(1, 65535), texts, texts)
counts = st.none() | st.integers(1, 10**15)
tokens = st.builds(
    RouteToken,
    texts,
    texts,
    st.none() | st.floats(0, 4e9),
    st.builds(Limits, counts, counts, counts, counts),
    st.integers(0, 10**12),
    texts,
)
routes = st.builds(
    Route,
    service=st.uuids().map(lambda value: value.hex),
    name=texts,
    aliases=st.lists(texts, max_size=2).map(tuple),
    tokens=st.lists(tokens, max_size=3).map(tuple),
    targets=st.lists(targets, max_size=3).map(tuple),
    api=st.sampled_from(["openai", "any"]),
    models=st.lists(texts, max_size=2).map(tuple),
    created=st.floats(0, 4e9),
    timeout=st.none() | st.floats(0, 1e6),
)


@given(
    st.integers(0, 2**60),
    st.lists(routes, max_size=4, unique_by=lambda route: route.name),
    st.frozensets(texts, max_size=3),
)
def test_what_is_loaded_is_what_was_dumped(
    revision: int, entries: list[Route], draining: frozenset[str]
) -> None:
    before = table(revision, entries, draining)
    after = load(dump(before))
    assert after.revision == before.revision
    assert after.draining == before.draining
    assert {route.name: after.routes[route.name] for route in entries} == {
        route.name: route for route in entries
    }
    assert after.routes.keys() == before.routes.keys()


def test_a_table_of_an_older_or_newer_release_is_understood() -> None:
    document = json.loads(dump(table(3, [B])))
    target = document["routes"][0]["targets"][0]
    del target["model"]
    target["from_the_future"] = 1
    assert load(json.dumps(document)).routes["beta"] == B


def test_tokens_of_a_release_that_knew_only_their_text_are_understood() -> None:
    document = json.loads(dump(table(3, [A])))
    document["routes"][0]["tokens"] = ["t1", {"secret": "t2", "from_the_future": 1}]
    assert load(json.dumps(document)).routes["alpha"].tokens == (RouteToken("t1"), RouteToken("t2"))


def test_a_token_is_not_shown_by_accident() -> None:
    assert "t1" not in repr(A)


def test_a_dumped_table_names_each_route_once() -> None:
    assert [route["name"] for route in json.loads(dump(table(1, [A, B])))["routes"]] == [
        "alpha",
        "beta",
    ]


def test_an_empty_table_comes_back_empty() -> None:
    assert load(dump(RouteTable())) == RouteTable()


def test_fields_of_a_newer_hub_are_passed_over() -> None:
    document = json.loads(dump(table(1, [A])))
    document["routes"][0]["colour"] = "red"
    assert load(json.dumps(document)).routes["alpha"] == A


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "{}",
        '{"revision": "x", "routes": [], "draining": []}',
        '{"revision": 1, "routes": [7], "draining": []}',
        '{"revision": 1, "routes": ["name"], "draining": []}',
        '{"revision": 1, "routes": [{"name": "x"}], "draining": []}',
        '{"revision": 1, "routes": [{"targets": [{"where": 1}]}], "draining": []}',
        '{"revision": 1, "routes": null, "draining": []}',
        '{"revision": 1e999, "routes": [], "draining": []}',
        b"\xff\xfe\x00",
    ],
)
def test_anything_else_is_refused_with_one_kind_of_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        load(text)


@given(st.integers(0, 400))
def test_a_torn_file_never_loads_as_something_else(cut: int) -> None:
    whole = dump(table(3, [A, B], frozenset({"x"})))
    if cut < len(whole):
        with pytest.raises(ValueError):
            load(whole[:cut])
