"""The compiled gateway is used where it fits the sources, and Python runs where it does not, with a word why."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pierhead
from pierhead import compiled

PACKAGE = Path(pierhead.__file__).parent


def library(package: Path, name: str = "1", **told: Any) -> Path:
    """A folder with a note, as `scripts/compile_gateway.py` leaves it, and a library that is none."""
    files = ["gateway/again.py"]
    note = {
        "digest": compiled.digest(package, files),
        "files": files,
        "group": "nobody__mypyc",
        "library": "gateway.so",
        "modules": [f"{package.name}.gateway.again"],
    }
    folder = package / compiled.FOLDER / f"{compiled.ABI}-{name}"
    folder.mkdir(parents=True)
    (folder / "gateway.so").write_bytes(b"no library")
    (folder / compiled.NOTE).write_text(json.dumps(note | told))
    return folder


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of one module beside its parent."""
    (tmp_path / "small" / "gateway").mkdir(parents=True)
    (tmp_path / "small" / "gateway" / "again.py").write_text("VALUE = 1\n")
    return tmp_path / "small"


def test_only_a_library_of_these_very_sources_is_found(package: Path) -> None:
    none = compiled.find(package=package)
    assert (none.library, none.wrong) == (None, False)
    assert "was not compiled" in str(none)

    folder = library(package)
    found = compiled.find(package=package)
    assert str(found) == "yes" and found.library and found.library.file.parent == folder
    assert "setting" in str(compiled.find(wanted=False, package=package))

    source = package / "gateway" / "again.py"
    source.write_text("VALUE = 2\n")
    stale = compiled.find(package=package)
    assert stale.library is None and stale.wrong and "changed" in stale.why
    library(package, "2")
    assert compiled.find(package=package).library, "of several it is the one that fits"
    source.unlink()
    assert compiled.find(package=package).wrong


@pytest.mark.parametrize("half", ["", "{", "[]", '{"files": [1]}', '{"files": []}'])
def test_half_a_note_is_none(package: Path, half: str) -> None:
    (library(package) / compiled.NOTE).write_text(half)
    assert compiled.find(package=package).wrong


def test_a_library_for_another_python_is_none(package: Path) -> None:
    folder = library(package)
    folder.rename(folder.with_name("cpython-399-x86_64-linux-gnu-1"))
    found = compiled.find(package=package)
    assert "was not compiled for this Python" in found.why and not found.wrong


def test_one_that_cannot_be_loaded_leaves_nothing_behind(package: Path) -> None:
    library(package)
    before, finders = set(sys.modules), list(sys.meta_path)
    sys.path.insert(0, str(package.parent))
    try:
        found = compiled.use(package=package)
    finally:
        sys.path.remove(str(package.parent))
    assert found.library is None and found.wrong and "cannot be loaded" in found.why
    assert sys.meta_path == finders
    assert not {name for name in set(sys.modules) - before if name.startswith("small.")}


def test_modules_that_came_too_early_stay_what_they_are(package: Path) -> None:
    library(package, modules=["pierhead.compiled"])
    assert "imported before" in compiled.use(package=package).why


@pytest.mark.parametrize(
    ("told", "wanted", "why"),
    [
        ({"digest": "of other sources"}, "1", "sources changed"),
        ({}, "1", "cannot be loaded"),
        ({}, "0", "the setting `compiled` says so"),
    ],
)
def test_a_gateway_without_a_library_that_fits_says_so_and_serves(
    tmp_path: Path, told: dict[str, str], wanted: str, why: str
) -> None:
    """Law: compiled code never serves in the place of sources that it was not made from."""
    package = tmp_path / "src" / "pierhead"
    package.mkdir(parents=True)
    for each in PACKAGE.iterdir():
        if each.name != compiled.FOLDER:
            (package / each.name).symlink_to(each)
    library(package, **told)
    process = subprocess.Popen(
        (
            *(sys.executable, "-m", "pierhead", "gateway", f"--data-dir={tmp_path / 'data'}"),
            *("--gateway-listen=127.0.0.1:0", "--log-format=json"),
        ),
        env={**os.environ, "PYTHONPATH": str(package.parent), "PIERHEAD_COMPILED": wanted},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[dict[str, Any]] = []
    with process:
        assert process.stdout
        for line in process.stdout:
            lines.append(json.loads(line) if line.startswith("{") else {"event": line})
            if lines[-1]["event"] == "gateway serves":
                process.send_signal(signal.SIGTERM)
    assert process.returncode == 0, lines
    (serves,) = (line for line in lines if line["event"] == "gateway serves")
    assert serves["compiled"].startswith("no (") and why in serves["compiled"]
    warned = [line for line in lines if line["event"] == "gateway runs uncompiled"]
    assert [f"no ({line['why']})" for line in warned] == [serves["compiled"]] * (wanted == "1")
    assert {line["level"] for line in warned} <= {"warning"}
