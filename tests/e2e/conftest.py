"""Fixtures of the end-to-end tests: one platform for all of them, emptied after each module."""

from collections.abc import Iterator

import pytest
from clients import PythonSdk
from lifecycle import Service
from running_platform import Platform, running


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
