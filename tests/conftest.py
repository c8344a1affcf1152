"""Fixtures for all tests: a real PostgreSQL server, and the rule that nothing leaves this machine."""

import ipaddress
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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
