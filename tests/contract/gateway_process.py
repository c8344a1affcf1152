"""A real gateway in a process of its own, as `pierhead gateway` runs it: settings in, JSON log lines out.

With PIERHEAD_TEST_COMPILED=1 it is the compiled one, and nothing else will do. With `--forks=N` it waits on
its open socket N for settings, and becomes a gateway in a fork: see gateway_forks.py.
"""

import gc
import json
import os
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

# structlog looks for it to draw tracebacks on terminals: an eighth of what it takes to be there, each time.
sys.modules["rich"] = None  # type: ignore[assignment]

import structlog  # noqa: E402
from gateway_forks import serve  # noqa: E402

from pierhead import compiled  # noqa: E402

FOUND = compiled.use() if os.environ.get("PIERHEAD_TEST_COMPILED") == "1" else None

from pierhead.gateway.main import run  # noqa: E402 (what it imports is settled above)
from pierhead.gateway.settings import GatewaySettings  # noqa: E402


def main() -> None:
    """Runs until it is told to stop."""
    given = _given(sys.argv[1])
    if given is None:
        return
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
    )
    assert FOUND is None or FOUND.library, FOUND
    given["data_dir"] = Path(given["data_dir"])
    rng = Random(given.pop("seed", 7))
    run(GatewaySettings(**given, compiled=str(FOUND or "no")), time.time, rng)


def _given(word: str) -> dict[str, Any] | None:
    """The settings; None when no more gateways are wanted."""
    name, _, number = word.partition("=")
    if name != "--forks":
        return json.loads(word)
    gc.freeze()  # what is here already is not looked through again in every gateway
    return serve(int(number))


if __name__ == "__main__":
    main()
