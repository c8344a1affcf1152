"""One field of a form (`multipart/form-data`), found without taking the rest of it apart. Pure."""

import re
from typing import Final

_KIND: Final = b"multipart/form-data"
_BOUNDARY: Final = re.compile(
    rb';[ \t]*boundary=(?:"([^"\r\n]{1,70})"|([^\s";]{1,70}))', re.IGNORECASE
)
_NAME: Final = re.compile(rb';[ \t]*name="?([^";\r\n]*)"?', re.IGNORECASE)
_DISPOSITION: Final = b"content-disposition:"
_HEAD: Final = 4096  #: bytes of the headers of one part
_LONGEST: Final = 1024  #: bytes of a value that is read
_MOST: Final = 64  #: parts that are looked at


class Span:
    """Where a value lies in a form."""

    __slots__ = ("end", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end

    def text(self, body: bytes) -> str | None:
        """The value; None if it is no text."""
        try:
            return body[self.start : self.end].decode()
        except UnicodeDecodeError:
            return None


def delimiter(content_type: bytes) -> bytes:
    """What stands before each part of a body of this type; b"" if it is no form."""
    if content_type[: len(_KIND)].lower() != _KIND:
        return b""
    found = _BOUNDARY.search(content_type)
    return b"--" + (found[1] or found[2]) if found else b""


def field(body: bytes, form: bytes, name: bytes) -> Span | None:
    """The one field of this name; None if there is none, if there are several, or if it is no short text.

    `form`: what stands before each part.
    """
    found: Span | None = None
    at = 0 if body.startswith(form) else body.find(b"\r\n" + form)
    for _ in range(_MOST):
        begins = body.find(b"\r\n", at + len(form))
        if at < 0 or begins < 0:
            break
        # An empty line ends a part's headers; of one without any it is the first.
        end = body.find(b"\r\n\r\n", begins, begins + _HEAD)
        after = body.find(b"\r\n" + form, max(end, begins))
        if end >= 0 and after >= 0 and _is_named(body[begins:end], name):
            if found is not None or after - end - 4 > _LONGEST:
                return None
            found = Span(end + 4, after)
        at = after + 2 if after >= 0 else -1
    return found


def _is_named(head: bytes, name: bytes) -> bool:
    """Is this the head of a part that is the field, and no file?"""
    for line in head.split(b"\r\n"):
        if line[: len(_DISPOSITION)].lower() == _DISPOSITION:
            given = _NAME.search(line)
            return given is not None and given[1] == name and b"filename" not in line
    return False
