"""Root's tests as somebody else: which interpreter such a user may start."""

import os
import subprocess
import sys
from functools import cache
from typing import Any

NOBODY = 65534
_ELSEWHERE = ("/usr/bin/python3", "/usr/local/bin/python3")


def identity() -> dict[str, Any]:
    """For subprocess: another user than root; who is none already stays who he is."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


@cache
def python() -> str:
    """An interpreter that this user may start; "" when there is none. Ours may lie in root's home."""
    return next((each for each in (sys.executable, *_ELSEWHERE) if _starts(each)), "")


def _starts(interpreter: str) -> bool:
    try:
        done = subprocess.run(
            (interpreter, "-I", "-S", "-c", "import ctypes"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
            check=False,
            cwd="/",
            **identity(),
        )
    except OSError:
        return False
    return done.returncode == 0
