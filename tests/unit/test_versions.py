"""Versions in paths and names, and which of two is newer."""

import pytest

from pierhead.core import versions


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("/models/dify_1.11.1", "1.11.1"),
        ("dify-1.11.1/", "1.11.1"),
        ("/srv/app/2.0.10", "2.0.10"),
        ("app_v1.2.3", "1.2.3"),
        ("image:1.2.0", "1.2.0"),
        ("/models/dify_1.11", None),
        ("/models/dify_1.11.1.2", None),
        ("/models/dify_1.11.1-rc", None),
        ("/models/dify1.11.1", None),
        ("/models/1.2.3/src", None),
        ("x_" + "9" * 30 + ".0.0", None),
        ("", None),
    ],
)
def test_a_path_tells_its_version_by_its_end_alone(path: str, version: str | None) -> None:
    assert versions.of_path(path) == version


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("model:1.2.0", "1.2.0"),
        ("model:v1.2.0", "1.2.0"),
        ("registry:5000/model:1.2.0", "1.2.0"),
        ("model_1.2.0", None),
        ("model:latest", None),
        ("model:1.2.0-gpu", None),
        ("", None),
    ],
)
def test_a_name_tells_its_version_in_its_tag(name: str, version: str | None) -> None:
    assert versions.of_name(name) == version
    if version is not None:  # the quick look never misses what the careful one finds
        assert versions.of_text(f"services:\n- name: {name}\n  ports: [1]") == version


@pytest.mark.parametrize(
    ("one", "other", "newer"),
    [
        ("1.10.0", "1.9.9", True),
        ("1.9.9", "1.10.0", False),
        ("2.0.0", "2.0.0", False),
        ("01.0.1", "1.0.0", True),
        (None, "1.0.0", False),
        ("1.0.0", None, False),
        (None, None, False),
    ],
)
def test_versions_compare_as_numbers(one: str | None, other: str | None, newer: bool) -> None:
    assert versions.newer(one, other) is newer
