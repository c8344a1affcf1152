"""A stream that flows: what one token costs.

A gateway wakes for each token, and finds nothing of what it needs in the processor's caches. So what it
does there touches as little as may be: everything else about a token is done for many at once, later.
Two tokens of a stream differ in little but their text: what stands around that is read once.
"""

import re
from collections.abc import Callable
from time import monotonic
from typing import Final

#: The last event, `[DONE]`, is shorter than any that has a token.
_SHORTEST: Final = 32
_LARGEST: Final = 4096  #: bytes of a chunk with its frame
_BACKSLASH: Final = 92
_LINE_FEED: Final = 10
_QUOTE: Final = 34
#: What the text of a token follows.
_TEXT: Final = re.compile(rb'"(?:content|text|reasoning_content|arguments)": ?"')
#: Of one stream. One whose events differ in more than a text is not learnt from for ever.
_MOST_LEARNT: Final = 16


def _beginning(size: int) -> bytes:
    """How a chunk begins that has so many bytes with its frame; nothing begins a chunk that is too small."""
    for digits in (1, 2, 3):
        inside = size - digits - 4
        if inside > 0 and len(b"%x" % inside) == digits:
            return b"%x\r\n" % inside
    return b"\n"


_BEGINNINGS: Final = [_beginning(size) for size in range(_LARGEST)]


class Steady:
    """Passes on chunks that are one event each and tell no more than a token."""

    __slots__ = ("_after", "_before", "_learnt", "_write", "last", "passed")

    def __init__(self, write: Callable[[bytes], None]) -> None:
        """`write`: to the client."""
        self._write = write
        self._before = self._after = b""  # what stands around a token's text; its quotes, too
        self._learnt = 0
        self.passed = 0  #: since this was last asked
        self.last = 0.0  #: when the last one came, in monotonic seconds

    def passes(self, data: bytes) -> bool:
        """Passes on a whole chunk with its frame, which begins where `data` does; False if it is another."""
        size = len(data)
        if size >= _LARGEST:
            return False
        beginning, before, after = _BEGINNINGS[size], self._before, self._after
        begins = len(beginning)
        text, ends = begins + len(before), size - len(after)
        known = text > begins and text <= ends and data.startswith(beginning)
        known = known and data.endswith(after) and data[begins:text] == before
        if not (known and _is_text(data[text:ends])):
            if not _is_token(data, beginning):
                return False
            if not known and self._learnt < _MOST_LEARNT:
                self._learn(data, begins)
        self.last = monotonic()
        self.passed += 1
        self._write(data)
        return True

    def _learn(self, data: bytes, begins: int) -> None:
        """The next one is known by what stands around the text of this one."""
        self._learnt += 1
        found = _TEXT.search(data)
        if found is None:
            return
        text = found.end()
        end = data.find(b'"', text)
        if end < 0 or data[end - 1] == _BACKSLASH:
            return
        self._before, self._after = data[begins:text], data[end:]


def _is_token(data: bytes, beginning: bytes) -> bool:
    """Is it such a chunk? All of it is looked at."""
    size = len(data)
    if size < _SHORTEST or not data.startswith(beginning) or data.find(b"\n\n") != size - 4:
        return False
    # With `in` Python 3.11 makes up an error first, and throws it away.
    return data.find(b'"usage"') < 0 or data.find(b'"usage":null') >= 0


def _is_text(text: bytes) -> bool:
    """Nothing but a part of a string can be this: it has no end of one, and no line's end."""
    return _QUOTE not in text and _LINE_FEED not in text
