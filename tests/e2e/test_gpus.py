"""A platform on a machine with two GPUs, as its driver's double tells: who gets them, and who waits."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from clients import Json, PythonSdk
from documents import document
from lifecycle import Service
from running_platform import PIERHEAD, Platform, running, until
from zstack_client import ZStack

from nvml_double import build


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = build(tmp_path_factory.mktemp("driver"))
    return {"LD_LIBRARY_PATH": str(folder), "NVML_DOUBLE": "gpus=2"}


@pytest.fixture(scope="module")
def two_gpus(
    tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]
) -> Iterator[Platform]:
    with running(tmp_path_factory.mktemp("gpus"), **environment) as platform:
        yield platform


def created(platform: Platform, submitted: Json) -> Service:
    eas = PythonSdk(platform)
    return Service(eas, eas("CreateService", body=submitted)["ServiceName"])


def sees(platform: Platform, service: Service) -> str:
    """The devices that the service's process was told of."""
    headers = {"Authorization": service.describe()["AccessToken"]}
    answer = requests.get(
        f"{platform.gateway}/api/predict/{service.name}", headers=headers, timeout=10
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["env"]["CUDA_VISIBLE_DEVICES"]


def states(platform: Platform) -> list[str]:
    """Status of each device, as the ZStack door tells it."""
    client = ZStack(platform).log_in()
    try:
        rows = client.query("/gpu-device/gpu-devices")
        return [row["status"] for row in sorted(rows, key=lambda row: row["pciDeviceAddress"])]
    finally:
        client.http.close()


def test_services_get_devices_wait_for_them_and_go_on_when_one_is_released(
    two_gpus: Platform,
) -> None:
    first = created(two_gpus, document("gpu_one", gpu=1))
    assert first.until("Running")["Gpu"] == 1
    assert states(two_gpus) == ["Attached", "Active"]
    second = created(two_gpus, document("gpu_two", gpu_memory=60, gpu_core_percentage=10))
    second.until("Running")
    assert any(
        "gpu_core_percentage" in text for texts in second.warnings().values() for text in texts
    )
    assert (sees(two_gpus, first), sees(two_gpus, second)) == ("0", "1")
    assert states(two_gpus) == ["Attached", "Attached"]

    third = created(two_gpus, document("gpu_three", gpu=1))
    waiting = until(
        lambda: (shown := third.describe())["Reason"] == "WaitingForGpu" and shown, 10, "it waits"
    )
    assert waiting["Status"] == "Pending"
    assert (
        "1 GPU wanted, 0 of 2 is free; taken by [gpu_one] (1), [gpu_two] (60.0 GiB)."
        in (waiting["Message"])
    )
    assert third.instances() == []
    sharing = created(two_gpus, document("gpu_four", gpu_memory=20))
    sharing.until("Running")
    assert sees(two_gpus, sharing) == "1"

    first.sdk("DeleteService", first.name)
    until(lambda: third.describe()["Status"] == "Running", 15, "it has the released one")
    assert sees(two_gpus, third) == "0"


def test_an_update_goes_through_where_the_old_version_has_the_only_device(
    two_gpus: Platform,
) -> None:
    alone = Service(PythonSdk(two_gpus), "gpu_three")
    before = alone.until("Running")["CurrentVersion"]
    alone.sdk("UpdateService", alone.name, body={"metadata": {"memory": 300}})
    after = until(
        lambda: (
            (shown := alone.describe())["Status"] == "Running"
            and shown["CurrentVersion"] > before
            and shown
        ),
        30,
        "the new version serves",
    )
    assert after["Memory"] == 300
    assert sees(two_gpus, alone) == "0"
    assert "RollingInPlace" in {event["Reason"] for event in alone.events()}


def test_what_asks_for_more_than_there_is_says_so(two_gpus: Platform) -> None:
    greedy = created(two_gpus, document("gpu_many", gpu=3))
    shown = until(
        lambda: (shown := greedy.describe())["Status"] == "Pending" and shown, 10, "it is held"
    )
    assert shown["Reason"] == "Unschedulable"
    assert "3 GPU wanted" in shown["Message"]


def test_doctor_lists_them(environment: dict[str, str], tmp_path: Path) -> None:
    def row(**more: str) -> Json:
        command = (*PIERHEAD, "doctor", "--data-dir", str(tmp_path / "new"), "--json")
        done = subprocess.run(
            command,
            check=False,
            env={**os.environ, **environment, **more},
            capture_output=True,
            timeout=60,
        )
        return next(row for row in json.loads(done.stdout) if row["check"] == "gpus")

    assert (row()["level"], row()["found"]) == ("ok", "2 x NVIDIA Double 80GB (80.0 GiB)")
    broken = row(NVML_DOUBLE="gpus=2,lost=0")
    assert broken["level"] == "warn"
    assert broken["found"] == "1 x NVIDIA Double 80GB (80.0 GiB); GPU 0: GPU is lost"
