"""Holds the built console to its budgets: what the first page loads, and the largest chunk.

Sizes are those that browsers load: the gzip copies that the build lays beside the files.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

STATIC = Path(__file__).parent.parent / "src" / "pierhead" / "web" / "static"
#: kB (of 1000 bytes) after gzip.
FIRST_PAGE, CHUNK = 450, 200
#: The code editor is large, and loaded only where somebody edits.
_EDITOR = re.compile(r"editor", re.IGNORECASE)
#: Chunks that are loaded as soon as the first one runs: the frame, and the screen within it.
_AT_ONCE = ("shell-*.js", "home-*.js")
_LINKED = re.compile(r"""(?:src|href)=["']?/(assets/[^"'\s>]+)""")
#: What a chunk cannot start without: `import"./x.js"`, `import{a}from"./x.js"`, `export*from"./x.js"`.
_IMPORTED = re.compile(r"""(?:\bfrom|\bimport)\s*["']\./([^"']+\.js)["']""")


def size(path: Path) -> int:
    """Bytes that a browser loads."""
    packed = path.with_name(f"{path.name}.gz")
    return (packed if packed.is_file() else path).stat().st_size


def first_page(static: Path) -> list[Path]:
    """The index, what it links, the frame and the home screen, and what those import before they run."""
    index = static / "index.html"
    found = [index]
    waiting = [static / name for name in _LINKED.findall(index.read_text("utf-8"))]
    waiting += [path for names in _AT_ONCE for path in (static / "assets").glob(names)]
    while waiting:
        path = waiting.pop()
        if path not in found and path.is_file():
            found.append(path)
            if path.suffix == ".js":
                names: list[str] = _IMPORTED.findall(path.read_text("utf-8"))
                waiting += [path.parent / name for name in names]
    return found


def problems(static: Path) -> Iterator[str]:
    """What is too large."""
    first = sum(map(size, first_page(static)))
    if first > FIRST_PAGE * 1000:
        yield f"the first page loads {first / 1000:.0f} kB, more than {FIRST_PAGE} kB"
    for path in sorted((static / "assets").rglob("*.js")):
        if size(path) > CHUNK * 1000 and not _EDITOR.search(path.name):
            yield f"{path.name} is {size(path) / 1000:.0f} kB, more than {CHUNK} kB"


def main() -> int:
    """0 if the console keeps its budgets."""
    if not (STATIC / "index.html").is_file():
        skipped = os.environ.get("PIERHEAD_SKIP_WEB", "") not in ("", "0")
        print("the console is not built: `make install` builds it")
        return 0 if skipped else 1
    found = list(problems(STATIC))
    print("\n".join(found) or f"first page {sum(map(size, first_page(STATIC))) / 1000:.0f} kB")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
