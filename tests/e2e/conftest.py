"""Fixtures of the end-to-end tests: one platform for all of them, emptied after each module."""

import uuid
from collections.abc import Iterator

import pytest
from clients import PythonSdk
from lifecycle import Service
from running_platform import Platform, running, until
from zstack_client import GROUPS, ZStack

from pierhead.core.specs import BUILT_IN


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """`pierhead up` as a real process; stopped at the end, and nothing of it may run on."""
    with running(tmp_path_factory.mktemp("platform")) as platform:
        yield platform


@pytest.fixture(scope="module")
def eas(platform: Platform) -> Iterator[PythonSdk]:
    """The official Python SDK; what a module leaves behind is deleted after it."""
    sdk = PythonSdk(platform)
    yield sdk
    left = [Service(sdk, item["ServiceName"]) for item in sdk("ListServices")["Services"]]
    for service in left:
        service.sdk("DeleteService", service.name)
    for service in left:
        service.gone()


@pytest.fixture(scope="module")
def zstack(platform: Platform) -> Iterator[ZStack]:
    """A login at the ZStack door; groups and templates that a module leaves behind go after it."""
    client = ZStack(platform).log_in()
    shipped = {uuid.uuid5(uuid.NAMESPACE_URL, f"pierhead:spec:{name}").hex for name in BUILT_IN}
    yield client
    for group in client.query(GROUPS):
        client.call("DELETE", f"{GROUPS}/{group['uuid']}")
    until(lambda: client.query(GROUPS) == [], 45, "all groups are gone")
    for item in client.query("/ai/model-services", fields="uuid"):
        if item["uuid"] not in shipped:
            client.call("DELETE", f"/ai/model-services/{item['uuid']}", deleteMode="Enforcing")
    client.http.close()
