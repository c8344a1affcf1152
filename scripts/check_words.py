"""Fails when a tracked file names the machine it was written on: its paths or its package hosts."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

#: Each pattern has a class of one letter in it, so that this file does not match itself.
FORBIDDEN = {
    "a path of somebody's machine": re.compile(
        r"(?<![\w.~-])(?:/roo[t]/|/(?:home|Users)/(?!you\b|pierhead\b)[a-z]+/)"
    ),
    "the host of a package registry": re.compile(
        r"pypi\.or[g]|pythonhoste[d]|registry\.npmj[s]|deb\.debia[n]"
    ),
}
#: Lock files name hosts by their nature; the digest beside each name is what counts.
LOCKS = {"uv.lock", "package-lock.json"}


def tracked() -> list[Path]:
    """Files that git tracks or would track."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    return [ROOT / name for name in listing.split("\0") if name]


def findings(path: Path) -> list[str]:
    """`file:line: what` for each forbidden word in one text file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, FileNotFoundError):
        return []  # a picture, or a file removed but not yet committed
    return [
        f"{path.relative_to(ROOT)}:{number}: {what}: {found.group()}"
        for number, line in enumerate(text.splitlines(), 1)
        for what, pattern in FORBIDDEN.items()
        if (found := pattern.search(line))
    ]


def main() -> int:
    """Exit code: 0 when nothing was found."""
    found = [
        line
        for path in tracked()
        if path.name not in LOCKS and path.is_file()
        for line in findings(path)
    ]
    print("\n".join(found) or "no forbidden words")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
