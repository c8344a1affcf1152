"""Fails unless the coming release has something to tell: well-named fragments, or its own section."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
NAME = re.compile(r"(\d+|\+[\w-]+)\.(feature|bugfix|doc|removal|misc)(\.\d+)?\.md")


def problems() -> list[str]:
    """What is wrong, one sentence each."""
    fragments = sorted(path for path in (ROOT / "changes").glob("*") if path.name != "README.md")
    wrong = [
        f"changes/{path.name}: the name must be ISSUE.feature.md (or bugfix, doc, removal, misc)"
        for path in fragments
        if NAME.fullmatch(path.name) is None
    ]
    wrong += [f"changes/{path.name} is empty" for path in fragments if not path.read_text().strip()]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    released = f"## {version} (" in (ROOT / "CHANGELOG.md").read_text()
    if not fragments and not released:
        wrong.append(
            f"version {version} has neither a fragment in changes/ nor a section in CHANGELOG.md"
        )
    return wrong


if __name__ == "__main__":
    found = problems()
    print("\n".join(found) or "the changes are told")
    sys.exit(1 if found else 0)
