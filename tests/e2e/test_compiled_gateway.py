"""What `pierhead up` runs is the compiled gateway, wherever it could be compiled."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import requests
from running_platform import Platform

from pierhead import compiled

SCRIPT = Path(__file__).parent.parent.parent / "scripts" / "compile_gateway.py"


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compile_gateway", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _could_be() -> bool:
    script: Any = _script()
    try:
        script.c_compiler(os.environ)
    except script.Uncompiled:
        return False
    return importlib.util.find_spec("mypyc") is not None and os.environ.get(script.SWITCH) != "0"


def test_the_gateway_that_runs_is_the_compiled_one(platform: Platform) -> None:
    found = compiled.find(os.environ.get("PIERHEAD_COMPILED") != "0")
    if _could_be():
        assert str(found) == "yes", f"{found}: {sys.executable} {SCRIPT}"
    told = requests.get(f"{platform.gateway}/healthz", timeout=10).json()
    assert told["compiled"] is (str(found) == "yes")
    assert "gateway serves" in platform.log
