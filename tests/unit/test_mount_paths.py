"""Where a replica sees its files: by name alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.core.errors import Invalid
from pierhead.core.launch import Files
from pierhead.core.mount_paths import mount_path, moved, not_shown, seen_at, within
from pierhead.core.templates import Template


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/mnt/model", "/mnt/model"),
        ("/mnt/model/", "/mnt/model"),
        ("//mnt//model//", "/mnt/model"),
        ("/usr/share/x", "/usr/share/x"),
        ("/processes", "/processes"),
        ("/模型/a b", "/模型/a b"),
    ],
)
def test_a_path_is_taken(text: str, path: str) -> None:
    assert mount_path(text, "storage") == path


@pytest.mark.parametrize(
    "text",
    [
        *("", "m", "/", "///", "/proc", "/proc/1", "//proc", "/sys", "/dev", "/dev/shm/x"),
        *(
            "/usr",
            "/etc/",
            "/bin",
            "/lib64",
            "/var",
            "/tmp",
            "/a/../b",
            "/a/.",
            "/a\0b",
            "/a\nb",
            "/a\x1b[2Jb",
            "/a\u202eb",
            "/a\ud800b",
            "/x" * 600,
        ),
    ],
)
def test_a_path_is_refused_by_the_fields_name(text: str) -> None:
    with pytest.raises(Invalid, match=r"storage\[0\]\.mount_path"):
        mount_path(text, "storage[0].mount_path")


@given(st.text(st.sampled_from("/.ab\0\n "), max_size=12))
def test_what_is_taken_stays_as_it_is(text: str) -> None:
    try:
        path = mount_path(text, "x")
    except Invalid:
        return
    assert mount_path(path, "x") == path
    assert path.startswith("/")
    assert not path.endswith("/")


def test_a_path_moves_with_its_folder() -> None:
    assert moved("/w/m.gguf", "/w", "/mnt/model") == "/mnt/model/m.gguf"
    assert moved("/w", "/w", "/mnt/model") == "/mnt/model"
    assert moved("/wide/m", "/w", "/mnt/model") == "/wide/m"
    assert moved("/a/b", "/", "/mnt") == "/mnt/a/b"
    assert not within("/wide", "/w")
    assert within("/w/x", "/w/")


@pytest.mark.parametrize("model", ["/w/a/m.gguf", "/w"])
def test_files_are_seen_where_they_are_shown(model: str) -> None:
    seen = seen_at(Files("/w", model, 7, environment="/envs/1"), "/mnt/model")
    assert seen == Files("/mnt/model", "/mnt/model" + model[2:], 7, environment="/envs/1")


def test_what_cannot_be_shown_is_told() -> None:
    env = {"CONFIG": "/mnt/model/config.json", "A": "1"}
    template = Template(name="t", engine="custom", env=env, mount_path="/mnt/model")
    told = not_shown(template)
    assert [notice.reason for notice in told] == ["MountPath", "MountPath"]
    assert "[/mnt/model]" in told[0].message
    assert "variable CONFIG" in told[1].message
    assert not_shown(Template(name="t", engine="custom", env=env)) == ()
