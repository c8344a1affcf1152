"""The operations on groups: services behind one endpoint, and each one's share of its traffic."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from pierhead.core.errors import Missing
from pierhead.core.principals import Principal
from pierhead.core.services import Service
from pierhead.core.shares import Mode
from pierhead.dialects.eas import listing, present
from pierhead.dialects.eas.app import Call, Handler
from pierhead.dialects.eas.present import View
from pierhead.operations import groups, rights
from pierhead.operations.groups import Group, Wish
from pierhead.operations.platform import Platform

Answer = dict[str, Any]
_SORTS: Mapping[str, Callable[[Group], Any]] = {
    "createtime": lambda group: (group.created, group.name),
    "updatetime": lambda group: (group.updated, group.name),
    "name": lambda group: group.name,
    "groupname": lambda group: group.name,
}


class GroupHandlers:
    """Handlers over one platform. Names of the methods are the operations' names in snake case."""

    def __init__(self, platform: Platform, view: View) -> None:
        self._platform, self._view = platform, view

    def table(self) -> Mapping[str, Handler]:
        """Operation -> handler."""
        return {
            "ReleaseService": self.release_service,
            "ListGroups": self.list_groups,
            "DescribeGroup": self.describe_group,
            "DescribeGroupEndpoints": self.describe_group_endpoints,
            "UpdateGroup": self.update_group,
        }

    async def release_service(self, call: Call) -> Answer:
        """Weight and share in the group."""
        weight, state = call.body.get("Weight"), call.body.get("TrafficState")
        if weight is None and state is None:
            raise Missing("Weight", "a number from -1 to 1000; or TrafficState")
        wish = Wish(weight, None if state is None else state == "standalone")
        name = present.core_id(call.path["ServiceName"])
        service = await groups.release(self._platform, call.principal, name, wish)
        return self._message(f"Service [{service.name}]", "released")

    async def list_groups(self, call: Call) -> Answer:
        """All groups with a service that the caller sees; a list tells no tokens."""
        number, size = listing.page(call.query)
        asked = call.query.get("WorkspaceId", "")
        found = await groups.everything(self._platform, call.principal, asked)
        contains, mode = call.query.get("Filter", ""), call.query.get("TrafficMode", "").lower()
        found = [one for one in found if contains in one.name and mode in {"", one.mode}]
        by = _SORTS.get(call.query.get("Sort", "").lower(), _SORTS["createtime"])
        found.sort(key=by, reverse=call.query.get("Order", "desc").lower() != "asc")
        page = found[(number - 1) * size : number * size]
        return {
            "Groups": [self._shown(one, "") for one in page],
            "PageNumber": number,
            "PageSize": size,
            "TotalCount": len(found),
        }

    async def describe_group(self, call: Call) -> Answer:
        """One group with the token that opens its endpoint."""
        found = await groups.find(self._platform, call.principal, call.path["GroupName"])
        return self._shown(found, _token(_readable(found, call.principal)))

    async def describe_group_endpoints(self, call: Call) -> Answer:
        """URLs and token; the message names members that another token opens."""
        found = await groups.find(self._platform, call.principal, call.path["GroupName"])
        url, token = self._url(found), _token(_readable(found, call.principal))
        others = [one.name for one in _taking_part(found) if one.token != token]
        endpoint = {
            "BackendId": "",
            "EndpointType": "DefaultGateway",
            "InternetEndpoints": [url],
            "IntranetEndpoints": [url],
            "PathType": "Group",
            "Port": _port(url),
        }
        message = f"This token does not open [{', '.join(others)}]." if token and others else ""
        return {"AccessToken": token, "Endpoints": [endpoint], "Message": message}

    async def update_group(self, call: Call) -> Answer:
        """By the number of replicas, or by weights."""
        mode, name = call.body.get("TrafficMode"), call.path["GroupName"]
        if mode is None:
            raise Missing("TrafficMode", "one of auto, customized")
        await groups.set_mode(self._platform, call.principal, name, Mode(mode))
        return self._message(f"Group [{name}]", "updated")

    def _shown(self, group: Group, token: str) -> Answer:
        url = self._url(group)
        return {
            "AccessToken": token,
            "ClusterId": self._platform.region,
            "CreateTime": present.time_text(group.created),
            "InternetEndpoint": url,
            "IntranetEndpoint": url,
            "Name": group.name,
            "QueueService": "",
            "TrafficMode": str(group.mode),
            "UpdateTime": present.time_text(group.updated),
        }

    def _url(self, group: Group) -> str:
        return f"{self._view.gateway}/api/predict/{group.name}"

    def _message(self, what: str, done: str) -> Answer:
        return {"Message": f"{what} in region [{self._platform.region}] is {done}"}


def _taking_part(group: Group) -> list[Service]:
    return [one for one in group.members if not one.registration.share.standalone]


def _readable(group: Group, reader: Principal) -> list[Service]:
    return [one for one in _taking_part(group) if rights.reads_service(reader, one)]


def _token(members: list[Service]) -> str:
    """The one that opens most members, of as many the oldest one's; "" = none may be told."""
    tokens = [one.token for one in members if one.token]
    return max(tokens, key=tokens.count, default="")


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)
