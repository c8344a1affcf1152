"""Puts the figures of one run into docs/explanation/performance.md, between its two marks."""

from pathlib import Path
from typing import Any

from bench.figures import Figure, markdown

PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "performance.md"
BEGIN, END = "<!-- figures: python -m bench --page -->", "<!-- end of figures -->"
TITLES = {
    "start": "Start",
    "memory": "Memory",
    "control": "Control plane at 1,000 services",
    "registry": "Registry through the ZStack door",
    "policies": "Policies",
    "readiness": "From create to Running",
    "recovery": "Recovery with 50 services",
    "gateway": "Gateway",
    "affinity": "Like prompts to the same replica",
    "sizing": "Memory before the download",
    "weights": "Fetching weights",
    "install": "Install size",
    "cli": "Command line",
    "kubernetes": "Kubernetes with 1,000 services",
}
_HEAD = "### "


def write(found: dict[str, Any]) -> None:
    """Replace between the marks the parts that were measured; the others stay as they are."""
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} has lost its marks {BEGIN} and {END}")
    sections = {**_sections(old), **{name: _section(found, name) for name in found["measures"]}}
    text = "\n\n".join(sections[name] for name in TITLES if name in sections)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def _sections(text: str) -> dict[str, str]:
    """What the page has of each part."""
    names = {title: name for name, title in TITLES.items()}
    found: dict[str, str] = {}
    for part in text.split(_HEAD)[1:]:
        title, _, content = part.partition("\n")
        found[names[title]] = f"{_HEAD}{title}\n{content.rstrip()}"
    return found


def _section(found: dict[str, Any], name: str) -> str:
    where, part = found["machine"], found["measures"][name]
    figures = [_figure(each) for each in part["figures"]]
    return (
        f"{_HEAD}{TITLES[name]}\n\n"
        f"`python -m bench {name}`, {found['at']}: {where['cores']} cores of {where['cpu']}, "
        f"{where['memory_gib']:g} GiB, {where['system']}, Python {where['python']}; load average "
        f"{where['load']}; yardstick {part['yardstick']}\n\n{markdown(figures).rstrip()}"
    )


def _figure(document: dict[str, Any]) -> Figure:
    return Figure(**{name: value for name, value in document.items() if name != "verdict"})
