"""How each language writes a value that JSON can hold, and every text in it so that it means just that."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pierhead.web.samples.layout import Group, Node, Part

#: What an editor or a lexer takes for the end of a line, or cannot show. Other characters stay as they are.
_UNSHOWN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)
_NAME = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_INT32, _INT64 = 2**31, 2**63


@dataclass(frozen=True, slots=True)
class Spelling:
    """The words of a language for values."""

    text: Callable[[str], str]
    number: Callable[[int | float], str]
    words: tuple[str, str, str]  #: true, false, nothing
    array: tuple[str, str]
    map: tuple[str, str]
    entry: Callable[[str], tuple[str, str]]  #: key -> what stands before and after its value
    no_array: str = ""  #: "" = the brackets of `array`
    no_map: str = ""
    trailing: bool = True
    spaced: bool = False
    aligned: bool = False

    def node(self, value: Any) -> Node:
        """The value as code."""
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, bool):
            return self.words[2 if value is None else 1 - value]
        if isinstance(value, int | float):
            return self.number(value)
        return self._group(value)

    def _group(self, value: Any) -> Node:
        if isinstance(value, Mapping):
            fields = cast(Mapping[str, Any], value)
            parts = tuple(self._part(key, field) for key, field in fields.items())
            return self.grouped(self.map, parts) if parts else self.no_map or "".join(self.map)
        items = tuple(Part(self.node(item)) for item in cast(Sequence[Any], value))
        return self.listed(items) if items else self.no_array or "".join(self.array)

    def _part(self, key: str, value: Any) -> Part:
        before, after = self.entry(key)
        return Part(self.node(value), before, after)

    def listed(self, parts: tuple[Part, ...]) -> Group:
        """A list of what `parts` say."""
        return Group(*self._around(self.array, parts), trailing=self.trailing)

    def grouped(self, around: tuple[str, str], parts: tuple[Part, ...]) -> Group:
        """Entries between brackets, laid out as the language does."""
        return Group(
            *self._around(around, parts),
            trailing=self.trailing,
            spaced=self.spaced,
            aligned=self.aligned,
        )

    def called(self, around: tuple[str, str], parts: tuple[Part, ...]) -> Group:
        """A call: arguments between round brackets."""
        return Group(*self._around(around, parts), trailing=self.trailing)

    def _around(
        self, brackets: tuple[str, str], parts: tuple[Part, ...]
    ) -> tuple[str, tuple[Part, ...], str]:
        return brackets[0], parts, brackets[1]


def _escaped(
    text: str, special: Mapping[str, str], unshown: Callable[[int], str], also: str = ""
) -> str:
    """`text` with every special and every unshown character replaced."""
    pattern = re.compile(f"{_UNSHOWN.pattern}|[{re.escape(''.join(special) + also)}]")

    def replaced(found: re.Match[str]) -> str:
        character = found[0]
        return special.get(character) or _SHORT.get(character) or unshown(ord(character))

    return pattern.sub(replaced, text)


def _u4(code: int) -> str:
    return f"\\u{code:04x}"


_QUOTED = {'"': '\\"', "\\": "\\\\"}


def _double(text: str) -> str:
    return f'"{_escaped(text, _QUOTED, _u4)}"'


def _either(text: str) -> str:
    """Single quotes where that saves escapes, as formatters of Python and TypeScript have it."""
    if '"' not in text or "'" in text:
        return _double(text)
    return "'" + _escaped(text, {"\\": "\\\\"}, _u4) + "'"


def _octal(code: int) -> str:
    # Java reads \uXXXX before it knows of strings: \u000a would end the line.
    return f"\\{code:03o}" if code < 0x100 else _u4(code)


def _java(text: str) -> str:
    return f'"{_escaped(text, _QUOTED, _octal)}"'


def _php(text: str) -> str:
    if _UNSHOWN.search(text) is None:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    escaped = _escaped(text, {**_QUOTED, "$": "\\$"}, lambda code: f"\\u{{{code:x}}}")
    return f'"{escaped}"'


def shell(text: str) -> str:
    """One word of /bin/sh. It cannot hold NUL: the caller sees to that."""
    return "'" + text.replace("'", "'\\''") + "'"


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON, characters as they are; on one line without spaces if `indent` is None."""
    separators = (",", ":") if indent is None else None
    return json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)


def _plain_number(value: int | float) -> str:
    return json.dumps(value)


def _java_number(value: int | float) -> str:
    if isinstance(value, float) or abs(value) < _INT32:
        return json.dumps(value)
    return f"{value}L" if abs(value) < _INT64 else f'new java.math.BigInteger("{value}")'


def _go_number(value: int | float) -> str:
    whole = isinstance(value, int)
    return json.dumps(value) if not whole or abs(value) < _INT64 else f"{value}.0"


def _csharp_number(value: int | float) -> str:
    whole = isinstance(value, int)
    return json.dumps(value) if not whole or abs(value) < _INT64 else f"{value}m"


def _typescript_key(key: str) -> tuple[str, str]:
    if key == "__proto__":  # as a plain key it would be the prototype, not a field
        return '["__proto__"]: ', ""
    return f"{key if _NAME.fullmatch(key) else _double(key)}: ", ""


def _before(quoted: Callable[[str], str], form: str) -> Callable[[str], tuple[str, str]]:
    before, _, after = form.partition("=")
    return lambda key: (before.replace("KEY", quoted(key)), after)


PYTHON = Spelling(
    text=_either,
    number=_plain_number,
    words=("True", "False", "None"),
    array=("[", "]"),
    map=("{", "}"),
    entry=_before(_either, "KEY: ="),
)
TYPESCRIPT = Spelling(
    text=_either,
    number=_plain_number,
    words=("true", "false", "null"),
    array=("[", "]"),
    map=("{", "}"),
    entry=_typescript_key,
    spaced=True,
)
JAVA = Spelling(
    text=_java,
    number=_java_number,
    words=("true", "false", "null"),
    array=("Arrays.asList(", ")"),
    map=("TeaConverter.buildMap(", ")"),
    entry=_before(_java, "new TeaPair(KEY, =)"),
    trailing=False,
)
GO = Spelling(
    text=_double,
    number=_go_number,
    words=("true", "false", "nil"),
    array=("[]interface{}{", "}"),
    map=("map[string]interface{}{", "}"),
    entry=_before(_double, "KEY: ="),
    aligned=True,
)
PHP = Spelling(
    text=_php,
    number=_plain_number,
    words=("true", "false", "null"),
    array=("[", "]"),
    map=("[", "]"),
    entry=lambda key: (f"{_php(key)} => ", ""),
    no_map="new \\stdClass()",
)
CSHARP = Spelling(
    text=_double,
    number=_csharp_number,
    words=("true", "false", "null"),
    array=("new List<object> { ", " }"),
    map=("new Dictionary<string, object> { ", " }"),
    entry=_before(_double, "{ KEY, = }"),
    no_array="new List<object>()",
    no_map="new Dictionary<string, object>()",
)
