"""Fixtures for all tests: a real PostgreSQL server, and the rule that nothing leaves this machine."""

import gc
import ipaddress
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import in_memory
import longest_first
from postgres import PostgresServer

_LOOPBACK_ONLY = {"unit", "contract"}
_guarded = False


def _refuse_strangers(event: str, arguments: tuple[object, ...]) -> None:
    if not _guarded or event != "socket.connect":
        return
    address = arguments[1]
    if isinstance(address, tuple) and not _is_loopback(str(address[0])):
        raise RuntimeError(
            f"a test tried to reach {address[0]}; unit and contract tests use loopback only"
        )


def _is_loopback(host: str) -> bool:
    if host in {"localhost", ""}:
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False  # a name that would have to be looked up


sys.addaudithook(_refuse_strangers)  # can never be removed; the flag switches it


def pytest_collectstart() -> None:
    """Ten thousand tests stay until the end: while they are collected there is no garbage to look for."""
    gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Hypothesis has its tables, and what was collected is never looked through for garbage."""
    if any(item.get_closest_marker("hypothesis") for item in session.items):
        _draw_once()
    gc.collect()
    gc.freeze()
    gc.set_threshold(5000, 20, 20)
    gc.enable()


def _draw_once() -> None:
    """Hypothesis makes its table of all characters when it first needs it, and keeps it on disk.

    In a fresh clone, beside other work, that takes longer than it allows the drawing of any test.
    """
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    @settings(max_examples=1, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.text())
    def draw(_text: str) -> None:
        """Nothing is tested."""

    draw()


def pytest_configure(config: pytest.Config) -> None:
    """Folders of tests in memory, where there is room; and how long each file takes, if that is asked for."""
    if root := in_memory.folder(in_memory.FOR_TESTS, runs=True):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(root))
    if os.environ.get("PIERHEAD_RECORD_SECONDS") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(longest_first.Recorder(), "seconds-recorder")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Side by side, the longest files begin first; alone, everything stays where it stands."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        named = [(item.nodeid.partition("::")[0], item) for item in items]
        items[:] = longest_first.ordered(named, longest_first.known())


@pytest.fixture(autouse=True)
def loopback_only(request: pytest.FixtureRequest) -> Iterator[None]:
    """In unit and contract tests a connection to another machine fails the test."""
    global _guarded  # noqa: PLW0603 - an audit hook has no other way to be told
    parts = Path(str(request.path)).relative_to(Path(__file__).parent).parts
    _guarded = parts[0] in _LOOPBACK_ONLY
    yield
    _guarded = False


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server per test process (each xdist worker has its own), started when first asked for."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """Address of a fresh, empty PostgreSQL database."""
    url = postgres.database()
    yield url
    postgres.drop(url)


@pytest.fixture(scope="session")
def postgres_model(postgres: PostgresServer) -> str:
    """Address of a PostgreSQL database with the schema of this release, to be copied."""
    from pierhead.store import schema

    url = postgres.database()
    assert schema.migrate(url)
    return url


@pytest.fixture
def postgres_made_url(postgres: PostgresServer, postgres_model: str) -> Iterator[str]:
    """Address of a fresh PostgreSQL database with the schema of this release; a copy is made sooner."""
    url = postgres.database(like=postgres_model)
    yield url
    postgres.drop(url)
