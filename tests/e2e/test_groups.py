"""Groups on a running platform: the official SDK's operations, and a group's endpoint at the gateway."""

import json
import urllib.error
import urllib.request
from collections import Counter
from typing import Any

import pytest
from clients import Json, PythonSdk
from documents import document
from lifecycle import Service, refused
from running_platform import Platform, until

GROUP = "grp_team"


def member(name: str, **more: Any) -> Json:
    """A service of the group that tells its own name."""
    made = document(name, group=GROUP)
    made["containers"][0]["env"] = [{"name": "MEMBER", "value": name}]
    return made | more


@pytest.fixture(scope="module")
def two(eas: PythonSdk) -> dict[str, Service]:
    """Blue with two replicas, green with one, both with blue's token."""
    found: dict[str, Service] = {}
    for name, count in (("grp_blue", 2), ("grp_green", 1)):
        body = member(name)
        body["metadata"]["instance"] = count
        eas("CreateService", body=body)
        found[name] = Service(eas, name)
    for service in found.values():
        service.until("Running")
    return found


def weights(eas: PythonSdk, blue: int, green: int) -> None:
    """The higher one first: at no moment has the group no weight at all."""
    for name, weight in sorted(
        [("grp_blue", blue), ("grp_green", green)], key=lambda pair: -pair[1]
    ):
        eas("ReleaseService", name, body={"Weight": weight})


def test_a_group_by_the_official_sdk(
    eas: PythonSdk, platform: Platform, two: dict[str, Service]
) -> None:
    url = f"{platform.gateway}/api/predict/{GROUP}"
    (listed,) = eas("ListGroups", query={"Filter": GROUP})["Groups"]
    assert (listed["Name"], listed["InternetEndpoint"]) == (GROUP, url)
    shown = eas("DescribeGroup", GROUP)
    assert shown["AccessToken"] == two["grp_blue"].describe()["AccessToken"]
    assert shown["AccessToken"] == two["grp_green"].describe()["AccessToken"]
    endpoints = eas("DescribeGroupEndpoints", GROUP)
    assert endpoints["AccessToken"] == shown["AccessToken"]
    assert endpoints["Endpoints"][0]["PathType"] == "Group"
    refused(lambda: eas("DescribeGroup", "nobody"), "InvalidGroup.NotFound", 404)


def test_a_release_by_the_official_sdk(eas: PythonSdk, two: dict[str, Service]) -> None:
    eas("ReleaseService", "grp_green", body={"Weight": 7, "TrafficState": "standalone"})
    shown = two["grp_green"].until("Running")
    assert (shown["Weight"], shown["TrafficState"]) == (7, "standalone")
    assert eas("DescribeGroup", GROUP)["TrafficMode"] == "customized"
    eas("ReleaseService", "grp_green", body={"Weight": -1, "TrafficState": "grouping"})
    assert eas("DescribeGroup", GROUP)["TrafficMode"] == "auto"
    refused(
        lambda: eas("ReleaseService", "grp_green", body={"Weight": 1001}), "InvalidParameter", 400
    )
    assert "ServiceReleased" in {one["Reason"] for one in two["grp_green"].events()}


def test_the_groups_endpoint_shares_out_and_switches_at_once(
    eas: PythonSdk, platform: Platform, two: dict[str, Service]
) -> None:
    token = eas("DescribeGroup", GROUP)["AccessToken"]

    def asked(count: int = 1, **headers: str) -> Counter[str]:
        return Counter(answered(platform, token, headers) for _ in range(count))

    def switched(to: str) -> bool:
        return set(asked(20)) == {to}

    weights(eas, -1, -1)
    until(lambda: len(asked(30)) == 2, 10, "both answer by their replicas")
    weights(eas, 1000, 0)
    until(lambda: switched("grp_blue"), 10, "all goes to blue")
    weights(eas, 0, 1000)
    until(lambda: switched("grp_green"), 10, "all goes to green")
    weights(eas, 80, 20)
    until(lambda: len(asked(50)) == 2, 10, "both answer by weight")
    found = asked(400)
    assert 40 <= found["grp_green"] <= 120, found  # 80, give or take five deviations
    kept = {name: asked(8, **{"X-Session-Id": name}) for name in map(str, range(6))}
    assert all(len(one) == 1 for one in kept.values()), kept
    eas("ReleaseService", "grp_green", body={"TrafficState": "standalone"})
    until(lambda: switched("grp_blue"), 10, "green stands alone")
    eas("ReleaseService", "grp_green", body={"TrafficState": "grouping", "Weight": 1000})


def test_a_members_own_token_opens_that_member_alone(
    eas: PythonSdk, platform: Platform, two: dict[str, Service]
) -> None:
    eas("CreateService", body=member("grp_red", token="of red alone"))
    Service(eas, "grp_red").until("Running")
    eas("ReleaseService", "grp_red", body={"Weight": 1})
    until(lambda: reaches(platform, "of red alone") == "grp_red", 10, "red answers its token")
    assert {answered(platform, "of red alone", {}) for _ in range(30)} == {"grp_red"}
    shared = two["grp_blue"].describe()["AccessToken"]
    assert "grp_red" not in {answered(platform, shared, {}) for _ in range(30)}
    assert reaches(platform, "nobody's") == "401"


def answered(platform: Platform, token: str, headers: dict[str, str]) -> str:
    """The name of the member that a request to the group came to."""
    request = urllib.request.Request(
        f"{platform.gateway}/api/predict/{GROUP}/x", headers={"Authorization": token, **headers}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["env"]["MEMBER"]


def reaches(platform: Platform, token: str) -> str:
    """The same; of a refusal the status."""
    try:
        return answered(platform, token, {})
    except urllib.error.HTTPError as error:
        return str(error.code)
