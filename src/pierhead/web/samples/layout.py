"""How code with brackets in it is laid out: on one line where it fits, else an entry a line."""

import re
from dataclasses import dataclass
from itertools import groupby

WIDTH = 88  #: columns that a line of a sample may fill
_SLOT = re.compile(r"@(\w+)@")


@dataclass(frozen=True, slots=True)
class Part:
    """One entry between brackets."""

    node: "Node"
    before: str = ""  #: a key with what follows it: `"name": `
    after: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Brackets with entries."""

    open: str
    parts: tuple[Part, ...]
    close: str
    trailing: bool = True  #: a comma after the last entry, if each has a line of its own
    spaced: bool = False  #: spaces within the brackets, on one line
    aligned: bool = False  #: values of neighbouring lines start in one column, as gofmt has it
    broken: bool = False  #: never on one line


Node = str | Group


def text(node: Node, unit: str, depth: int = 0, used: int = 0) -> str:
    """The code of a node.

    unit: one step of indentation.
    depth: steps of the line that it starts on.
    used: columns of that line before it.
    """
    if isinstance(node, str):
        return node
    line = _line(node)
    if line is not None and used + len(line) + 1 <= WIDTH:
        return line
    lines = _aligned(node, unit, depth) if node.aligned else _lines(node, unit, depth)
    if not node.trailing:
        lines[-1] = lines[-1].removesuffix(",")
    return "\n".join((node.open.rstrip(), *lines, unit * depth + node.close.lstrip()))


def _line(node: Node) -> str | None:
    """All of it on one line; None if it does not go there."""
    if isinstance(node, str):
        return None if "\n" in node else node
    if node.broken:
        return None
    parts: list[str] = []
    for part in node.parts:
        inner = _line(part.node)
        if inner is None:
            return None
        parts.append(f"{part.before}{inner}{part.after}")
    room = " " if node.spaced and parts else ""
    return f"{node.open}{room}{', '.join(parts)}{room}{node.close}"


def _lines(node: Group, unit: str, depth: int) -> list[str]:
    return [_entry(part, part.before, unit, depth + 1) for part in node.parts]


def _entry(part: Part, before: str, unit: str, depth: int) -> str:
    lead = unit * depth + before
    used = len(lead.expandtabs(4)) + len(part.after)
    return f"{lead}{text(part.node, unit, depth, used)}{part.after},"


def _aligned(node: Group, unit: str, depth: int) -> list[str]:
    """Entries of several lines end a run of values that start in one column."""
    lines = _lines(node, unit, depth)
    result: list[str] = []
    for several, run in groupby(
        zip(node.parts, lines, strict=True), key=lambda pair: "\n" in pair[1]
    ):
        pairs = list(run)
        widest = 0 if several else max(len(part.before) for part, _ in pairs)
        result += [
            line if several else _entry(part, part.before.ljust(widest), unit, depth + 1)
            for part, line in pairs
        ]
    return result


def filled(template: str, **values: str) -> str:
    """`template` with each `@name@` replaced, once: what a value holds stays as it is."""
    return _SLOT.sub(lambda found: values[found[1]], template)
