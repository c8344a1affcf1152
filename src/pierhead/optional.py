"""Keeps libraries from loading what they load wherever they happen to find it."""

import sys
from collections.abc import Generator
from contextlib import contextmanager


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
