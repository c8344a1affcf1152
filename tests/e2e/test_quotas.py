"""Quotas with real replicas: nothing starts beyond one, and what is let go starts who waits within a second."""

import json
import time
from collections.abc import Iterator

import pytest
from clients import PythonSdk
from documents import document
from running_platform import Platform, until

from commands import pierhead

QUOTA = "e2e-quota"
#: Seconds from the moment when a replica is gone to the launch of who waited for it.
RELEASE = 1.0


@pytest.fixture
def quota(platform: Platform, eas: PythonSdk) -> Iterator[str]:
    """A quota of two replicas; what names it goes with it."""
    _verb(platform, "create", QUOTA, "--replicas", "2")
    yield QUOTA
    for item in eas("ListServices", query={"QuotaId": QUOTA})["Services"]:
        eas("DeleteService", item["ServiceName"])
    until(lambda: not eas("ListServices", query={"QuotaId": QUOTA})["Services"], 40, "all are gone")
    _verb(platform, "delete", QUOTA)


def _verb(platform: Platform, *words: str) -> None:
    done = pierhead("quota", *words, "--data-dir", str(platform.folder))
    assert done.returncode == 0, done.stderr


def _make(eas: PythonSdk, quota: str, name: str, replicas: int = 1) -> None:
    eas("CreateService", body=document(name, instance=replicas, quota_id=quota))


def _shown(eas: PythonSdk, name: str) -> tuple[str, str]:
    found = eas("DescribeService", name)
    return found["Status"], found["Reason"]


def test_who_waits_for_a_quota_starts_as_soon_as_another_lets_go(
    platform: Platform, eas: PythonSdk, quota: str
) -> None:
    _make(eas, quota, "quota_one")
    _make(eas, quota, "quota_two")
    for name in ("quota_one", "quota_two"):
        until(lambda name=name: _shown(eas, name)[0] == "Running", 60, f"{name} runs")
    _make(eas, quota, "quota_waits")
    until(lambda: _shown(eas, "quota_waits") == ("Pending", "QuotaExceeded"), 10, "it is held")
    message = eas("DescribeService", "quota_waits")["Message"]
    assert (
        f"Quota [{quota}] allows 2 replica(s): 2 replica(s) are used, 1 more is wanted" in message
    )
    eas("DeleteService", "quota_one")
    until(lambda: _gone(eas, "quota_one"), 40, "it is gone")
    gone = time.time()
    launched = until(lambda: _launched(platform, "quota_waits"), 5, "it is launched")
    assert launched - gone < RELEASE, f"{launched - gone:.2f} s"
    assert eas("ListServiceInstances", "quota_waits")["Instances"]
    until(lambda: _shown(eas, "quota_waits")[0] == "Running", 60, "it runs")
    found = eas("ListServiceInstances", "quota_two")["Instances"]
    assert len(found) == 1, "nobody else was touched"


def _launched(platform: Platform, name: str) -> float | None:
    """When a service's first replica was launched, as its own folder says."""
    runs = (platform.folder / "replicas").glob(f"*/{name}-*/runs/1/run.json")
    return next((float(json.loads(run.read_text())["started"]) for run in runs), None)


def _gone(eas: PythonSdk, name: str) -> bool:
    return name not in {item["ServiceName"] for item in eas("ListServices")["Services"]}


def test_a_restart_in_a_full_quota_replaces_in_place(
    platform: Platform, eas: PythonSdk, quota: str
) -> None:
    _verb(platform, "update", quota, "--replicas", "1")
    _make(eas, quota, "quota_full")
    until(lambda: _shown(eas, "quota_full")[0] == "Running", 60, "it runs")
    (before,) = eas("ListServiceInstances", "quota_full")["Instances"]
    _make(eas, quota, "quota_hungry")
    until(lambda: _shown(eas, "quota_hungry")[1] == "QuotaExceeded", 10, "it is held")
    eas("RestartService", "quota_full")

    def replaced() -> bool:
        found = eas("ListServiceInstances", "quota_full")["Instances"]
        others = eas("ListServiceInstances", "quota_hungry")["Instances"]
        assert len(found) + len(others) <= 1, (found, others)
        assert not others
        running = _shown(eas, "quota_full")[0] == "Running"
        return running and [one["InstanceName"] for one in found] != [before["InstanceName"]]

    until(replaced, 60, "it was replaced")
