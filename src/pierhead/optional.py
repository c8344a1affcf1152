"""What need not be loaded: libraries that others load wherever they find them, and ours until they are used."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any


@contextmanager
def hidden(*names: str) -> Generator[None]:
    """What is imported meanwhile does not find these modules; nothing else changes."""
    loaded = {name: sys.modules.get(name) for name in names}
    for name in names:
        sys.modules[name] = None  # pyright: ignore[reportArgumentType]
    try:
        yield
    finally:
        for name, module in loaded.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module


class Later(ModuleType):
    """Stands for a module, which is imported when something of it is asked for.

    For what takes megabytes and most processes never use: type checkers are shown the module itself.

        if TYPE_CHECKING:
            import aiohttp
        else:
            aiohttp = Later("aiohttp")
    """

    def __getattr__(self, name: str) -> Any:
        """What the module has; kept, so that it is looked up once."""
        found = getattr(import_module(self.__name__), name)
        setattr(self, name, found)
        return found
