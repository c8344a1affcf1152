"""The whole life of a service, through every official control-plane client, with a real engine."""

import re
from collections.abc import Iterator

import pytest
from clients import Json, PythonSdk, Sdk, sdk
from lifecycle import Service, refused
from running_platform import Platform

pytestmark = pytest.mark.usefixtures("eas")


@pytest.fixture(params=["v3", "v2", "old", "node"])
def client(request: pytest.FixtureRequest, platform: Platform) -> Iterator[tuple[str, Sdk]]:
    """Each client with its short name."""
    with sdk(request.param, platform) as made:
        yield request.param, made


def test_a_service_lives_its_life_through_every_client(
    client: tuple[str, Sdk], platform: Platform
) -> None:
    kind, call = client
    service = Service(call, f"life_{kind}")
    created = _create(service)
    _is_running(service, platform)
    _is_listed(call, service.name, created["ServiceId"])
    _scales(service)
    _stops_and_starts(service)
    _restarts(service)
    _tells_what_happened(service)
    service.change("DeleteService", "Deleting")
    service.gone()
    refused(service.describe, "InvalidService.NotFound", 404, service.name)
    again = _create(service)
    assert again["ServiceId"] != created["ServiceId"]
    service.until("Running")
    reasons = [event["Reason"] for event in service.events()]
    assert reasons[-1] == "ServiceCreated"
    assert "ServiceScaled" not in reasons, "the events of the deleted service are shown"
    service.answers_paris()
    service.delete()


def _create(service: Service) -> Json:
    body = {
        "ServiceName": service.name,
        "AppType": "LLM",
        "AppVersion": "v1",
        "ServiceSpec": "smollm2_135m_q4",
        "Replicas": 1,
    }
    created = service.sdk(
        "CreateAppService", query={"WorkspaceId": "71", "QuotaId": "quota1"}, body=body
    )
    assert created["Status"] == "Creating"
    shown = service.describe()
    assert shown["Status"] in {"Creating", "Waiting"}, shown["Status"]
    assert shown["ServiceId"] == created["ServiceId"]
    return created


def _is_running(service: Service, platform: Platform) -> None:
    shown = service.until("Running")
    assert (shown["TotalInstance"], shown["RunningInstance"], shown["PendingInstance"]) == (1, 1, 0)
    assert (shown["CurrentVersion"], shown["LatestVersion"]) == (1, 1)
    endpoints = service.sdk("DescribeServiceEndpoints", service.name)
    assert endpoints["AccessToken"] == shown["AccessToken"]
    assert len(endpoints["AccessToken"]) == 56
    (endpoint,) = endpoints["Endpoints"]
    assert endpoint["EndpointType"] == "DefaultGateway"
    assert endpoint["PathType"] == "Service"
    assert endpoint["Port"] == int(platform.gateway.rpartition(":")[2])
    url = f"{platform.gateway}/api/predict/{service.name}"
    assert endpoint["InternetEndpoints"] == endpoint["IntranetEndpoints"] == [url]
    assert shown["InternetEndpoint"] == url
    service.answers_paris()
    (instance,) = service.instances()
    assert instance["Status"] == "Running"
    assert instance["InnerIP"] == "127.0.0.1"
    assert instance["InstancePort"] > 0
    assert (instance["ReadyProcesses"], instance["TotalProcesses"]) == (1, 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", instance["StartTime"])


def _is_listed(call: Sdk, name: str, service_id: str) -> None:
    for query in (
        {"Filter": name[2:]},
        {"ServiceName": name},
        {"ServiceUid": service_id},
        {"ServiceName": name, "ServiceStatus": "Running", "Sort": "CreateTime", "Order": "asc"},
        {"Filter": name, "PageNumber": 1, "PageSize": 1},
    ):
        found = call("ListServices", query=query)
        assert [item["ServiceName"] for item in found["Services"]] == [name], query
        assert found["TotalCount"] == 1
        assert not found["Services"][0].get("AccessToken"), "a list shows a token"
    for query in (
        {"Filter": name, "Label": {"team": "red"}},
        {"Filter": name, "GroupName": "other"},
        {"ServiceName": name, "ServiceStatus": "Stopped"},
        {"Filter": name, "PageNumber": 2, "PageSize": 1},
        {"Filter": f"{name}%"},
    ):
        assert call("ListServices", query=query)["Services"] == [], query


def _scales(service: Service) -> None:
    before = {item["InstanceName"] for item in service.instances()}
    answer = service.change("UpdateAppService", "Scaling", body={"Replicas": 3})
    assert service.name in answer["Message"]
    shown = service.until("Running")
    assert (shown["TotalInstance"], shown["RunningInstance"]) == (3, 3)
    assert shown["LatestVersion"] == 1, "scaling made a new version"
    three = service.instances()
    assert len(three) == 3
    assert before < {item["InstanceName"] for item in three}, "scaling replaced a replica"
    assert len({item["InstancePort"] for item in three}) == 3
    service.change("UpdateAppService", "Scaling", body={"Replicas": 1})
    service.until("Running")
    assert {item["InstanceName"] for item in service.instances()} == before


def _stops_and_starts(service: Service) -> None:
    token = service.describe()["AccessToken"]
    service.change("StopService", "Stopping")
    service.until("Stopped")
    assert service.instances() == []
    service.sdk("StopService", service.name)  # again: nothing changes
    assert service.describe()["Status"] == "Stopped"
    service.change("StartService", "Starting", "Waiting")
    service.until("Running")
    service.sdk("StartService", service.name)
    shown = service.describe()
    assert (shown["Status"], shown["RunningInstance"]) == ("Running", 1)
    assert shown["AccessToken"] == token
    service.answers_paris()


def _restarts(service: Service) -> None:
    (before,) = service.instances()
    service.change("RestartService", "Updating")
    service.until("Running")
    (after,) = service.instances()
    assert after["InstanceName"] != before["InstanceName"]
    assert service.describe()["LatestVersion"] == 1


def _tells_what_happened(service: Service) -> None:
    reasons = [event["Reason"] for event in reversed(service.events())]
    asked = [reason for reason in reasons if reason.startswith("Service")]
    assert asked == [
        "ServiceCreated",
        "ServiceScaled",
        "ServiceScaled",
        "ServiceStopped",
        "ServiceStarted",
        "ServiceRestarted",
    ]
    assert {"ReplicaStarting", "ReplicaReady", "Running", "Stopped"} <= set(reasons)
    logs = service.sdk("DescribeServiceLog", service.name, query={"PageSize": 5})
    (instance,) = service.instances()
    assert len(logs["Logs"]) == 5
    assert all(line.startswith(f"[{instance['InstanceName']}]") for line in logs["Logs"])
    assert logs["TotalCount"] > 5
    assert logs["TotalPageNum"] == -(-logs["TotalCount"] // 5)
    query = {"InstanceName": instance["InstanceName"], "Keyword": "print_timing"}
    found = service.sdk("DescribeServiceLog", service.name, query=query)["Logs"]
    assert found
    assert all("print_timing" in line and not line.startswith("[") for line in found)


def test_what_one_client_makes_another_sees(eas: PythonSdk, platform: Platform) -> None:
    """A name is signed alike by all, also one that no service can have."""
    odd = "组/foo bar~*"
    for kind in ("v3", "v2", "old", "node"):
        with sdk(kind, platform) as call:
            path = odd if kind in {"v3", "v2"} else "nobody_has_this"
            refused(Service(call, path).describe, "InvalidService.NotFound", 404, path)
