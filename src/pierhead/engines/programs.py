"""The programs of engines that an operator installed: where they are, and what it means if they are not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

#: Engine -> the name its program has in PATH, for those that are looked for there.
IN_PATH: Mapping[str, str] = {"vllm": "vllm", "transformers": "transformers"}
#: Engine -> the setting that names its program.
SETTINGS: Mapping[str, str] = {
    "llama_cpp": "engines.llama_server",
    "vllm": "engines.vllm",
    "transformers": "engines.transformers",
}


@dataclass(frozen=True, slots=True)
class Programs:
    """Paths that the operator set; "" = the embedded engine, or whatever PATH has."""

    llama_server: str = ""
    vllm: str = ""
    transformers: str = ""

    def of(self, engine: str) -> str:
        """The program that was set for an engine; "" = none."""
        named = {
            "llama_cpp": self.llama_server,
            "vllm": self.vllm,
            "transformers": self.transformers,
        }
        return named.get(engine, "")

    def wanted(self, engine: str) -> str:
        """What to look for: a path, a name in PATH, or "" for an engine that needs no program."""
        return self.of(engine) or IN_PATH.get(engine, "")


NO_PROGRAMS = Programs()


def missing(engine: str, programs: Programs, found: Callable[[str], str | None]) -> str:
    """Why an engine's program cannot be used, in a clause; "" = it can, or it needs none."""
    wanted = programs.wanted(engine)
    if not wanted or found(wanted):
        return ""
    setting = SETTINGS[engine]
    if programs.of(engine):
        return f"there is no program [{wanted}], which the setting {setting} names"
    return f"it is not installed (the setting {setting} names its program)"


def path_first(program: str) -> tuple[str, ...]:
    """The folder of a program that was named by its path: the tools of its environment lie there."""
    return (str(PurePosixPath(program).parent),) if "/" in program else ()
