"""The check of dependencies finds what it is there for."""

import importlib.util
from email.message import Message
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

SCRIPT = Path(__file__).parent.parent.parent / "scripts" / "check_dependencies.py"
GOOD = {
    "name": "good",
    "version": "1.0",
    "source": {"registry": "x"},
    "wheels": [{"url": "x/good.whl", "hash": f"sha256:{'0' * 64}"}],
}


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_dependencies", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_lock_is_whole(check: ModuleType) -> None:
    packages = check.locked()
    assert len(packages) > 50 and list(check.digests(packages)) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"wheels": [{"url": "x/good.whl"}]}, "good.whl has no SHA-256"),
        ({"wheels": [{"url": "x/good.whl", "hash": "md5:1"}]}, "no SHA-256"),
        ({"wheels": []}, "no files"),
        ({"source": {"git": "https://x"}}, "does not come from a registry"),
    ],
)
def test_law_a_file_without_a_digest_is_found(
    check: ModuleType, change: dict[str, Any], words: str
) -> None:
    assert list(check.digests({"good": [GOOD]})) == []
    assert words in " ".join(check.digests({"good": [{**GOOD, **change}]}))


@pytest.mark.parametrize(
    ("fields", "fine"),
    [
        ([("License-Expression", "MIT")], True),
        ([("License-Expression", "Apache-2.0 AND (MIT OR BSD-3-Clause)")], True),
        ([("License-Expression", "AGPL-3.0-only")], False),
        ([("License-Expression", "MIT AND AGPL-3.0-only")], False),
        ([("Classifier", "License :: OSI Approved :: MIT License")], True),
        ([("License", "Proprietary")], False),
        ([], False),
    ],
)
def test_law_a_licence_that_nobody_looked_at_is_found(
    check: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    fields: list[tuple[str, str]],
    *,
    fine: bool,
) -> None:
    told = Message()
    for name, value in fields:
        told[name] = value
    one = SimpleNamespace(metadata=told, version="2.0")
    monkeypatch.setattr(check, "installed", lambda: {"good": one})
    assert (list(check.licences({"good": [GOOD]})) == []) is fine
    assert "1.0 is locked" in " ".join(check.versions({"good": [GOOD]}))
