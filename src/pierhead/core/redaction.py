"""What may be written down of a text or a request that came from outside: one line, and no secrets.

Whoever writes logs or the audit trail uses this; `core.secrecy` is about environments and commands.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

MASK = "***"
#: Names of values that are secret. Numbers stay: `completion_tokens=12` is a figure.
SECRET_NAME = re.compile(
    r"secret|token|session_?(?:uu)?id|authori[sz]ation|dockerauth|passw|api_?key|private_?key|credential|cookie|signature$",
    re.IGNORECASE,
)
_WORD = r"(?:secret|token|password|api[_-]?key)"
#: Secrets inside running text: header values, query strings, options, URLs with a password. Each
#: repetition before the secret has an end: a hostile text costs no more than its length.
_SECRET_TEXT = re.compile(
    r"(?P<lead>\b(?:Bearer|OAuth)\s{1,8}|\bEAS\s{1,8}(?=[\w+/]{20})|\bSignature="
    r"|\bacs\s{1,8}[^:\s]{1,256}:"
    rf"|{_WORD}[\w-]{{0,64}}[\"']?\s{{0,8}}[=:]\s{{0,8}}[\"']?"
    rf"|(?:(?<=-)|-[\w-]{{1,64}}?){_WORD}\s{{1,8}}"
    r"|://[^/\s:@]{1,256}:)(?P<secret>[^\s\"'&,;@]{4,})",
    re.IGNORECASE,
)
#: Every one of the words above has one of these in it: most texts need no second look.
_HINT = re.compile(r"secret|token|passw|api|bearer|oauth|eas|signature|acs|://", re.IGNORECASE)
#: What starts a new line, moves a terminal's cursor or turns the reading direction.
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
#: Values whose text may hold secrets in any form: shown by their size and digest only.
_OPAQUE = re.compile(
    r"^(?:env\w*|yaml|script|command|args|\w*commands?|\w*args|content|service_?document|opaque\w*|user_?data)$",
    re.IGNORECASE,
)
#: Policies: who reads the trail wants to know what they said.
_DOCUMENT = re.compile(r"^(?:\w*policy_?document|policy)$", re.IGNORECASE)
_LONGEST, _MOST, _DEEPEST = 200, 20, 6


def masked_text(text: str) -> str:
    """`text` with every recognisable secret replaced."""
    if _HINT.search(text) is None:
        return text
    return _SECRET_TEXT.sub(lambda found: found["lead"] + MASK, text)


def one_line(text: str, longest: int = 0) -> str:
    """`text` with control characters as `\\n`, `\\x1b`; cut after `longest` characters (0 = not)."""
    if longest and len(text) > longest:
        text = text[: longest - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub(_escaped, text)


def redacted(value: object, name: str = "", depth: int = 0) -> Any:
    """A JSON value for the audit trail: secrets masked by name, long texts and lists shortened.

    Environments, commands and documents are shown by size and digest: a secret in them has no name.
    """
    if isinstance(value, bool | int | float) or value is None:
        return value
    kind = _kind(name)
    if kind == "secret":
        return MASK if value else ""
    if kind == "opaque":
        return _digest(value)
    if isinstance(value, str):
        if kind == "document":
            return _shown(value, _LONGEST * 10)
        long = "\n" in value.strip()
        return _digest(value) if long else _shown(value, _LONGEST)
    return _inside(value, depth) if depth < _DEEPEST else "…"


def _shown(value: str, longest: int) -> str:
    """What is masked may become shorter: more than is shown is looked at."""
    return one_line(masked_text(value[: 2 * longest]), longest)


@lru_cache(4096)
def _kind(name: str) -> str:
    """`secret`, `opaque`, `document`, or ""."""
    if SECRET_NAME.search(name):
        return "secret"
    if _OPAQUE.match(name):
        return "opaque"
    return "document" if _DOCUMENT.match(name) else ""


def _inside(value: object, depth: int) -> Any:
    if isinstance(value, Mapping):
        return _mapping(cast("Mapping[object, object]", value), depth)
    items = cast("Sequence[object]", value) if isinstance(value, Sequence) else [str(value)]
    shown = [redacted(item, "", depth + 1) for item in items[:_MOST]]
    return [*shown, f"… {len(items) - _MOST} more"] if len(items) > _MOST else shown


def _mapping(value: Mapping[object, object], depth: int) -> dict[str, Any]:
    # `{"name": "HF_TOKEN", "value": "..."}`: the value's own name stands beside it.
    named = value.get("name") or value.get("Name") or value.get("key") or value.get("Key") or ""
    shown: dict[str, Any] = {}
    for index, (key, item) in enumerate(value.items()):
        if index == _MOST * 2:
            shown["…"] = f"{len(value) - index} more"
            break
        name = _ends(str(key))
        beside = _ends(str(named)) if name.lower() == "value" else ""
        inner = redacted(item, beside if _kind(beside) == "secret" else name, depth + 1)
        shown[one_line(name, 64)] = inner
    return shown


def _ends(name: str) -> str:
    """A name that is too long to be one, by its ends: they say whether it holds a secret."""
    return name if len(name) <= _LONGEST else name[: _LONGEST // 2] + name[-_LONGEST // 2 :]


def _digest(value: object) -> str:
    """Enough to tell whether it is the same as another time, and no more."""
    if value in ("", [], {}):
        return ""
    text = value if isinstance(value, str) else repr(value)
    found = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
    return f"({len(text)} characters, SHA-256 {found}…)"


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    short = {9: "\\t", 10: "\\n", 13: "\\r"}.get(number)
    return short or (f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}")
