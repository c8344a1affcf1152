"""`ListServiceTraffic`: what services are busy with, for whoever may list them, as gateways told it."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from ram_world import KEY, World, as_key, serving

from builders import FakeClock, a_replica, a_service
from made_database import made_sqlite
from pierhead.cli.client import Access, HubRefused, Json
from pierhead.cli.ram_client import RamClient
from pierhead.core.principals import AccessKey
from pierhead.core.replicas import ReplicaState
from pierhead.core.routes import GatewayReport
from pierhead.core.services import Seen, Service
from pierhead.core.traffic import ServiceFigures, step
from pierhead.engines import registry
from pierhead.reconciler.gateways import SILENCE
from pierhead.reconciler.routes import RouteBook
from pierhead.store import seen as observed
from pierhead.store import services as rows

CAPABILITIES = {name: engine.capabilities for name, engine in registry("python").items()}


@dataclass
class Hub:
    """A platform behind a port, and the book that gateways report to."""

    world: World
    timer: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.book = RouteBook(self.timer, lambda _: "", CAPABILITIES, timer=self.timer)
        self.world.platform = replace(self.world.platform, traffic=lambda: self.book.traffic)

    def service(self, name: str, *states: ReplicaState, **fields: Any) -> Service:
        made = a_service(name=name, replicas=len(states) or 1, **fields)
        replicas = tuple(
            a_replica(id=f"{name}-{number}", service=made.id, state=state)
            for number, state in enumerate(states)
        )
        asyncio.run(self.world.db.write(rows.add, made))
        asyncio.run(self.world.db.write(observed.save, made.id, Seen(replicas=replicas)))
        return made

    def report(
        self, gateway: str, outstanding: dict[str, int] | None = None, /, **told: ServiceFigures
    ) -> None:
        services = {a_service(name=name).id: figures for name, figures in told.items()}
        self.book.heard(GatewayReport(gateway, 1, outstanding or {}, services=services))

    def client(self, key: AccessKey = KEY) -> RamClient:
        return RamClient(Access(f"http://{self.world.address}", "local", key))

    def user(self, name: str, *actions: str, on: str = "*") -> RamClient:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": on}
        given = (statement,) if actions else ()
        return self.client(as_key(self.world.user(name, *given)))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    url = made_sqlite(tmp_path / "pierhead.db")
    world = World(url)
    found = Hub(world)
    with serving(world):
        yield found


def names(client: RamClient) -> list[str]:
    return [one["ServiceName"] for one in services(client)]


def services(client: RamClient) -> list[Json]:
    return client.own("ListServiceTraffic")["Services"]["Service"]


def test_gateways_are_summed(hub: Hub) -> None:
    hub.service("busy", ReplicaState.READY, ReplicaState.STARTING)
    hub.service("idle", ReplicaState.READY)
    hub.report(
        "gw-1", {"busy-0": 3}, busy=ServiceFigures(2.0, 0.5, 10.0, 20.0, 3, 1, 0, {step(0.1): 9})
    )
    hub.report(
        "gw-2", {"busy-0": 1}, busy=ServiceFigures(1.0, 0.0, 5.0, 7.0, 1, 0, 2, {step(2.0): 1})
    )
    answer = hub.client().own("ListServiceTraffic")
    assert (answer["Gateways"], answer["Seconds"]) == (2, 10.0)
    busy, idle = answer["Services"]["Service"]
    p50, p95 = busy.pop("TtftP50"), busy.pop("TtftP95")
    assert 0.08 < p50 <= 0.1 and 1.5 < p95 <= 2.0
    assert busy == {
        "ServiceName": "busy", "WorkspaceId": "", "Status": busy["Status"],
        "ReadyInstance": 1, "TotalInstance": 2,
        "RequestsPerSecond": 3.0, "ErrorsPerSecond": 0.5,
        "InFlight": 4, "Queued": 1, "Held": 2,
        "PromptTokensPerSecond": 15.0, "TokensPerSecond": 27.0,
    }  # fmt: skip
    assert (idle["ServiceName"], idle["RequestsPerSecond"], idle["ReadyInstance"]) == (
        "idle",
        0.0,
        1,
    )
    assert "TtftP50" not in idle


def test_a_gateway_that_fell_silent_tells_nothing_any_more(hub: Hub) -> None:
    hub.service("svc")
    hub.report("gw-1", svc=ServiceFigures(requests=2.0))
    assert services(hub.client())[0]["RequestsPerSecond"] == 2.0
    hub.timer.now += SILENCE
    answer = hub.client().own("ListServiceTraffic")
    assert answer["Gateways"] == 0
    assert answer["Services"]["Service"][0]["RequestsPerSecond"] == 0.0


def test_a_gateway_of_an_older_release_tells_who_is_busy(hub: Hub) -> None:
    hub.service("svc", ReplicaState.READY, ReplicaState.DRAINING)
    hub.report("gw-old", {"svc-0": 2, "svc-1": 1})
    assert services(hub.client())[0]["InFlight"] == 3


def test_whoever_may_list_services_sees_theirs_and_no_others(hub: Hub) -> None:
    """Law: it shows exactly what a list of services shows (F28)."""
    for name in ("mine", "yours"):
        hub.service(name)
    assert names(hub.client()) == ["mine", "yours"]
    assert names(hub.user("lists", "eas:ListServices")) == ["mine", "yours"]
    assert names(hub.user("looks", "eas:DescribeService", on="acs:eas:*:*:service/mine")) == [
        "mine"
    ]
    assert names(hub.user("groups", "zstack:QueryModelServiceInstanceGroup")) == ["mine", "yours"]
    for who in (hub.user("nobody"), hub.user("other", "eas:CreateService", "ram:*")):
        with pytest.raises(HubRefused) as caught:
            who.own("ListServiceTraffic")
        assert caught.value.code == "NoPermission"


def test_a_user_of_a_workspace_sees_what_is_in_it(hub: Hub) -> None:
    for name, workspace in (("here", "team-a"), ("there", "team-b"), ("outside", "")):
        hub.service(name, workspace=workspace)
    tenant, root = hub.user("tenant"), hub.client()
    document = '{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
    root.act("CreatePolicy", PolicyName="all", PolicyDocument=document)
    root.act(
        "AttachPolicyToUser", UserName="tenant", PolicyName="all", PolicyType="Custom",
        Workspace="team-a",
    )  # fmt: skip
    assert names(tenant) == ["here"]
