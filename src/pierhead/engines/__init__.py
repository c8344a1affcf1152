"""How each engine is driven: pure adapters from (template, files, placement) to a Launch.

The adapters are imported inside the functions: each replica of the embedded engine begins in this package, and
would carry all that describes a service with it.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pierhead.engines.programs import NO_PROGRAMS, Programs, missing

if TYPE_CHECKING:
    from pierhead.core.choice import Offer
    from pierhead.engines.base import Engine


def registry(python: str, programs: Programs = NO_PROGRAMS) -> "Mapping[str, Engine]":
    """Every engine by the name that templates use; `python` runs the embedded one."""
    from pierhead.engines.custom import Custom
    from pierhead.engines.llama_cpp import LlamaCpp
    from pierhead.engines.transformers import Transformers
    from pierhead.engines.vllm import Vllm

    return {
        "llama_cpp": LlamaCpp(python, programs.llama_server),
        "vllm": Vllm(programs.of("vllm") or "vllm"),
        "transformers": Transformers(programs.of("transformers") or "transformers"),
        "custom": Custom(),
    }


def offers(
    engines: "Mapping[str, Engine]", programs: Programs, found: Callable[[str], str | None]
) -> "Mapping[str, Offer]":
    """What each engine can do, and why it cannot be used here if it cannot.

    `found` tells where a program is, by its path or its name in PATH; None = nowhere.
    """
    from pierhead.core.choice import Offer

    return {
        name: Offer(engine.capabilities, missing(name, programs, found))
        for name, engine in engines.items()
    }
