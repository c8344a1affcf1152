"""How each engine is driven: pure adapters from (template, files, placement) to a Launch."""

from collections.abc import Mapping

from pierhead.engines.base import Engine
from pierhead.engines.custom import Custom
from pierhead.engines.llama_cpp import LlamaCpp


def registry(python: str) -> Mapping[str, Engine]:
    """Every engine by the name that templates use; `python` runs the embedded one."""
    return {"llama_cpp": LlamaCpp(python), "custom": Custom()}
