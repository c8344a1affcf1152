"""Which names are legal, and what replicas, objects and keys are called."""

import re
import string
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import FakeEntropy
from pierhead.core import ids
from pierhead.core.errors import Conflict, Invalid
from pierhead.core.names import by_id, id_of, replica_name, service_name, slug


@pytest.mark.parametrize("name", ["abc", "a_1", "___", "123", "x" * 63])
def test_legal_names_pass_unchanged(name: str) -> None:
    assert service_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ab",
        "x" * 64,
        "Abc",
        "a-b-c",
        "a.b",
        "a b c",
        "abc\n",
        "äbc",
        "abc\x00",
        "٣٣٣",
        "../../etc",
    ],
)
def test_illegal_names_are_refused_by_field(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        service_name(name, "metadata.name")
    assert caught.value.field == "metadata.name"
    assert "3 to 63 lower-case letters, digits and underscores" in caught.value.message


def test_a_refusal_shows_no_more_than_the_start_of_a_huge_name() -> None:
    with pytest.raises(Invalid) as caught:
        service_name("X" * 100_000)
    assert len(caught.value.message) < 300


@given(st.text())
def test_a_name_is_legal_exactly_when_its_characters_and_length_are(name: str) -> None:
    legal = 3 <= len(name) <= 63 and set(name) <= set(string.ascii_lowercase + string.digits + "_")
    try:
        assert service_name(name) == name
        assert legal
    except Invalid:
        assert not legal


@given(st.text(max_size=100))
def test_a_replica_is_called_so_that_a_folder_may_be_too(service: str) -> None:
    assert re.fullmatch(r"[a-z0-9_-]{0,40}-abcd1234", replica_name(service, "abcd1234"))


def test_ids_have_their_documented_shapes() -> None:
    entropy = FakeEntropy()
    assert re.fullmatch(r"[0-9a-f]{32}", ids.object_id(entropy))
    assert re.fullmatch(r"[a-z0-9]{8}", ids.short_id(entropy))
    token = ids.access_token(entropy)
    assert re.fullmatch(r"[A-Za-z0-9+/]{54}==|[A-Za-z0-9+/]{55}=|[A-Za-z0-9+/]{56}", token)
    assert ids.access_token(entropy) != token


def test_an_engine_key_depends_on_secret_and_replica_alone() -> None:
    key = ids.engine_key(b"s" * 32, "r-1")
    assert key == ids.engine_key(b"s" * 32, "r-1")
    assert len({key, ids.engine_key(b"t" * 32, "r-1"), ids.engine_key(b"s" * 32, "r-2")}) == 3
    assert re.fullmatch(r"[0-9a-f]{48}", key)


def free(_name: str) -> bool:
    return False


@pytest.mark.parametrize(
    ("name", "uuid", "taken", "expected"),
    [
        ("chat", "fb30c858" * 4, (), "chat"),
        ("chat", "fb30c858" * 4, ("chat",), "chat_fb30c858"),
        ("chat", "fb30c858" * 4, ("chat", "chat_fb30c858"), "chat_fb30c858fb30"),
        ("g", "2e7d3743" * 4, (), "g_2e7d3743"),
        ("Chat-Model", "3a1db51b" * 4, (), "chat_model_3a1db51b"),
        ("对话", "1c9f2a04" * 4, (), "g_1c9f2a04"),
        ("  Ünï  cödé!! ", "1c9f2a04" * 4, (), "uni_code_1c9f2a04"),
        ("7B model", "1c9f2a04" * 4, (), "g_7b_model_1c9f2a04"),
        ("x" * 64, "1c9f2a04" * 4, (), "x" * 54 + "_1c9f2a04"),
        ("X" * 53 + "--y", "1c9f2a04" * 4, (), "x" * 53 + "_1c9f2a04"),
        ("___", "1c9f2a04" * 4, ("___",), "g_1c9f2a04"),
    ],
)
def test_a_deployment_gets_a_service_name_from_its_display_name(
    name: str, uuid: str, taken: tuple[str, ...], expected: str
) -> None:
    assert slug(name, uuid, taken.__contains__) == expected


@given(st.text(max_size=300), st.uuids(), st.integers(0, 6))
def test_a_slug_is_always_legal_and_never_taken(name: str, uuid: UUID, others: int) -> None:
    taken: set[str] = set()
    for _ in range(others + 1):
        found = slug(name, uuid.hex, taken.__contains__)
        assert service_name(found) == found
        assert found not in taken
        taken.add(found)


@given(st.from_regex(r"[a-z0-9_]{3,63}", fullmatch=True), st.uuids())
def test_a_legal_free_name_stays_as_it_is(name: str, uuid: UUID) -> None:
    assert slug(name, uuid.hex, free) == name


def test_when_every_name_is_taken_that_is_said() -> None:
    with pytest.raises(Conflict):
        slug("chat", "0" * 32, lambda _name: True)


def test_an_id_cannot_be_mistaken_for_a_name() -> None:
    assert id_of(by_id("2e7d37432d864a81b3")) == "2e7d37432d864a81b3"
    assert id_of("2e7d37432d864a81b3") is None
    with pytest.raises(Invalid):
        service_name(by_id("2e7d37432d864a81b3"))
