"""Words that are looked for in what a program wrote, at a cost that follows its length.

A program may write anything: lines are cut, and a pattern is tried only on lines that hold a text
which every match of it has.
"""

import re
from dataclasses import dataclass
from functools import cached_property

LONGEST = 400  #: characters of a line that are read
_BEFORE, _AFTER = 1, 4  #: lines around it that a phrase over several lines may reach
#: The parts of a regular expression: what is escaped, a class, a group's begin, a count, a sign.
_PARTS = re.compile(
    r"\\(?P<escaped>.)|(?P<class>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<open>\((?:\?P<\w+>|\?[:=!]|\?<[=!])?)"
    r"|(?P<count>[?*]|\{[^}]*\})|(?P<sign>.)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Phrase:
    """A pattern, and what has to be there for it; compiled when it is needed first."""

    source: str
    sure: str  #: a text in small letters that every match holds; "" when there is none
    wide: bool  #: it goes over several lines

    @cached_property
    def words(self) -> re.Pattern[str]:
        """The pattern: heeds no case."""
        return re.compile(self.source, re.IGNORECASE | re.MULTILINE)

    def search(self, text: str, small: str) -> re.Match[str] | None:
        """Its first match in lines; `small` = `in_small(text)`."""
        at = small.find(self.sure)
        while at >= 0:
            start, end = self._around(text, at)
            found = self.words.search(text, start, end)
            if found is not None:
                return found
            line_end = text.find("\n", at)
            at = small.find(self.sure, line_end + 1) if line_end >= 0 else -1
        return None

    def _around(self, text: str, at: int) -> tuple[int, int]:
        start, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
        if self.wide:
            for _ in range(_BEFORE):
                start = text.rfind("\n", 0, max(0, start - 1)) + 1
            for _ in range(_AFTER):
                end = text.find("\n", end + 1) if end >= 0 else end
        return start, end if end >= 0 else len(text)


def phrase(words: str) -> Phrase:
    """From a regular expression that heeds no case."""
    sure, wide = _sure(words)
    return Phrase(words, sure, wide)


def in_small(text: str) -> str:
    """`text` in small letters, as long as before: one capital letter becomes two signs otherwise."""
    return text.replace("İ", "I").lower()


def cut(text: str, longest: int = LONGEST) -> str:
    """A text as it is read: of a long one the head, and the tail, which may say how it ends."""
    if len(text) <= longest:
        return text
    head = longest * 3 // 4
    return f"{text[:head]} … {text[head + 3 - longest :]}"


def _sure(words: str) -> tuple[str, bool]:
    """The longest text outside of groups that is neither optional nor one of several, and does it go over lines."""
    runs, depth, wide = [""], 0, False
    for part in _PARTS.finditer(words):
        sign = part["sign"] or ""
        if part["escaped"]:
            wide = wide or part["escaped"] == "n"
            sign = "" if part["escaped"].isalnum() else part["escaped"]
        elif sign == "|" and depth == 0:
            return "", wide
        elif sign in {".", "^", "$", "+", ")", "|"}:
            depth -= sign == ")"
            sign = ""
        depth += part["open"] is not None
        if part["count"]:
            runs[-1] = runs[-1][:-1]
        if sign and depth == 0:
            runs[-1] += sign
        else:
            runs.append("")
    return in_small(max(runs, key=len)), wide
