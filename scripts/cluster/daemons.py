"""Processes that outlive the command that started them, found again by a file with pid and start time."""

import json
import signal
import subprocess
from collections.abc import Sequence
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

    def end(self) -> None:
        """Ask it to end, then insist; nothing of it runs afterwards."""
        process = self.process()
        if process is not None:
            try:
                process.send_signal(signal.SIGCONT)  # a stopped one would not hear
                process.send_signal(signal.SIGTERM)
                process.wait(STOP_SECONDS)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(STOP_SECONDS)
            except psutil.NoSuchProcess:
                pass
        self.pid_file.unlink(missing_ok=True)

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""
