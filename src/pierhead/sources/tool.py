"""Runs a program for a build: no shell, nothing of the hub's environment, its last words kept."""

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import Lock

from pierhead.core.errors import PierheadError

#: What an operator may have set for tools on this machine: proxies, certificates, uv's own settings.
_HANDED_ON = re.compile(r"(?:https?|all|no)_proxy|SSL_CERT_(?:FILE|DIR)|UV_\w+", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_DRAWN = re.compile(r"[×╰─▶│├]+")
_LENGTH = 900  #: characters of a tool's output that a message carries


class NotBuilt(PierheadError):
    """It could not be built; the message says why in one sentence or in a tool's own words."""


class Tool:
    """Runs one program at a time; `stop` ends it from another thread, and lets no further one begin."""

    def __init__(self, seconds: float) -> None:
        """A program that takes longer than `seconds` is ended."""
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = Lock()
        self.stopped = False

    def run(self, argv: Sequence[str], env: Mapping[str, str], keep: tuple[int, ...]) -> str:
        """What it wrote to standard output. The descriptors `keep` stay open in it: a lock lives as long as whoever builds.

        Raises:
            NotBuilt: it failed, or took too long; with its last words.
            OSError: it cannot be started.
        """
        with self._turn:
            if self.stopped:
                raise NotBuilt("The hub is ending.")
            self._process = process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**tool_environment(), **env},
                cwd="/",  # no project's settings lie on the way up from here
                pass_fds=keep,
                start_new_session=True,
            )
        try:
            raw, said = process.communicate(timeout=self._seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            process.communicate()
            raise NotBuilt(f"It took longer than {self._seconds:g} s.") from None
        if process.returncode:
            words = last_words((raw + said).decode("utf-8", "replace"))
            raise NotBuilt(words or f"{argv[0]} ended with {process.returncode}.")
        return raw.decode("utf-8", "replace")

    def stop(self) -> None:
        """End what runs."""
        with self._turn:
            self.stopped = True
            process = self._process
        if process is not None:
            _kill(process)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """The tool with all that it started; whoever waits for it reaps it."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def tool_environment() -> dict[str, str]:
    """What a tool gets of our environment."""
    own = {name: value for name, value in os.environ.items() if _HANDED_ON.fullmatch(name)}
    return own | {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        "TMPDIR": tempfile.gettempdir(),
    }


def last_words(output: str) -> str:
    """The end of a tool's output as one line, without its drawings and without credentials."""
    lines = [_DRAWN.sub(" ", line).strip() for line in output.splitlines()]
    text = " ".join(" ".join(line for line in lines if line and line != "hint:")[-4000:].split())
    return _CREDENTIALS.sub("******@", text)[-_LENGTH:]
