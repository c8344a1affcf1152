"""The PostgreSQL server that the store's tests stand on: real, separate databases, gone afterwards."""

import socket
from pathlib import Path

import psycopg
import pytest

import postgres as fixture_module
from postgres import PostgresServer


def _connect(url: str) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(url.replace("+psycopg", ""))


def test_databases_are_fresh_and_separate(postgres: PostgresServer) -> None:
    first, second = postgres.database(), postgres.database()
    with _connect(first) as connection:
        connection.execute("CREATE TABLE mark (n int)")
    with _connect(second) as connection:
        row = connection.execute("SELECT to_regclass('mark')").fetchone()
    assert row == (None,)
    postgres.drop(first)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        _connect(first)
    postgres.drop(second)


def test_it_listens_on_loopback_only_and_leaves_nothing_behind() -> None:
    with PostgresServer() as server:
        port, pid = server.port, server.pid
        folder = Path(server._folder)
        with _connect(server.url()) as connection:
            row = connection.execute("SHOW listen_addresses").fetchone()
        assert row == ("127.0.0.1",)
    assert not folder.exists()
    assert not Path(f"/proc/{pid}").exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_missing_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixture_module.shutil, "which", lambda _: None)
    monkeypatch.setattr(fixture_module.Path, "glob", lambda *_: iter(()))
    with pytest.raises(RuntimeError, match="make test-deps"):
        fixture_module.binaries()
