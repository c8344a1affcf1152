"""A real PostgreSQL server for the tests: own data folder, free loopback port, gone afterwards.

with PostgresServer() as server:
    url = server.database()  # postgresql+psycopg://... of a fresh, empty database
    other = server.database(like=url)  # a copy of it
"""

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import in_memory

if TYPE_CHECKING:
    import psycopg

NEEDED = (
    "This test needs PostgreSQL's server programs (initdb, postgres); "
    "install Debian's package `postgresql`, or run `make test-deps`."
)
#: Bytes that must be free in memory: there a database is made and dropped in a tenth of the processor's time.
_MEMORY_NEEDED = 1 << 30
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


def binaries() -> Path:
    """The folder with initdb and postgres.

    Raises:
        RuntimeError: no server is installed; the message says what to install.
    """
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve()] if on_path else []
    found += sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        key=lambda path: float(path.parts[-3]),
        reverse=True,
    )
    for candidate in found:
        if (candidate.parent / "postgres").exists():
            return candidate.parent
    raise RuntimeError(NEEDED)


def _drop_root() -> list[str]:
    """PostgreSQL refuses to run as root; then it runs as the package's own user."""
    if os.geteuid() != 0:
        return []
    try:
        account = pwd.getpwnam("postgres")
    except KeyError as error:
        raise RuntimeError(NEEDED) from error
    return [
        "setpriv",
        f"--reuid={account.pw_uid}",
        f"--regid={account.pw_gid}",
        "--clear-groups",
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PostgresServer:
    """One server; a context manager. Not safe for data: fsync is off."""

    def __init__(self) -> None:
        self._bin = binaries()
        self._prefix = _drop_root()
        # Not pytest's own folders: these are closed to other users, and the server may run as one.
        self._folder = Path(
            tempfile.mkdtemp(prefix="pierhead-pg-", dir=in_memory.folder(_MEMORY_NEEDED))
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._session: psycopg.Connection | None = None
        self._serial = itertools.count(1)
        self.port = 0

    def __enter__(self) -> "PostgresServer":
        try:
            self._initialize()
            for _ in range(3):  # the port may be taken between choosing and binding it
                if self._start():
                    return self
            raise RuntimeError(f"PostgreSQL did not start:\n{self.log()}")
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The postmaster's process id; the server must run."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str = "postgres") -> str:
        """SQLAlchemy's address of one database."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def database(self, like: str = "") -> str:
        """Address of a fresh database: empty, or a copy of one that nobody is connected to."""
        name = f"test_{next(self._serial)}"
        model = like.rpartition("/")[2] or "template1"
        # Nothing has to be on disk here, so to copy files is cheapest; before 15 it was the only way.
        way = "STRATEGY FILE_COPY" if self._version() >= 150000 else ""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{model}" {way}')
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database that `database()` made, with whoever is still connected."""
        name = url.rsplit("/", 1)[1]
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, statement: str) -> None:
        """Run one statement in the `postgres` database, outside a transaction.

        All of them on one session, which is made anew when it broke: each costs the server a process.
        """
        import psycopg

        if self._session is not None:
            try:
                self._session.execute(statement.encode())
            except psycopg.OperationalError:
                self._session.close()
                if not self._session.broken:
                    raise
            else:
                return
        address = f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"
        self._session = psycopg.connect(address, autocommit=True, connect_timeout=10)
        self._session.execute(statement.encode())

    def _version(self) -> int:
        if self._session is None:
            self.execute("SELECT 1")
        assert self._session is not None
        return self._session.info.server_version

    def log(self) -> str:
        """What the server wrote."""
        path = self._folder / "log"
        return path.read_text(errors="replace") if path.exists() else "(nothing)"

    def stop(self) -> None:
        """End the server and remove its folder; safe to call again."""
        if self._session is not None:
            self._session.close()
            self._session = None
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)  # "fast": ends sessions, then itself
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(_STOP_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _initialize(self) -> None:
        if self._prefix:
            account = pwd.getpwnam("postgres")
            os.chown(self._folder, account.pw_uid, account.pw_gid)
        made = subprocess.run(
            [
                *self._prefix,
                str(self._bin / "initdb"),
                f"--pgdata={self._folder / 'data'}",
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--no-instructions",
            ],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=_START_SECONDS,
            check=False,
        )
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{made.stdout}{made.stderr}")

    def _start(self) -> bool:
        self.port = _free_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self._folder,
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": 60,
            "shared_buffers": "32MB",
            "max_wal_size": "128MB",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._prefix,
                    str(self._bin / "postgres"),
                    "-D",
                    str(self._folder / "data"),
                    *options,
                ],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # ^C at the terminal is for pytest, which stops us in order
            )
        return self._wait_until_ready(self._process)

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]") -> bool:
        import psycopg

        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                return False
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                time.sleep(0.05)  # a poll with a deadline: the server tells nobody when it is ready
            else:
                return True
        return False
