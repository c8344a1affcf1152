"""Which names are legal, and what replicas, objects and keys are called."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import FakeEntropy
from pierhead.core import ids
from pierhead.core.errors import Invalid
from pierhead.core.names import replica_name, service_name


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
