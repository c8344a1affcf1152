"""Builds an environment from conda packages with py-rattler, which solves and installs in this process."""

import asyncio
import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from pierhead.core.templates import Environment
from pierhead.sources.tool import NotBuilt

#: A requirement that means the same to pip and to conda: a name and bounds of its version.
_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?P<bounds>(?:[<>=!~]=?=?\s*[\w.*+!-]+\s*,?\s*)*)"
)


def specs(environment: Environment) -> tuple[str, ...]:
    """What conda is asked for: python, and each requirement.

    Raises:
        NotBuilt: a requirement line has no meaning to conda.
    """
    python = f"python {environment.python}.*" if environment.python else "python"
    if re.search(r"[<>=!~*]", environment.python):
        python = f"python {environment.python}"
    lines = (line.partition(" #")[0].strip() for line in environment.requirements)
    return (python, *(_spec(line) for line in lines if line and not line.startswith("#")))


def _spec(line: str) -> str:
    found = _REQUIREMENT.fullmatch(line)
    if found is None:
        raise NotBuilt(
            f"The requirement [{line}] means nothing to conda: write a name and a version, as in numpy==2.1.0."
        )
    bounds = found["bounds"].replace(" ", "").rstrip(",")
    return f"{found['name'].lower()} {bounds}".strip()


def rattler_version() -> str:
    """`py-rattler 0.28.0`.

    Raises:
        NotBuilt: it is not installed.
    """
    return f"py-rattler {_rattler().__version__}"


def build(
    environment: Environment, folder: Path, channels: Sequence[str], cache: Path, seconds: float
) -> None:
    """Solve and install into `folder`, within `seconds`.

    Raises:
        NotBuilt: the channels do not have what is asked for, or cannot be reached.
    """
    asyncio.run(_build(specs(environment), folder, channels, (cache, seconds)))


async def _build(
    wanted: Sequence[str], folder: Path, channels: Sequence[str], bounds: tuple[Path, float]
) -> None:
    rattler = _rattler()
    faults = _faults()
    cache, seconds = bounds
    try:
        async with asyncio.timeout(seconds):
            records = await rattler.solve(
                list(channels),
                list(wanted),
                gateway=rattler.Gateway(cache_dir=cache / "repodata"),
                virtual_packages=rattler.VirtualPackage.detect(),
            )
            await rattler.install(
                records, target_prefix=folder, cache_dir=cache / "packages", show_progress=False
            )
    except TimeoutError:
        raise NotBuilt(f"It took longer than {seconds:g} s.") from None
    except faults as error:
        what = f"{', '.join(wanted)} from {', '.join(channels)}"
        raise NotBuilt(f"conda cannot provide {what}: {' '.join(str(error).split())}") from error


def _rattler() -> Any:
    try:
        return import_module("rattler")
    except ModuleNotFoundError as error:
        raise NotBuilt(
            "conda environments are built with py-rattler, which is not there: install it "
            "(pip install 'pierhead[conda]'), or leave condaVersion out to build with uv."
        ) from error


def _faults() -> tuple[type[Exception], ...]:
    """Everything that rattler raises on purpose."""
    found = vars(import_module("rattler.exceptions")).values()
    own = (kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception))
    return (*own, OSError)
