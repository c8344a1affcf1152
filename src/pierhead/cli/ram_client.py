"""The hub's RAM and STS APIs and its own, as the verbs about what they manage call them."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from pierhead.cli.client import EasClient, Json, find_access

RAM, STS, NATIVE = "2015-05-01", "2015-04-01", "2026-11-01"
_PAGE = "100"


class RamClient(EasClient):
    """Calls actions by name; every answer is a JSON object. Raises as `EasClient`."""

    def act(self, action: str, version: str = RAM, **parameters: str) -> Json:
        """One call; empty parameters are left out."""
        return self.call(action, "POST", "/", query=parameters, version=version)

    def own(self, action: str, **parameters: str) -> Json:
        """One call of an operation that is ours, not the vendor's."""
        return self.act(action, NATIVE, **parameters)

    def all(self, action: str, kind: str, version: str = RAM, **parameters: str) -> Iterator[Json]:
        """All items of a list, such as `Users` of `User`, page by page."""
        marker = ""
        while True:
            answer = self.act(action, version, **parameters, Marker=marker, MaxItems=_PAGE)
            several, one = kind.split("/")
            yield from cast("list[Json]", answer.get(several, {}).get(one, []))
            marker = str(answer.get("Marker") or "")
            if not answer.get("IsTruncated") or not marker:
                return


def connect(data_dir: Path | None, endpoint: str | None) -> RamClient:
    """The client of the hub that the options name.

    Raises:
        NoAccess: no endpoint or key is known.
    """
    return RamClient(find_access(data_dir, endpoint))


def is_system(client: RamClient, policy: str) -> bool:
    """Is it one of the policies that come with the platform?"""
    shipped = client.all("ListPolicies", "Policies/Policy", PolicyType="System")
    return any(item["PolicyName"] == policy for item in shipped)
