"""How an installation comes to the console's pages: what is built when, and with which Node. No network."""

import gzip
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent


def _loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build_console: Any = _loaded("build_console")
check_console_size: Any = _loaded("check_console_size")
Way = build_console.Way

NPM = """#!/bin/sh
echo "$1" >> "$CALLS"
[ "$1" != "$FAILS" ] || { echo "npm error ENOTFOUND"; exit 7; }
[ "$1" = run ] || exit 0
mkdir -p dist/assets
cp src/page.txt dist/index.html
printf '%02000d' 0 > dist/assets/index-a1.js
printf 'GIF89a' > dist/assets/dot-b2.gif
echo "written by the build" > made.tsbuildinfo
"""


class Checkout:
    """A checkout with a console, and a PATH with a Node of a version of one's own."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.places = build_console.Places(root / "checkout")
        self.programs, self.calls = root / "programs", root / "calls"
        self.programs.mkdir()
        self.calls.touch()
        web = self.places.web
        (web / "src").mkdir(parents=True)
        (self.places.static.parent).mkdir(parents=True)
        (web / "src" / "page.txt").write_text("first")
        (web / "package-lock.json").write_text("{}")
        self.program("npm", NPM)
        patch.setenv("CALLS", str(self.calls))
        patch.setenv("FAILS", "")
        patch.setenv("PATH", f"{self.programs}{os.pathsep}{os.environ['PATH']}")
        self.patch = patch

    def program(self, name: str, text: str) -> None:
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)

    def node(self, version: str = "v20.19.0") -> Any:
        self.program("node", f"#!/bin/sh\necho {version}\n")
        return build_console.system_node({"PATH": str(self.programs)})

    def way(self, node: Any = None, **environ: str) -> Any:
        return build_console.way(self.places, environ, node)

    def build(self) -> None:
        build_console.build(self.places, self.node())

    def called(self) -> list[str]:
        """What npm was asked for since the last look."""
        found = self.calls.read_text().split()
        self.calls.write_text("")
        return found


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    return Checkout(tmp_path, monkeypatch)


def test_only_what_changed_is_built_again(checkout: Checkout) -> None:
    node = checkout.node()
    assert checkout.way(node) is Way.BUILT
    checkout.build()
    assert checkout.called() == ["ci", "run"]
    static = checkout.places.static
    assert (static / "index.html").read_text() == "first"
    assert gzip.decompress((static / "assets/index-a1.js.gz").read_bytes()) == b"0" * 2000
    assert not (static / "assets" / "dot-b2.gif.gz").exists()
    assert checkout.way(node) is checkout.way(None) is Way.FRESH, "the build changed no source"

    for other in ("node_modules/x/index.js", "dist/y.js", "src/.vite/z", "coverage/a", "b.log"):
        path = checkout.places.web / other
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("other")
    assert checkout.way(node) is Way.FRESH

    (checkout.places.web / "src" / "page.txt").write_text("second")
    assert checkout.way(node) is Way.BUILT
    checkout.build()
    assert checkout.called() == ["run"], "the packages are there"
    assert (static / "index.html").read_text() == "second"
    assert [path.name for path in static.parent.iterdir()] == ["static"], "nothing is left aside"

    (checkout.places.web / "src" / "page.txt").rename(checkout.places.web / "src" / "moved.txt")
    assert checkout.way(node) is Way.BUILT, "a name counts as well"


def test_the_order_in_which_ways_are_tried(checkout: Checkout) -> None:
    assert checkout.way(None) is Way.FETCHED
    assert checkout.way(checkout.node()) is Way.BUILT
    assert checkout.way(checkout.node(), PIERHEAD_SKIP_WEB="1") is Way.SKIPPED
    assert checkout.way(checkout.node(), PIERHEAD_SKIP_WEB="0") is Way.BUILT
    static = checkout.places.static
    static.mkdir()
    (static / "index.html").write_text("made elsewhere")
    assert checkout.way(checkout.node()) is Way.BUILT, "nothing tells what it was made from"
    (checkout.places.root / "PKG-INFO").touch()
    assert checkout.way(checkout.node()) is checkout.way(None) is Way.CARRIED
    (static / ".stamp").write_text(build_console.digest(checkout.places.web))
    assert checkout.way(checkout.node()) is Way.FRESH


@pytest.mark.parametrize("version", ["v20.18.9", "v18.20.0", "v9.99.0", "nonsense"])
def test_an_old_node_is_none(checkout: Checkout, version: str) -> None:
    assert checkout.node(version) is None
    for enough in ("v20.19.0", "v22.0.0", "v100.1.0"):
        assert checkout.node(enough) is not None


def test_a_node_without_npm_is_none(checkout: Checkout) -> None:
    checkout.node()
    (checkout.programs / "npm").unlink()
    assert build_console.system_node({"PATH": str(checkout.programs)}) is None


def test_a_network_that_is_away_is_told_in_one_line(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    npm = "npm error a\\nnpm error FetchError: request to http://r/x failed, reason: EAI_AGAIN"
    checkout.program("npm", f"#!/bin/sh\nprintf '{npm}\\nnpm error b\\n'; exit 1\n")
    checkout.node()
    checkout.patch.setattr(build_console, "ROOT", checkout.places.root)
    assert build_console.main([]) == 0
    said = capsys.readouterr().out.splitlines()
    (why,) = [line for line in said if "EAI_AGAIN" in line]
    assert "not built: `npm ci` failed with 1: EAI_AGAIN (at http://r/x)" in why
    assert len(said) == 3 and "npm error" not in "".join(said)


@pytest.mark.parametrize("step", ["ci", "run"])
def test_a_build_that_fails_says_why_and_leaves_the_old_pages(
    checkout: Checkout, capsys: pytest.CaptureFixture[str], step: str
) -> None:
    checkout.build()
    web, static = checkout.places.web, checkout.places.static
    (web / "src" / "page.txt").write_text("second")
    (web / "package-lock.json").write_text('{"other": 1}')
    checkout.patch.setenv("FAILS", step)
    with pytest.raises(build_console.Unbuilt, match=r"^`npm (ci|run build)` failed with 7$"):
        checkout.build()
    assert (static / "index.html").read_text() == "first"
    assert [path.name for path in static.parent.iterdir()] == ["static"]

    checkout.patch.setattr(build_console, "ROOT", checkout.places.root)
    assert build_console.main([]) == 0, "the platform works without"
    said = capsys.readouterr().out
    assert "the one built before stays" in said and "ENOTFOUND" in said
    assert build_console.main(["--strict"]) == 1
    checkout.patch.setenv("FAILS", "")
    assert build_console.main(["--strict"]) == 0
    assert (static / "index.html").read_text() == "second"
    capsys.readouterr()
    assert build_console.main(["--strict"]) == 0
    assert capsys.readouterr().out == "", "nothing to do, nothing to say"


def test_budgets_of_the_first_page_and_of_chunks(tmp_path: Path) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    page = '<script type="module" src="/assets/a.js"></script><link href="/assets/a.css">'
    (tmp_path / "index.html").write_text(page)
    (assets / "a.css").write_bytes(b"x" * 100_000)
    (assets / "a.js").write_text('import{x}from"./b.js";import("./lazy.js");')
    (assets / "b.js").write_bytes(b'export*from"./a.js";' + b"x" * 190_000)
    (assets / "lazy.js").write_bytes(b"x" * 180_000)
    (assets / "editor-1.js").write_bytes(b"x" * 400_000)
    assert list(check_console_size.problems(tmp_path)) == []
    (assets / "lazy.js").write_bytes(b"x" * 201_000)
    assert list(check_console_size.problems(tmp_path)) == ["lazy.js is 201 kB, more than 200 kB"]
    (assets / "lazy.js.gz").write_bytes(b"x" * 60_000)
    (assets / "a.css").write_bytes(b"x" * 270_000)
    (found,) = check_console_size.problems(tmp_path)
    assert found.startswith("the first page loads 460 kB")
