"""A worker that lets requests in by what all workers used: orders come in as lines, counts go out.

`FILE WORKERS WORKER RPM CONCURRENCY` as arguments; each line says how many requests come, none of which ends.
"""

import sys
import time
from pathlib import Path

from pierhead.core.endpoint_tokens import Limits
from pierhead.gateway.allowance import Stay
from pierhead.gateway.shared import SharedUse


def main() -> None:
    """Until its input ends."""
    file, workers, worker, rpm, concurrency = sys.argv[1:]
    limits = Limits(rpm=int(rpm) or None, concurrency=int(concurrency) or None)
    allowance = SharedUse(Path(file), int(workers), int(worker)).allowance("service", "token")
    print("ready", flush=True)
    for line in sys.stdin:
        came = (allowance.enter(limits, 0, 0, time.monotonic()) for _ in range(int(line)))
        print(sum(isinstance(one, Stay) for one in came), flush=True)


if __name__ == "__main__":
    main()
