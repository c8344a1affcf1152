"""Processes that outlive the command that started them, found again by a file with pid and start time."""

import json
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Daemon:
    """One process by its name; its output lies beside its pid file."""

    folder: Path
    name: str

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        return self.folder / f"{self.name}.pid"

    def process(self) -> psutil.Process | None:
        """The process while it runs; another one that got the same pid since is not it."""
        try:
            pid, created = json.loads(self.pid_file.read_text())
            process = psutil.Process(pid)
            same = abs(process.create_time() - created) < 1
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (OSError, psutil.NoSuchProcess):
            return None

    def listens(self, port: int) -> bool:
        """Does it take connections at this port, itself?"""
        try:
            found = self.process()
            sockets = [] if found is None else found.net_connections("tcp")
        except psutil.NoSuchProcess:
            return False
        return any(
            each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in sockets
        )

    def start(self, command: Sequence[str]) -> None:
        """Start it, unless it runs."""
        if self.process() is not None:
            return
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        created = psutil.Process(process.pid).create_time()
        self.pid_file.write_text(json.dumps([process.pid, created]))

    def ask(self) -> None:
        """Ask it to end; several may end at the same time."""
        process = self.process()
        if process is not None:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)  # a stopped one would not hear
                process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """Ask it to end, then insist; nothing of it runs afterwards."""
        self.ask()
        if not self._ended():
            process = self.process()
            if process is not None:
                process.kill()
            self._ended()
        self.pid_file.unlink(missing_ok=True)

    def _ended(self) -> bool:
        # Not psutil's wait: it lasts until the machine's init has taken note, which may be in no hurry.
        give_up = time.monotonic() + STOP_SECONDS
        while self.process() is not None:
            if time.monotonic() > give_up:
                return False
            time.sleep(0.02)
        return True

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""
