"""A listing becomes a manifest only when every object of it can be a file below one folder."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.core.errors import Invalid
from pierhead.core.manifest import MOST_OBJECTS, Entry, Manifest, advice, safe

NAMES = st.text("abc.-_ é中", min_size=1, max_size=8).filter(lambda name: name not in {".", ".."})
KEYS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


def test_the_digest_depends_on_content_and_not_on_order() -> None:
    first, second = Entry("a", 1, "X"), Entry("b/c", 2, "Y", 7)
    assert Manifest([first, second]).digest == Manifest([second, first]).digest
    assert Manifest([first]).digest != Manifest([first, second]).digest
    assert Manifest([first]).digest != Manifest([Entry("a", 1, "Z")]).digest
    assert Manifest([first, second]).bytes == 3


def test_a_manifest_survives_json() -> None:
    made = Manifest([Entry("a", 1, "X"), Entry("b", 2, "Y", 2**63)])
    assert Manifest.of(made.rows()) == made


@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("../evil", "leads out"),
        ("a/../../evil", "leads out"),
        ("a/./b", "leads out"),
        ("..", "leads out"),
        ("/etc/passwd", "absolute"),
        ("a//b", "empty name"),
        ("", "empty"),
        ("a\\..\\b", "backslash"),
        ("a\x00b", "control"),
        ("a\nb", "control"),
        ("a\x7fb", "control"),
        ("a\x85b", "control"),
        ("\ud800", "no text"),
        ("x" * 256, "too long a name"),
        ("/".join(["x" * 200] * 6), "longer than"),
        ("../", "leads out"),
        ("//", "absolute"),
    ],
)
def test_a_key_that_is_no_path_below_the_folder_is_refused_in_one_line(key: str, word: str) -> None:
    with pytest.raises(Invalid, match=word) as caught:
        safe([Entry("ok", 1), Entry(key, 0)])
    assert "\n" not in caught.value.message
    assert caught.value.message.isascii()
    assert len(caught.value.message) < 200


def test_markers_of_folders_are_left_out_unless_they_have_content() -> None:
    assert [entry.key for entry in safe([Entry("a/", 0), Entry("a/b", 1)]).entries] == ["a/b"]
    with pytest.raises(Invalid, match="has content"):
        safe([Entry("a/", 5), Entry("a/b", 1)])


def test_keys_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(Invalid, match="listed twice"):
        safe([Entry("a", 1), Entry("a", 2)])
    with pytest.raises(Invalid, match="a file and a folder at once"):
        safe([Entry("a/b", 1), Entry("a", 1)])
    assert safe([Entry("a/b", 1), Entry("a-b", 1), Entry("a.b", 1)])


def test_nothing_and_too_much_are_refused() -> None:
    with pytest.raises(Invalid, match="no objects"):
        safe([Entry("a/", 0)])
    with pytest.raises(Invalid, match=str(MOST_OBJECTS)):
        safe(Entry(f"f{number}", 0) for number in range(MOST_OBJECTS + 1))
    with pytest.raises(Invalid, match="negative"):
        safe([Entry("a", -1)])


@given(st.lists(KEYS, min_size=1, max_size=6, unique=True))
def test_what_is_accepted_stays_below_its_folder(keys: list[str]) -> None:
    try:
        manifest = safe(Entry(key, 1) for key in keys)
    except Invalid as error:
        assert "at once" in error.message  # nothing else is wrong with such keys
        return
    for entry in manifest.entries:
        assert not entry.key.startswith("/")
        assert ".." not in entry.key.split("/")
    assert [entry.key for entry in manifest.entries] == sorted(keys)


@given(st.text(max_size=12))
def test_any_key_is_refused_or_a_plain_relative_path(key: str) -> None:
    try:
        manifest = safe([Entry("ok/fine", 1), Entry(key, 1)])
    except Invalid:
        return
    names = key.split("/")
    assert all(names)
    assert not {".", ".."} & set(names)
    assert "\x00" not in key
    assert len(manifest.entries) == 2


def test_pickled_weights_raise_an_advice() -> None:
    assert advice(safe([Entry("model.safetensors", 1)])) == ()
    (notice,) = advice(safe([Entry(f"{number}.bin", 1) for number in range(5)]))
    assert notice.reason == "PickledWeights"
    assert "0.bin, 1.bin, 2.bin and 2 more" in notice.message
