"""A browser at the console, as far as its own paths go: it keeps the cookie and repeats the CSRF token."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from running_platform import Platform


class Browser(requests.Session):
    """Logged in; `post` and `get` take paths."""

    def __init__(self, platform: Platform, **proof: str) -> None:
        """`proof`: UserName and Password, AccessKeyId and AccessKeySecret, or Ticket."""
        super().__init__()
        self._base = platform.eas
        answer = self.post("/console/api/login", json=proof, headers={"X-Pierhead-Console": "1"})
        assert answer.status_code == 200, answer.text
        self.headers["X-Pierhead-Csrf"] = answer.json()["Csrf"]

    def request(self, method: Any, url: Any, *args: Any, **more: Any) -> requests.Response:
        return super().request(method, f"{self._base}{url}", *args, timeout=30, **more)


@contextmanager
def browser(platform: Platform) -> Iterator[Browser]:
    """The account's own."""
    login = platform.credentials["zstack"]
    with Browser(platform, UserName=login["account"], Password=login["password"]) as found:
        yield found
