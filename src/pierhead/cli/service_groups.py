"""`pierhead services release` and `groups`: who takes which part of a group's requests."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import typer

from pierhead.cli.client import Json
from pierhead.cli.options import AsJson, DataDir, Endpoint, Name, connect
from pierhead.cli.screen import emit, plain, table
from pierhead.core.shares import BY_REPLICAS, MOST


class Traffic(StrEnum):
    """Does the endpoint of its group lead to a service?"""

    GROUPING = "grouping"
    STANDALONE = "standalone"


Weight = Annotated[
    int | None,
    typer.Option(
        min=BY_REPLICAS,
        max=MOST,
        help="Its part of the sum of all weights; 0: no request, -1: 100 for each ready replica.",
    ),
]
TrafficState = Annotated[
    Traffic | None,
    typer.Option("--traffic", help="Does its group's endpoint lead to it, or does it not?"),
]


def release(
    *,
    name: Name,
    weight: Weight = None,
    traffic: TrafficState = None,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Give a service another part of its group's requests, at once; no replica is touched.

    \b
    Examples:
      pierhead services release chat_v2 --weight 5
      pierhead services release chat_v2 --weight 1000
      pierhead services release chat_v1 --traffic standalone
    """
    if weight is None and traffic is None:
        raise typer.BadParameter("give --weight, --traffic, or both")
    client = connect(data_dir, endpoint)
    body: Json = {} if weight is None else {"Weight": weight}
    body |= {} if traffic is None else {"TrafficState": str(traffic)}
    answer = client.call("ReleaseService", "PUT", client.path(name, "/release"), body=body)
    if as_json:
        emit(answer)
    else:
        print(plain(str(answer.get("Message", ""))))


def groups(
    *,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """List groups: services that answer at one endpoint, and the weight of each.

    \b
    Examples:
      pierhead services groups
      pierhead services groups --json
    """
    client = connect(data_dir, endpoint)
    order = {"Sort": "Name", "Order": "asc"}
    found = list(client.pages("ListGroups", "/api/v2/groups", "Groups", order))
    members: dict[str, list[Json]] = {one["Name"]: [] for one in found}
    for service in client.pages("ListServices", "/api/v2/services", "Services", {}):
        if service.get("ServiceGroup") in members:
            members[service["ServiceGroup"]].append(service)
    if as_json:
        emit({"Groups": [{**one, "Services": members[one["Name"]]} for one in found]})
        return
    rows = [row for one in found for row in _rows(one, members[one["Name"]])]
    table(("GROUP", "MODE", "SERVICE", "STATUS", "READY", "TRAFFIC", "WEIGHT"), rows)


def _rows(group: Json, members: list[Json]) -> Iterator[tuple[str, ...]]:
    for service in sorted(members, key=lambda one: str(one["ServiceName"])):
        weight = service.get("Weight", BY_REPLICAS)
        yield (
            group["Name"],
            group["TrafficMode"],
            service["ServiceName"],
            service["Status"],
            f"{service.get('RunningInstance', 0)}/{service.get('TotalInstance', 0)}",
            service.get("TrafficState", ""),
            "by replicas" if weight == BY_REPLICAS else str(weight),
        )
