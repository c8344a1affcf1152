"""Fixtures of the tests in a browser: one platform with a real engine, and Debian's chromium.

The console has to be built (`make install` does that). Each page is alone in a context: its cookie, its
language and its theme are nobody else's, and nothing of whoever had the window before.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

# What starts platforms and speaks to them lives beside the end-to-end tests.
sys.path.append(str(Path(__file__).parent.parent / "e2e"))

from clients import PythonSdk
from console_pages import Consoles, Windows
from documents import app
from lifecycle import Service
from running_platform import Platform, running

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A name that is not localhost, so that the page's context is not secure.
    "--host-resolver-rules=MAP console.test 127.0.0.1",
)


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """`pierhead up` as a real process, with the console that was built."""
    with running(
        tmp_path_factory.mktemp("platform"), PIERHEAD_HTTP_ALLOWED_HOSTS="console.test"
    ) as platform:
        yield platform


@pytest.fixture(scope="session")
def sdk(platform: Platform) -> PythonSdk:
    """The official Python SDK, as the account."""
    return PythonSdk(platform)


@pytest.fixture(scope="session")
def chat(sdk: PythonSdk) -> str:
    """The name of a service that runs, with a real model."""
    sdk("CreateAppService", body=app("chat"))
    Service(sdk, "chat").until("Running")
    return "chat"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser without a window. Not for longer: as long as it is there, an event loop runs."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "Debian's package chromium is needed: sh scripts/install-test-deps.sh"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*FLAGS])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def windows(chromium: Browser) -> Windows:
    """Its windows."""
    return Windows(chromium)


@pytest.fixture
def afterwards() -> Iterator[ExitStack]:
    """What is undone only when every console is closed: whom an open one belongs to, or what it shows."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def consoles(platform: Platform, windows: Windows, afterwards: ExitStack) -> Iterator[Consoles]:
    """Opens consoles; they are closed afterwards, and none may have asked anybody else or failed inside."""
    del afterwards  # asked for to be ended later
    opened = Consoles(platform, windows)
    yield opened
    opened.close()
