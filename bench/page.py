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
    "gateway": "Gateway",
    "sizing": "Memory before the download",
    "weights": "Fetching weights",
    "install": "Install size",
    "cli": "Command line",
}


def write(found: dict[str, Any]) -> None:
    """Replace what stands between the marks."""
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} has lost its marks {BEGIN} and {END}")
    PAGE.write_text(f"{before}{BEGIN}\n\n{_text(found)}\n{END}{after}")


def _text(found: dict[str, Any]) -> str:
    where = found["machine"]
    parts = [
        f"Measured {found['at']} on {where['cores']} cores of {where['cpu']}, "
        f"{where['memory_gib']:g} GiB, {where['system']}, Python {where['python']}; "
        f"load average {where['load']}, "
        f"{found['seconds']:.0f} s in all.\n"
    ]
    for name, part in found["measures"].items():
        figures = [_figure(each) for each in part["figures"]]
        parts.append(
            f"### {TITLES[name]}\n\n`python -m bench {name}`; yardstick {part['yardstick']}\n\n{markdown(figures)}\n"
        )
    return "\n".join(parts)


def _figure(document: dict[str, Any]) -> Figure:
    return Figure(**{name: value for name, value in document.items() if name != "verdict"})
