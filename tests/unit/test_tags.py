"""The text of tags: what is well formed, and what the acting ones ask for."""

import pytest

from pierhead.core import tags
from pierhead.core.errors import Invalid
from pierhead.core.tags import Asked, Kind


@pytest.mark.parametrize(
    "text", ["a::b", "::", "ai::replicas::2", "gpu::" + "x" * 2043, "对话::一"]
)
def test_a_well_formed_system_tag_is_kept_as_it_is(text: str) -> None:
    assert tags.system_tag(text) == text


@pytest.mark.parametrize(
    "text", ["", "plain", "a:b", "a::b\n", "a::\0", "a::\x7f", "a::\x85", "a::" + "x" * 2046]
)
def test_other_texts_are_no_system_tags(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        tags.system_tag(text, "systemTags")
    assert caught.value.field == "systemTags"


@pytest.mark.parametrize("text", ["", "x" * 2049, "a\nb"])
def test_a_user_tag_has_bounds_too(text: str) -> None:
    with pytest.raises(Invalid, match="tag"):
        tags.user_tag(text)


def test_acting_tags_are_read_and_all_others_passed_over() -> None:
    texts = ["ai::replicas::3", "x::y", "ai::gpus::0", "ai::runtime::process", "ai::auth::none"]
    assert tags.asked([*texts, "ai::new::1", "ai::replicas"]) == Asked(3, 0, "process", open=True)
    assert tags.asked(["ai::auth::token"]) == Asked(open=False)
    assert tags.asked([]) == Asked()


@pytest.mark.parametrize(
    "text",
    [
        "ai::replicas::-1",
        "ai::replicas::1001",
        "ai::replicas::",
        "ai::replicas::two",
        "ai::replicas::٣",
        "ai::replicas::1.0",
        "ai::gpus::65",
        "ai::runtime::docker",
        "ai::runtime::",
        "ai::auth::None",
        "ai::serviceName::mine",
    ],
)
def test_a_bad_value_of_an_acting_tag_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        tags.asked([text])


def test_two_tags_of_one_acting_kind_contradict_each_other() -> None:
    with pytest.raises(Invalid, match="second ai::replicas"):
        tags.asked(["ai::replicas::1", "ai::replicas::2"])


def test_which_tags_act() -> None:
    assert tags.kind("ai::gpus::1") is Kind.GPUS
    assert tags.kind("ai::replicas::1::2") is None
    assert tags.kind("gpus::1") is None


@pytest.mark.parametrize(
    ("text", "label"),
    [("k=v", ("k", "v")), ("k", ("k", "")), ("k=a=b", ("k", "a=b")), ("k=", ("k", ""))],
)
def test_a_user_tag_is_a_label(text: str, label: tuple[str, str]) -> None:
    assert tags.label(text) == label


@pytest.mark.parametrize("text", ["=v", "k" * 256, "k=" + "v" * 256])
def test_what_no_label_can_hold_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="label"):
        tags.label(text)


def test_a_label_goes_with_its_tag_unless_another_tag_says_it_too() -> None:
    labels = {"env": "prod", "team": "a"}
    assert tags.without_label(labels, "env=prod", []) == {"team": "a"}
    assert tags.without_label(labels, "env=prod", ["env=test", "x"]) == {"team": "a", "env": "test"}


def test_the_places_of_a_pattern_are_filled_once_and_as_text() -> None:
    assert tags.places("perf::{level}::{level}::{by}") == ("level", "by")
    assert tags.filled("perf::{level}", {"level": "{by}\\1", "more": "x"}) == "perf::{by}\\1"
    assert tags.filled("plain", {}) == "plain"
    with pytest.raises(Invalid, match="by"):
        tags.filled("{level}{by}", {"level": "1"})
