"""Services made, changed and looked at through the real EAS door, for tests of what is done to them."""

from typing import Any

from permission_world import House, Said

from pierhead.core.services import Service
from pierhead.operations import services

SERVICES = "/api/v2/services"
LOCAL = f"{SERVICES}/local"
GROUP = "ModelServiceInstanceGroupVO"
SCALER = {"min": 1, "max": 4, "scaleStrategies": [{"metricName": "qps", "threshold": 10}]}


def document(name: str, script: str = "sleep 1", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "instance": 2, **more.pop("metadata", {})}
    return {"containers": [{"script": script, "port": 8000}], "metadata": metadata, **more}


async def create(house: House, body: dict[str, Any], query: str = "") -> Service:
    said = await house.eas("root", "POST", f"{SERVICES}{query}", body)
    assert said.code == "OK", said.body
    return await service(house, body["metadata"]["name"])


async def update(house: House, name: str, body: dict[str, Any], who: str = "root") -> None:
    said = await house.eas(who, "PUT", f"{LOCAL}/{name}?UpdateType=replace", body)
    assert said.code == "OK", said.body


async def roll(house: House, name: str, number: Any, who: str = "root") -> Said:
    return await house.eas(who, "PUT", f"{LOCAL}/{name}/version", {"Version": number})


async def versions(house: House, name: str, query: str = "", who: str = "root") -> Said:
    return await house.eas(who, "GET", f"{LOCAL}/{name}/versions{query}")


async def service(house: House, name: str) -> Service:
    return (await services.find(house.platform, name))[0]


async def shown(house: House, name: str) -> dict[str, Any]:
    said = await house.eas("root", "GET", f"{LOCAL}/{name}")
    assert said.code == "OK", said.body
    return said.body
