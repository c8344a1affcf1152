"""What the client verbs show: tables with colour on a terminal, plain text elsewhere, or JSON.

Names, labels and messages are other people's texts: what a terminal would obey, and not show, is
written as an escape, so that nobody clears an operator's screen or adds lines of their own to it.
"""

import json
import re
import sys
import time
from calendar import timegm
from collections.abc import Mapping, Sequence

#: Words that stand alone in a cell -> their colour on a terminal.
STYLES: Mapping[str, str] = {
    "Running": "green",
    "Ready": "green",
    "ok": "green",
    "Failed": "red",
    "DeleteFailed": "red",
    "fail": "red",
    "Warning": "yellow",
    "warn": "yellow",
    "NotReady": "yellow",
    "Stopped": "dim",
}

#: What moves the cursor, ends a line, or turns the direction of writing.
_COMMANDS = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: The same without what sets colours, and without tabs: for lines that a program wrote itself.
_BUT_COLOURS = re.compile(rf"\x1b\[[0-9;]{{0,32}}m|\t|({_COMMANDS.pattern})")


def plain(text: str, *, lines: bool = False) -> str:
    """A text that a terminal shows and does not obey; `lines`: it may have several."""
    if text.isprintable():
        return text
    return _COMMANDS.sub(lambda found: _escaped(found[0], "\n" if lines else ""), text)


def coloured(line: str) -> str:
    """As `plain`, for a line of a log: its colours and tabs stay."""
    return _BUT_COLOURS.sub(lambda found: _escaped(found[0]) if found[1] else found[0], line)


def _escaped(sign: str, kept: str = "") -> str:
    return sign if sign in kept and kept else f"\\u{ord(sign):04x}"


def emit(document: object) -> None:
    """The one JSON document of `--json`, on standard output."""
    print(plain(json.dumps(document, ensure_ascii=False, indent=2), lines=True))


def note(line: str) -> None:
    """A line for a person that is no result, on standard error."""
    print(plain(line, lines=True), file=sys.stderr, flush=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under their headings."""
    rows = [[plain(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _coloured(columns, rows)
    else:
        _plain([columns, *rows])


def pairs(rows: Sequence[tuple[str, str]]) -> None:
    """Names and values, one a line, without a heading."""
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        print(f"{name:<{width}}  {plain(value)}".rstrip())


def _coloured(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    # Only a terminal pays for it.
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    Console().print(shown)


def _plain(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def since(moment: str, now: float) -> str:
    """How long ago an RFC 3339 time in UTC was: `42s`, `7m`, `3h`, `12d`; `-` if there is none."""
    try:
        then = timegm(time.strptime(moment, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        return "-"
    seconds = max(0, int(now - then))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size or (unit == "d" and seconds >= size):
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def seconds_of(text: str) -> float:
    """`90`, `90s`, `15m`, `1h30m`, `2d` in seconds.

    Raises:
        ValueError: it is no duration.
    """
    found = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", text.strip())
    if found is None or not any(found.groups()):
        raise ValueError(f"[{text}] is no duration such as 90s, 15m or 1h")
    days, hours, minutes, rest = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + rest)
