"""A kubectl with a kustomize that knows components and replacements: the machine's, or the tests' own."""

import io
import json
import os
import shutil
import subprocess
import tarfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("single", "high-availability", "high-availability-tls")
#: The first minor version of kubectl 1 that suits.
_OLDEST = 27
_OWN = ROOT / ".cache" / "kubectl"
MISSING = (
    f"a kubectl of 1.{_OLDEST} or newer is needed: install one, or run `make test-deps` "
    "(x86-64 only)"
)


def _suits(program: str) -> bool:
    asked = [program, "version", "--client", "--output=json"]
    told = subprocess.run(asked, capture_output=True, timeout=60, check=False)
    if told.returncode:
        return False
    version = json.loads(told.stdout)["clientVersion"]
    return version["major"] == "1" and int(version["minor"].rstrip("+")) >= _OLDEST


def _unpacked() -> Path | None:
    """The program out of the package that `make test-deps` installs: an archive in an archive."""
    program = _OWN / "kubectl-1.37"
    for packed in _OWN.glob("lib/python3*/site-packages/aws_cdk/*/_jsii/*.tgz"):
        if not program.exists():
            with tarfile.open(packed) as outer:
                inner = outer.extractfile("package/lib/layer.zip")
                assert inner is not None
                content = zipfile.ZipFile(io.BytesIO(inner.read())).read("kubectl/kubectl")
            part = program.with_suffix(f".{os.getpid()}")
            part.write_bytes(content)
            part.chmod(0o755)
            part.replace(program)
        return program
    return None


@cache
def kubectl() -> str:
    """Path of the program; without one the test is skipped, and says what to do."""
    own = _unpacked()
    for found in (shutil.which("kubectl"), own):
        if found and _suits(str(found)):
            return str(found)
    pytest.skip(MISSING)


def rendered(folder: Path) -> list[dict[str, Any]]:
    """What kustomize makes of a folder."""
    command = [kubectl(), "kustomize", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert made.returncode == 0, made.stderr
    return [each for each in yaml.safe_load_all(made.stdout) if each]


@cache
def overlay(name: str) -> list[dict[str, Any]]:
    """The objects of one of our overlays."""
    return rendered(DEPLOY / "overlays" / name)
