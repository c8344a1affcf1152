"""What the hub asked of the API server, by the server's own book: each request with its time."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

#: Objects are named by their service's id, lists of one service's objects select by it.
_SERVICE = re.compile(r"(?:/ph-|service-id(?:%3D|=))([0-9a-f]{8,})")
_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True)
class Request:
    """One that was answered; of a watch, one that has ended."""

    at: float  #: seconds since 1970, when it was answered
    verb: str  #: `get`, `list`, `watch`, `create`, `patch`, `delete`
    what: str  #: `deployments`, `pods/log`
    service: str  #: id of the service that it is about; "" = of none in particular
    code: int

    @property
    def writes(self) -> bool:
        """Does it change something?"""
        return self.verb in _WRITES


class Book:
    """Reads on where it stopped reading."""

    def __init__(self, file: Path) -> None:
        self._file, self._read = file, 0

    def news(self) -> list[Request]:
        """Requests that were answered since the last call."""
        with self._file.open("rb") as book:
            book.seek(self._read)
            text = book.read()
        whole = text.rpartition(b"\n")[0] + b"\n" if b"\n" in text else b""
        self._read += len(whole)
        return [_request(json.loads(line)) for line in whole.splitlines()]


def _request(event: dict[str, Any]) -> Request:
    about = event.get("objectRef", {})
    part = f"/{about['subresource']}" if "subresource" in about else ""
    found = _SERVICE.search(event["requestURI"])
    return Request(
        at=datetime.fromisoformat(event["stageTimestamp"].replace("Z", "+00:00")).timestamp(),
        verb=event["verb"],
        what=f"{about.get('resource', event['requestURI'].partition('?')[0])}{part}",
        service=found[1] if found else "",
        code=event.get("responseStatus", {}).get("code", 0),
    )


def told(requests: Iterable[Request]) -> str:
    """`patch deployments 3, list pods 1`: what was asked, most often first."""
    count: dict[str, int] = {}
    for each in requests:
        name = f"{each.verb} {each.what}"
        count[name] = count.get(name, 0) + 1
    return ", ".join(f"{name} {count[name]}" for name in sorted(count, key=lambda n: -count[n]))
