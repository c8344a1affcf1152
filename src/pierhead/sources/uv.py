"""Builds a Python environment with uv: an interpreter that is on this machine, wheels from an index."""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pierhead.core.templates import Environment
from pierhead.sources.tool import NotBuilt, Tool

_VERSION = re.compile(
    r"(?:[<>=!~]{0,2}\s*\d+(?:\.(?:\d+|\*)){0,2}(?:(?:a|b|rc)\d+)?(?:\s*,\s*|$))+"
)
_INSTALL = "install it (pip install 'pierhead[environments]') and restart the service"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Uv:
    """uv at `program`, working for one build."""

    program: str
    tool: Tool
    cache: Path
    downloads: bool  #: may it fetch an interpreter?
    keep: tuple[int, ...] = ()  #: descriptor of the build's lock

    def version(self) -> str:
        """`uv 0.13.9`."""
        return " ".join(self._run("--version").split()[:2])

    def build(self, environment: Environment, folder: Path, say: Say) -> None:
        """Make the environment in `folder`, which does not exist yet.

        Raises:
            NotBuilt: no such interpreter, or a requirement cannot be had.
        """
        python = self._python(environment.python, say)
        named = f"Python {environment.python}" if environment.python else "the platform's Python"
        say(f"making an environment with {named}")
        self._run("venv", "--no-project", f"--python={python}", str(folder))
        if environment.requirements:
            count = len(environment.requirements)
            say(f"installing {count} requirement{'s' * (count > 1)}")
            self._install(environment, folder)

    def _install(self, environment: Environment, folder: Path) -> None:
        wanted = folder / "requirements.txt"
        wanted.touch(mode=0o600)
        wanted.write_text("\n".join(environment.requirements) + "\n", "utf-8")
        self._run(
            *(
                "pip",
                "install",
                f"--python={folder / 'bin' / 'python'}",
                "--requirement",
                str(wanted),
            ),
            # By the environment, not by arguments: an index's URL may hold a password.
            env={"UV_DEFAULT_INDEX": environment.index_url} if environment.index_url else {},
            insecure=environment.trusted_host,
        )

    def _python(self, version: str, say: Say) -> str:
        """What to give to `uv venv --python`."""
        if not version:
            return sys.executable
        asked = version.lower().removeprefix("python").removeprefix("v").strip()
        if _VERSION.fullmatch(asked) is None:
            raise NotBuilt(f"[{version}] is no version of Python, such as 3.11 or 3.12.4.")
        if self.downloads:
            return asked
        say(f"looking for Python {version}")
        try:
            return self._run("python", "find", "--system", "--no-project", asked).splitlines()[-1]
        except NotBuilt as error:
            raise NotBuilt(
                f"Python {version} is not on this machine (there is {self._installed()}); install it, "
                "ask for one that is there, or set environments.download = true in settings.toml."
            ) from error

    def _installed(self) -> str:
        text = self._run("python", "list", "--only-installed", "--output-format=json")
        found: list[dict[str, Any]] = json.loads(text)
        versions = {tuple(map(int, re.findall(r"\d+", one["version"])[:3])) for one in found}
        return ", ".join(".".join(map(str, version)) for version in sorted(versions)) or "none"

    def _run(self, *arguments: str, env: dict[str, str] | None = None, insecure: str = "") -> str:
        trusted = {"UV_INSECURE_HOST": insecure} if insecure else {}
        own = {
            "PATH": _interpreters(),
            "UV_CACHE_DIR": str(self.cache),
            "UV_PYTHON_DOWNLOADS": "automatic" if self.downloads else "never",
            "UV_NO_PROGRESS": "1",
            "NO_COLOR": "1",
        }
        return self.tool.run(
            (self.program, *arguments), {**own, **(env or {}), **trusted}, self.keep
        )


def find_uv() -> str:
    """Where uv is: beside our interpreter, or on PATH.

    Raises:
        NotBuilt: it is not installed.
    """
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("uv")
    if not found:
        raise NotBuilt(f"Environments are built with uv, which is not there: {_INSTALL}.")
    return found


def _interpreters() -> str:
    """PATH with pyenv's real interpreters in place of its shims, which answer for versions not chosen."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    root = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser()
    real = [str(folder) for folder in sorted((root / "versions").glob("*/bin"), reverse=True)]
    return os.pathsep.join([*(folder for folder in folders if "shims" not in folder), *real])
