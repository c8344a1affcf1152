"""YAML texts of strangers as plain trees: bounded in size, depth and number of values, no aliases.

Scalars stay texts (`1.10` is no number here, `no` no boolean), so nothing is ever computed from
them; an empty one is None. A text that has lost its indentation is repaired once.
"""

from dataclasses import dataclass, field
from typing import Any, cast

import yaml

from pierhead.core.errors import Invalid
from pierhead.operations.yaml_repair import restored

LIMIT = 1024 * 1024  #: bytes
DEPTH = 20
#: Values and keys: one MiB of tiny ones would hold the hub up for seconds.
VALUES = 20_000
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: Tags that change nothing: a scalar is a text, whatever it is called.
_TAGS = frozenset(
    f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map")
) | {None, "!"}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})

#: A text, None, a list of trees, or a mapping of text to trees.
Tree = Any


class Plain(str):
    """A text that stood there without quotes: written back, it looks as it did."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    pass


def _represented(dumper: Any, text: Plain) -> yaml.ScalarNode:
    tag = dumper.resolve(yaml.ScalarNode, str(text), (True, False))
    return dumper.represent_scalar(tag, str(text))


_Dumper.add_representer(Plain, _represented)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A parsed text. `lines` tells where a mapping's entry stands, by its dotted path."""

    tree: Tree
    repaired: bool = False
    lines: dict[str, int] = field(default_factory=dict[str, int])


class _Unparsable(Exception):
    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def load(text: str) -> Loaded:
    """The tree in a YAML text.

    Raises:
        Invalid: `yaml` is too large or too deep, has aliases or foreign tags, or cannot be parsed
            nor repaired; the message names the line.
    """
    if len(text) > LIMIT or len(text.encode(errors="replace")) > LIMIT:
        raise Invalid("yaml", f"it is {len(text)} characters long", f"at most {LIMIT} bytes")
    try:
        loaded = _parsed(text)
    except _Unparsable as broken:
        found = restored(text, _inline)
        if found is None:
            raise Invalid("yaml", broken.problem) from broken
        return Loaded(found, repaired=True)
    if _has_lost_its_indentation(loaded.tree):
        found = restored(text, _inline)
        return loaded if found is None else Loaded(found, repaired=True)
    return loaded


def dumped(tree: Tree) -> str:
    """A tree as block YAML, keys in their order."""
    return yaml.dump(
        tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False
    )


def _parsed(text: str) -> Loaded:
    if text.count("\n%") > 1:  # each directive is compared with all before it
        raise Invalid("yaml", "it has directives (lines that begin with %)")
    try:
        events = yaml.parse(text, Loader=_LOADER)
        return _Builder().built(events)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # libyaml counts a line more at the end of a text that lacks its last line feed.
        last = text.count("\n") + 1
        where = f"line {min(mark.line + 1, last)}: " if mark is not None else ""
        raise _Unparsable(f"{where}{error.problem or error.context or 'it is no YAML'}") from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise _Unparsable(_line_of_stray(text)) from error


def _line_of_stray(text: str) -> str:
    """Where the first character stands that no YAML text may have."""
    for number, line in enumerate(text.split("\n"), 1):
        if any(not (letter.isprintable() or letter in "\t\r") for letter in line):
            return f"line {number}: it has a character that YAML does not allow"
    return "line 1: it is no YAML"


@dataclass(slots=True)
class _Builder:
    """Builds a tree from parser events, with an open list or mapping per level."""

    count: int = 0
    documents: int = 0
    root: Tree = None
    #: (container, key that waits for its value, path)
    stack: list[tuple[Tree, str | None, str]] = field(
        default_factory=list[tuple[Tree, "str | None", str]]
    )
    lines: dict[str, int] = field(default_factory=dict[str, int])

    def built(self, events: Any) -> Loaded:
        for event in events:
            line = event.start_mark.line + 1
            match event:
                case yaml.DocumentStartEvent():
                    self._document(line)
                case yaml.AliasEvent():
                    raise Invalid(
                        "yaml", f"line {line}: it has an alias (*{(event.anchor or '')[:40]})"
                    )
                case yaml.ScalarEvent():
                    self._check(event, line)
                    self._put(_scalar(event), line)
                case yaml.SequenceStartEvent():
                    self._check(event, line)
                    self._open([], line)
                case yaml.MappingStartEvent():
                    self._check(event, line)
                    self._open({}, line)
                case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                    self.stack.pop()
                case _:
                    pass
        return Loaded(self.root, lines=self.lines)

    def _document(self, line: int) -> None:
        self.documents += 1
        if self.documents > 1:
            raise Invalid("yaml", f"line {line}: a second document begins", "one document")

    def _check(self, event: Any, line: int) -> None:
        self.count += 1
        if event.anchor is not None:
            raise Invalid("yaml", f"line {line}: it has an anchor (&{event.anchor[:40]})")
        if event.tag not in _TAGS:
            raise Invalid("yaml", f"line {line}: it has the tag {event.tag[:80]}")
        if self.count > VALUES:
            raise Invalid("yaml", f"line {line}: it has more than {VALUES} values")

    def _open(self, container: Tree, line: int) -> None:
        path = self._put(container, line)
        if len(self.stack) >= DEPTH:
            raise Invalid("yaml", f"line {line}: it is deeper than {DEPTH} levels")
        self.stack.append((container, None, path))

    def _put(self, value: Tree, line: int) -> str:
        """Put a value into what is open; gives its path."""
        if not self.stack:
            self.root = value
            return ""
        container, key, path = self.stack[-1]
        if isinstance(container, list):
            entries = cast("list[Tree]", container)
            entries.append(value)
            return f"{path}[{len(entries) - 1}]"
        if key is None:
            self.stack[-1] = (container, self._key(value, line), path)
            self.lines[_under(path, str(value))] = line
            return ""
        container[key] = value
        self.stack[-1] = (container, None, path)
        return _under(path, key)

    def _key(self, value: Tree, line: int) -> str:
        if isinstance(value, list | dict):
            raise Invalid("yaml", f"line {line}: a key is no text")
        return value or ""


def _under(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _scalar(event: Any) -> str | None:
    """The text of a scalar; None for an unquoted empty one."""
    value: str = event.value
    if not event.implicit[0]:
        return value
    return None if value in _NULLS else Plain(value)


def _has_lost_its_indentation(tree: Tree) -> bool:
    """Does it parse, but with what belongs to a service beside the services?"""
    services = cast("dict[str, Tree]", tree).get("services") if isinstance(tree, dict) else None
    if not isinstance(services, list):
        return False
    return not all(isinstance(service, dict) for service in cast("list[Tree]", services))


def _inline(value: str) -> Tree:
    """A value of one line; one that cannot be read stands for itself."""
    try:
        return _parsed(value).tree
    except _Unparsable:
        return value
