"""Scalers through the official SDK and the command line, on a platform whose figures are measured."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from clients import PythonSdk, Refused
from documents import document
from lifecycle import Service
from running_platform import Platform, until

from commands import pierhead
from pierhead.bootstrap.secret_files import internal_key, metrics_token

AUTO = {"min": 1, "max": 3, "scaleStrategies": [{"metricName": "concurrency", "threshold": 2}]}


def made(eas: PythonSdk, name: str, **more: Any) -> Service:
    eas("CreateService", body=document(name) | more)
    service = Service(eas, name)
    service.until("Running")
    return service


def under_way(platform: Platform, service: Service) -> float:
    """How many requests its replicas are busy with, as the gateway tells."""
    headers = {"Authorization": f"Bearer {metrics_token(platform.folder)}"}
    text = requests.get(f"{platform.gateway}/metrics", headers=headers, timeout=10).text
    names = [
        f'pierhead_gateway_inflight{{replica="{one["InstanceName"]}"' for one in service.instances()
    ]
    lines = [line for line in text.splitlines() if line.startswith(tuple(names))]
    return sum(float(line.split()[-1]) for line in lines)


def refused(eas: PythonSdk, code: str, operation: str, name: str, **parts: Any) -> str:
    with pytest.raises(Refused) as caught:
        eas(operation, name, **parts)
    assert caught.value.code == code
    return str(caught.value)


def test_requests_under_way_bring_replicas(platform: Platform, eas: PythonSdk) -> None:
    service = made(eas, "scaled_load")
    url = f"{platform.gateway}/api/predict/{service.name}/slow/12"
    headers = {"Authorization": service.describe()["AccessToken"]}
    statuses: list[int] = []
    asking = [
        threading.Thread(
            target=lambda: statuses.append(
                requests.get(url, headers=headers, timeout=60).status_code
            )
        )
        for _ in range(6)
    ]
    for one in asking:
        one.start()
    # All of them are under way before anybody counts: else there may be a step in between.
    until(lambda: under_way(platform, service) == 6, 10, "the requests are under way")
    answer = eas("CreateServiceAutoScaler", service.name, body=AUTO)
    assert "Auto-scaler of service [scaled_load]" in answer["Message"]
    until(lambda: service.describe()["TotalInstance"] == 3, 15, "it has three replicas")
    shown = eas("DescribeServiceAutoScaler", service.name)
    assert (shown["MinReplica"], shown["MaxReplica"]) == (1, 3)
    assert shown["ScaleStrategies"] == [
        {"metricName": "concurrency", "service": service.name, "threshold": 2}
    ]
    assert shown["Behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300
    for one in asking:
        one.join()
    assert statuses == [200] * 6
    told = {event["Reason"]: event["Message"] for event in service.events()}
    assert "from 1 to 3 replicas. requests under way: 6 in all" in told["ScaledOut"]
    eas("DeleteServiceAutoScaler", service.name)
    refused(eas, "InvalidAutoScaler.NotFound", "DescribeServiceAutoScaler", service.name)


def test_cpu_brings_replicas(platform: Platform, eas: PythonSdk) -> None:
    """A replica that only spins, of so little CPU that it has that on the busiest machine."""
    spinning = document("scaled_cpu", cpu=0.1, memory=200)
    spinning["containers"][0]["script"] += " & while :; do :; done"
    spinning["autoscaler"] = {
        "min": 1,
        "max": 2,
        "scaleStrategies": [{"metricName": "CPU", "threshold": 40}],
    }
    eas("CreateService", body=spinning)
    service = Service(eas, "scaled_cpu")
    until(lambda: service.describe()["TotalInstance"] == 2, 60, "it has two replicas")

    def measured() -> Any:
        """The replica that was added has to spin for a while, too."""
        [one] = eas("DescribeServiceAutoScaler", service.name)["CurrentMetrics"]
        assert (one["metricName"], one["service"]) == ("CPU", service.name)
        return one["value"] > 44

    until(measured, 60, "what was measured is shown")
    told = {event["Reason"]: event["Message"] for event in service.events()}
    assert "CPU percent" in told["ScaledOut"]
    eas("DeleteService", service.name)


def test_jobs_come_at_their_second(eas: PythonSdk) -> None:
    service = made(eas, "scaled_clock")
    moment = time.gmtime(time.time() + 3)
    text = time.strftime("%S %M %H * * ?", moment)
    another = f"0 0 0 1 {moment.tm_mon % 12 + 1} *"  # a day that is not today
    body = {
        "ScaleJobs": [{"Name": "soon", "Schedule": text, "TargetSize": 2, "TimeZone": "UTC"}],
        "ExcludeDates": [another],
    }
    eas("CreateServiceCronScaler", service.name, body=body)
    [job] = eas("DescribeServiceCronScaler", service.name)["ScaleJobs"]
    assert (job["State"], job["TargetSize"], job["Schedule"]) == ("Submitted", 2, text)
    until(lambda: service.describe()["TotalInstance"] == 2, 6, "the job was carried out")
    shown = eas("DescribeServiceCronScaler", service.name)
    assert shown["ExcludeDates"] == [another]
    [job] = shown["ScaleJobs"]
    assert (job["State"], "from 1 to 2 replicas" in job["Message"]) == ("Succeed", True)
    assert job["LastProbeTime"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", moment)
    eas("UpdateServiceCronScaler", service.name, body={"ScaleJobs": body["ScaleJobs"]})
    assert eas("DescribeServiceCronScaler", service.name)["ExcludeDates"] == []
    eas("DeleteServiceCronScaler", service.name)
    refused(eas, "InvalidCronScaler.NotFound", "DeleteServiceCronScaler", service.name)


def test_a_service_json_brings_its_auto_scaler(eas: PythonSdk) -> None:
    name = "scaled_json"
    service = made(eas, name, autoscaler=AUTO | {"min": 2, "max": 4}, metadata={"name": name})
    assert service.describe()["TotalInstance"] == 2
    version = service.describe()["LatestVersion"]
    eas("UpdateService", name, body={"autoscaler": {"max": 5}})
    shown = eas("DescribeServiceAutoScaler", name)
    assert (shown["MinReplica"], shown["MaxReplica"]) == (2, 5)
    assert service.describe()["LatestVersion"] == version
    eas("UpdateService", name, body={"metadata": {"instance": 3}})
    assert service.describe()["TotalInstance"] == 3
    assert json.loads(service.describe()["ServiceConfig"])["metadata"]["instance"] == 3
    eas("UpdateService", name, body={"autoscaler": None})
    refused(eas, "InvalidAutoScaler.NotFound", "DescribeServiceAutoScaler", name)
    assert service.describe()["LatestVersion"] == version


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"max": 1}, "max"),
        ({"min": -1}, "min"),
        ({"scaleStrategies": []}, "scaleStrategies"),
        ({"scaleStrategies": [{"metricName": "luck", "threshold": 1}]}, "metricName"),
        ({"scaleStrategies": [{"metricName": "qps", "threshold": 0}]}, "threshold"),
        ({"behavior": {"scaleDown": {"stabilizationWindowSeconds": -5}}}, "scaleDown"),
    ],
)
def test_what_cannot_be_followed_is_named(eas: PythonSdk, changes: Any, named: str) -> None:
    if not any(one["ServiceName"] == "scaled_no" for one in eas("ListServices")["Services"]):
        eas("CreateService", body=document("scaled_no"))
    for operation in ("CreateServiceAutoScaler", "UpdateServiceAutoScaler"):
        said = refused(eas, "InvalidParameter", operation, "scaled_no", body=AUTO | changes)
        assert named in said


def test_the_command_line(platform: Platform, eas: PythonSdk) -> None:
    made(eas, "scaled_cli")

    def run(*words: str) -> str:
        done = pierhead("services", *words, "--data-dir", str(platform.folder), timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = run(
        "autoscale", "set", "scaled_cli", "--min", "0", "--max", "4", "--target", "qps=5",
        "--target", "cpu=70", "--sleep-after", "3600",
    )  # fmt: skip
    assert said == "Auto-scaler of service [scaled_cli] in region [local] is set\n"
    lines = run("autoscale", "show", "scaled_cli").splitlines()
    assert lines[0].split() == ["Replicas", "0", "to", "4"]
    assert [line.split()[:3] for line in lines[-2:]] == [
        ["QPS", "scaled_cli", "5"],
        ["CPU", "scaled_cli", "70"],
    ]
    assert json.loads(run("autoscale", "show", "scaled_cli", "--json"))["MaxReplica"] == 4
    run("autoscale", "remove", "scaled_cli")
    run("schedule", "set", "scaled_cli", "--at", "open: 0 0 8 1 1 ? = 3", "--zone", "Asia/Shanghai")
    shown = run("schedule", "show", "scaled_cli")
    assert shown.splitlines()[1].split()[:9] == [
        "open", "0", "0", "8", "1", "1", "?", "3", "Asia/Shanghai",
    ]  # fmt: skip
    assert "-01-01 00:00:00" in shown
    run("schedule", "remove", "scaled_cli")


def test_it_sleeps_and_a_gateways_word_wakes_it(platform: Platform, eas: PythonSdk) -> None:
    """Law: who sleeps is Running, keeps its route, and one of many calls wakes it."""
    name = "scaled_zero"
    service = made(eas, name)
    url = f"{platform.eas}/internal"
    inside = {"Authorization": f"Bearer {internal_key(platform.folder)}"}

    def route() -> Any:
        table = requests.get(f"{url}/routes?revision=-1&wait=0", headers=inside, timeout=10).json()
        return next(one for one in table["routes"] if one["name"] == name)

    def wake(service: str) -> requests.Response:
        return requests.post(f"{url}/wake", json={"service": service}, headers=inside, timeout=10)

    id_ = route()["service"]
    sleepy = AUTO | {"min": 0, "behavior": {"onZero": {"scaleDownGracePeriodSeconds": 3}}}
    eas("CreateServiceAutoScaler", name, body=sleepy)
    until(lambda: route()["wakes"], 10, "its route says that it wakes")

    def standing() -> tuple[str, str, int]:
        shown = service.describe()
        return shown["Status"], shown["Reason"], shown["TotalInstance"]

    # How many are wanted is told at once; that nothing is left to be done for it, a moment later.
    until(lambda: standing() == ("Running", "ScaledToZero", 0), 40, "it sleeps")
    until(lambda: route()["targets"] == [], 10, "its route has no target")
    first = wake(id_)
    assert first.status_code == 200, first.text
    assert set(first.json()) == {"phase", "percent", "seconds", "replicas"}
    with ThreadPoolExecutor(8) as many:
        told = list(many.map(wake, [id_] * 40))
    assert {one.json()["replicas"] for one in told} == {1}
    until(lambda: wake(id_).json()["phase"] == "ready", 30, "it is ready")
    assert len(route()["targets"]) == 1
    assert [event["Reason"] for event in service.events()].count("ServiceWoken") == 1
    eas("StopService", name)
    assert wake(id_).status_code == 409
    until(lambda: not route()["wakes"], 10, "its route says that nothing wakes it")
    assert wake("0" * 32).status_code == 404
    assert requests.post(f"{url}/wake", json={"service": id_}, timeout=10).status_code == 403
