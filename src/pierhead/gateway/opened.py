"""What an engine answers to a request whose reply has begun as a stream, while its replica was still starting."""

import json
from typing import Protocol

from pydantic_core import from_json

_MOST = 64 * 1024  #: bytes of an answer that are told


class Passes(Protocol):
    """What an answer's body goes through on its way."""

    def passed(self, data: bytes, *, last: bool) -> bytes:
        """What can go to the client by now."""
        ...


class AsEvent:
    """Tells an answer that is no stream, an error as a rule, as the one event of the stream."""

    def __init__(self, status: int, before: Passes | None = None) -> None:
        """`before`: what it goes through first."""
        self._status, self._before = status, before
        self._text = b""

    def passed(self, data: bytes, *, last: bool) -> bytes:
        """Nothing, until it is whole."""
        if self._before is not None:
            data = self._before.passed(data, last=last)
        if len(self._text) < _MOST:
            self._text += data
        return b"data: %b\n\n" % self._event() if last else b""

    def _event(self) -> bytes:
        try:
            document: object = from_json(self._text)
        except ValueError:
            document = None
        if isinstance(document, dict):
            return json.dumps(document).encode()  # in one line
        kind = "invalid_request_error" if self._status < 500 else "server_error"
        message = self._text[:_MOST].decode("utf-8", "replace")
        error = {"message": message, "type": kind, "code": self._status}
        return json.dumps({"error": error}).encode()
