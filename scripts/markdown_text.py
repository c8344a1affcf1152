"""Pieces of Markdown that the generated pages are made of."""

from collections.abc import Iterable


def cell(text: object) -> str:
    """Text for a table's cell: one line, no bar that would end it, nothing read as HTML."""
    line = " ".join(str(text).split()).replace("|", "\\|")
    # Every second piece stands between backticks, where a browser sees text only.
    pieces = enumerate(line.split("`"))
    return "`".join(piece if at % 2 else piece.replace("<", "&lt;") for at, piece in pieces)


def table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    """A Markdown table; an empty one says so."""
    lines = ["| " + " | ".join(cell(part) for part in row) + " |" for row in rows]
    if not lines:
        return "None.\n"
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *lines]) + "\n"


def code(text: object) -> str:
    """Inline code, or nothing for nothing."""
    return f"`{text}`" if str(text) else ""
