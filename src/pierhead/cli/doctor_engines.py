"""What `pierhead doctor` says of engines: which are here, in which version, and what they read."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

from pierhead.bootstrap.engines import engines
from pierhead.core.choice import Offer
from pierhead.settings import Settings

#: Seconds that a program gets to tell its version.
_PATIENCE = 5.0
#: Engines that run programs of the operator's, and what each is good for where it is missing.
_OPTIONAL = {
    "vllm": "It serves safetensors folders on GPUs.",
    "transformers": "It serves safetensors folders, on the CPU too.",
}


class EngineRow(NamedTuple):
    """One engine: its name, how it is, what was found, what to do."""

    check: str
    level: Literal["ok", "warn", "fail"]
    found: str
    advice: str = ""


def engine_rows(settings: Settings) -> Iterator[EngineRow]:
    """A row for each engine that serves weights. It runs nothing but `llama-server --version`."""
    found = engines(settings).offers
    yield _llama_cpp(found["llama_cpp"], settings.engines_llama_server)
    yield _of_python("vllm", found["vllm"], settings.engines_vllm)
    yield _of_python("transformers", found["transformers"], settings.engines_transformers)


def _llama_cpp(offer: Offer, server: str) -> EngineRow:
    check, reads = "engine llama_cpp", _reads(offer)
    if offer.missing:
        return EngineRow(check, "fail", offer.missing, "Correct the setting, or leave it out.")
    if server:
        return EngineRow(check, "ok", f"{server}{_said_version(server)}; {reads}")
    try:
        version = metadata.version("xllamacpp")
    except metadata.PackageNotFoundError:
        return EngineRow(
            check,
            "warn",
            "llama.cpp is not installed",
            f"{sys.executable} -m pip install xllamacpp; without it only services with a command of their own run.",
        )
    return EngineRow(check, "ok", f"embedded (xllamacpp {version}); {reads}")


def _of_python(engine: str, offer: Offer, named: str) -> EngineRow:
    check = f"engine {engine}"
    if offer.missing and named:
        return EngineRow(check, "fail", offer.missing, "Correct the setting, or leave it out.")
    if offer.missing:  # nobody has to have it
        return EngineRow(check, "ok", offer.missing, _OPTIONAL[engine])
    program = shutil.which(named or engine) or named
    version = _installed_version(engine, Path(program))
    return EngineRow(check, "ok", f"{program}{version}; {_reads(offer)}")


def _reads(offer: Offer) -> str:
    able = offer.capabilities
    where = " and ".join(name for name, can in (("CPU", able.on_cpu), ("GPU", able.on_gpu)) if can)
    refused = ", ".join(sorted(able.refuses))
    but = f", but not {refused}" if refused else ""
    return f"reads {' and '.join(sorted(able.formats))}{but}; computes on {where}"


def _said_version(program: str) -> str:
    """` 6271` of `version: 6271 (...)`; "" when it does not tell."""
    try:
        done = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    said = re.search(rb"version: ([\w.+-]{1,40})", done.stdout + done.stderr)
    return f" {said[1].decode()}" if said else ""


def _installed_version(engine: str, program: Path) -> str:
    """As its environment has it written down: asking the program would load all of PyTorch."""
    packages = program.resolve().parent.parent.glob("lib/python*/site-packages/*.dist-info")
    for folder in sorted(packages):
        name, _, version = folder.name.removesuffix(".dist-info").partition("-")
        if name in {engine, f"{engine}_cpu"}:
            return f" {version}"
    return ""
