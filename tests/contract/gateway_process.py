"""A real gateway in a process of its own, as `pierhead gateway` runs it: settings in, JSON log lines out."""

import asyncio
import json
import sys
import time
from pathlib import Path
from random import Random

import structlog

from pierhead.gateway.main import serve
from pierhead.gateway.settings import GatewaySettings


def main() -> None:
    """Runs until it is told to stop."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
    )
    given = json.loads(sys.argv[1])
    given["data_dir"] = Path(given["data_dir"])
    asyncio.run(serve(GatewaySettings(**given), time.time, Random(7)))


if __name__ == "__main__":
    main()
