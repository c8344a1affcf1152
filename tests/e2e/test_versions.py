"""Versions, labels, locks and machines as the official SDK meets them, on a platform that runs."""

import json
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import requests
from clients import Json, PythonSdk
from documents import document
from lifecycle import Service, refused
from running_platform import until
from zstack_client import GROUPS, ZStack


def marked(name: str, mark: str, **metadata: Any) -> Json:
    """A service whose replicas tell this mark."""
    made = document(name, **metadata)
    made["containers"][0]["env"] = [{"name": "MARK", "value": mark}]
    return made


@contextmanager
def asked(shown: Json) -> Generator[Counter[str]]:
    """Ask a service all the time; what came of it: marks, and whatever was no good answer."""
    told: Counter[str] = Counter()
    done = threading.Event()

    def ask() -> None:
        with requests.Session() as session:
            session.headers["Authorization"] = shown["AccessToken"]
            while not done.is_set():
                answer = session.get(f"{shown['InternetEndpoint']}/x", timeout=30)
                good = answer.status_code == 200
                told[answer.json()["env"]["MARK"] if good else answer.text] += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield told
    finally:
        done.set()
        thread.join()


def test_the_way_back_loses_no_request(eas: PythonSdk, zstack: ZStack) -> None:
    eas("CreateService", body=marked("ver_roll", "one", instance=2))
    service = Service(eas, "ver_roll")
    shown = service.until("Running")
    eas("UpdateService", "ver_roll", body=marked("ver_roll", "two", instance=2))
    service.until("Running")
    with asked(shown) as told:
        until(lambda: told["two"], 30, "the second version answers")
        answer = service.change("UpdateServiceVersion", "Updating", "Waiting", body={"Version": 1})
        assert answer["Message"].endswith("is changing to version 1")
        back = service.until("Running")
        before = told["one"]
        until(lambda: told["one"] > before + 5, 30, "the first version answers again")
    assert set(told) == {"one", "two"}
    assert (back["CurrentVersion"], back["LatestVersion"], back["TotalInstance"]) == (1, 2, 2)
    assert back["AccessToken"] == shown["AccessToken"]
    assert json.loads(back["ServiceConfig"]) == json.loads(shown["ServiceConfig"])

    answer = eas("ListServiceVersions", "ver_roll")
    assert answer["TotalCount"] == 2
    newest, oldest = answer["Versions"]
    assert [newest["ImageId"], oldest["ImageId"]] == [2, 1]
    assert oldest["ServiceRunnable"] == "true"
    marks = [
        json.loads(each["ServiceConfig"])["containers"][0]["env"][0]["value"]
        for each in (oldest, newest)
    ]
    assert marks == ["one", "two"]
    assert [group["status"] for group in zstack.query(GROUPS, "name=ver_roll")] == ["Running"]
    refused(
        lambda: eas("UpdateServiceVersion", "ver_roll", body={"Version": 9}),
        "InvalidParameter",
        400,
        "1 to 2",
    )


def test_labels_and_the_lock_reach_both_doors(eas: PythonSdk, zstack: ZStack) -> None:
    eas("CreateService", body=marked("ver_label", "x"), query={"Labels": {"team": "red"}})
    eas("UpdateServiceLabel", "ver_label", body={"Labels": {"team": "blue", "tier": "gold"}})
    names = [
        one["ServiceName"]
        for one in eas("ListServices", query={"Label": {"team": "blue"}})["Services"]
    ]
    assert names == ["ver_label"]
    (group,) = zstack.query(GROUPS, "name=ver_label")
    tags = zstack.query("/user-tags", f"resourceUuid={group['uuid']}")
    assert sorted(tag["tag"] for tag in tags) == ["team=blue", "tier=gold"]
    eas("DeleteServiceLabel", "ver_label", query={"Keys": ["team", "never"]})
    assert Service(eas, "ver_label").describe()["Labels"] == [
        {"LabelKey": "tier", "LabelValue": "gold"}
    ]

    service = Service(eas, "ver_label")
    service.until("Running")
    eas("UpdateServiceSafetyLock", "ver_label", body={"Lock": "dangerous"})
    for operation in ("StopService", "DeleteService"):
        refused(lambda name=operation: eas(name, "ver_label"), "InvalidService.Locked", 409)
    eas("UpdateServiceSafetyLock", "ver_label", body={"Lock": "none"})
    eas("DeleteService", "ver_label")
    service.gone()


def test_a_listed_size_runs_in_the_listed_pool(eas: PythonSdk) -> None:
    (pool,) = eas("ListResources")["Resources"]
    sizes = {one["InstanceType"]: one for one in eas("DescribeMachineSpec")["InstanceMetas"]}
    assert sizes["pierhead.c1.m1"]["StockStatus"] in {"WithStock", "NoStock"}
    body = marked("ver_size", "x", resource=pool["ResourceId"])
    body["cloud"] = {"computing": {"instance_type": "pierhead.c1.m1"}}
    eas("CreateService", body=body)
    shown = Service(eas, "ver_size").until("Running")
    assert (shown["Cpu"], shown["Memory"], shown["Resource"]) == (1, 1024, pool["ResourceId"])
    used = eas("DescribeResource", pool["ResourceId"])
    assert (used["CpuUsed"] >= 1, used["MemoryUsed"] >= 1024) == (True, True)
    (machine,) = eas("ListResourceInstances", pool["ResourceId"])["Instances"]
    assert int(machine["InstanceUsedMemory"]) >= 1024
    listed = eas("ListServices", query={"ResourceName": pool["ResourceId"]})["Services"]
    assert [one["ServiceName"] for one in listed] == ["ver_size"]
