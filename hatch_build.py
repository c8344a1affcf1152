"""Build hook: the wheel and the source package carry the console's pages, made here if need be.

With PIERHEAD_COMPILE=1 a wheel carries the compiled gateway, too, and is for one Python on one kind of
machine; without, it is for all of them.
"""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def _script(root: str, name: str) -> ModuleType:
    """One of `scripts`, which are in no package."""
    path = Path(root, "scripts", f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is missing")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


class BuildHook(BuildHookInterface[Any]):
    """Has the pages, and the library if it is wanted, there before hatchling collects files."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node as a Python package and the compiler, only where they are needed."""
        console = _script(self.root, "build_console")
        system = console.system_node(os.environ)
        found = console.way(console.Places(Path(self.root)), os.environ, system)
        node = [console.NODE_PACKAGE] if found is console.Way.FETCHED else []
        return [*node, *(_script(self.root, "compile_gateway").TOOLS if self._compiles() else ())]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the console, unless it is there; compile the gateway, if that is wanted."""
        self._build_console()
        # An editable install shows the sources' own folder, which `make install` compiles for.
        if self._compiles() and version != "editable":
            self._compile_gateway(build_data)

    def _compiles(self) -> bool:
        return self.target_name == "wheel" and os.environ.get("PIERHEAD_COMPILE") == "1"

    def _compile_gateway(self, build_data: dict[str, Any]) -> None:
        compiling = _script(self.root, "compile_gateway")
        try:
            folder, _ = compiling.make(Path(self.root), os.environ)
        except compiling.Uncompiled as error:
            lines = [f"The gateway could not be compiled: {error}", *error.said]
            raise SystemExit("\n".join(lines)) from error
        build_data["artifacts"].append(f"{folder.relative_to(self.root)}/**")
        build_data["pure_python"], build_data["infer_tag"] = False, True

    def _build_console(self) -> None:
        console = _script(self.root, "build_console")
        places, system = console.Places(Path(self.root)), console.system_node(os.environ)
        found = console.way(places, os.environ, system)
        if found not in (console.Way.BUILT, console.Way.FETCHED):
            return
        node = system or console.packaged_node()
        try:
            if node is None:
                raise console.Unbuilt(f"{console.NODE_PACKAGE} brought no Node")
            console.build(places, node)
        except console.Unbuilt as error:
            lines = [f"The console could not be built: {error}", *error.said]
            lines.append(f"To install without it, set {console.SKIP}=1.")
            raise SystemExit("\n".join(lines)) from error
