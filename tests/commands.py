"""`pierhead ...` to its end, as a process of its own that does not have to import everything first.

To run a verb is mostly to import it: 0.4 s of a core, hundreds of times. So the tests of a process share one
that has imported all of it and becomes the verb in a fork, with arguments, environment, folder, input and
output of its own. Tests that are about the start itself, or about long-lived verbs, start the real program.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

#: What verbs import, at once or when they are told to do something. None of it starts a thread.
HEAVY = (
    "pierhead.cli.main",
    "pierhead.bootstrap.database",
    "pierhead.bootstrap.watching",
    "pierhead.bootstrap.planning",
    "pierhead.bootstrap.storage",
    "pierhead.dialects.eas.reading",
    "pierhead.dialects.eas.service_document",
    "pierhead.operations.connections",
    "pierhead.sources.delivery",
)


def pierhead(
    *words: str, given: str = "", env: Mapping[str, str] | None = None, timeout: float = 60.0
) -> "subprocess.CompletedProcess[str]":
    """What `pierhead WORDS` says and how it ends; `given` is its input, `env` all of its environment.

    Raises:
        subprocess.TimeoutExpired: it did not end in so many seconds, and was killed.
    """
    return _warm().run(words, given, dict(os.environ if env is None else env), timeout)


class _Warm:
    """The process that becomes one verb after another."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self._one = threading.Lock()

    def run(
        self, words: tuple[str, ...], given: str, env: dict[str, str], timeout: float
    ) -> "subprocess.CompletedProcess[str]":
        asked: dict[str, Any] = {"words": words, "env": env, "cwd": str(Path.cwd())}
        with self._one, tempfile.TemporaryDirectory() as folder:
            at = {name: str(Path(folder, name)) for name in ("0", "1", "2")}
            Path(at["0"]).write_text(given)
            code = self._ended(asked | {"at": at}, timeout)
            out, err = (Path(at[name]).read_text() for name in ("1", "2"))
        return subprocess.CompletedProcess(["pierhead", *words], code, out, err)

    def _ended(self, asked: dict[str, Any], timeout: float) -> int:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(asked).encode() + b"\n")
        pid = int(stdout.readline())
        if select.select([stdout], [], [], timeout)[0]:
            return int(stdout.readline())
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        stdout.readline()
        raise subprocess.TimeoutExpired(["pierhead", *asked["words"]], timeout)

    def close(self) -> None:
        """It ends when its input does."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait()


@lru_cache(maxsize=1)
def _warm() -> _Warm:
    warm = _Warm()
    atexit.register(warm.close)
    return warm


def become(asked: Mapping[str, Any]) -> None:
    """Be `python -m pierhead` with these arguments, this environment, input and output."""
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    for number, flags in enumerate(
        (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT)
    ):
        opened = os.open(asked["at"][str(number)], flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = ["pierhead", *asked["words"]]
    runpy.run_module("pierhead", run_name="__main__", alter_sys=True)


def main() -> None:
    """Become what each line of the input asks for, in a child; tell its pid, and when it ended, how."""
    for name in HEAVY:
        importlib.import_module(name)
    told, asked = os.dup(1), os.fdopen(os.dup(0), "rb", buffering=0)
    gc.freeze()  # what is here already is not looked through again in every child
    for line in asked:
        child = os.fork()
        if child == 0:
            os.close(told)
            asked.close()
            become(json.loads(line))
            return
        os.write(told, b"%d\n" % child)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(told, b"%d\n" % ended)


if __name__ == "__main__":
    main()
