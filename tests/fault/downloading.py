"""A process that downloads a folder of the OSS double into a cache, and can be killed at any moment."""

import sys
import time
from pathlib import Path

from pierhead import failpoint
from pierhead.core.errors import Unavailable
from pierhead.core.resources import MIB
from pierhead.sources.addresses import Egress
from pierhead.sources.download import Options
from pierhead.sources.oss import Keys, OssFolder, address
from pierhead.sources.snapshots import Snapshots

PART = MIB // 4
CONNECTIONS = 4
WHOLE, FAILED = 0, 3  #: exit codes


def download(url: str, cache: str, part: int = PART, cut: str = "") -> None:
    """Fetch `weights/m/`, and end the process; by SIGKILL at the failpoint that `cut` arms."""
    failpoint.arm(cut)
    place = address("weights", "m/", url, "cn-shanghai")
    folder = OssFolder(place, lambda: Keys("AKTEST", "SKTEST"), Egress(private=True), time.time)
    options = Options(connections=CONNECTIONS, part_bytes=part, pause=0.002, headroom=0)
    try:
        Snapshots(Path(cache), time.time, options).fetch(folder, lambda _: None, lambda: False)
    except Unavailable as error:
        print(error.message, file=sys.stderr)
        sys.exit(FAILED)
    sys.exit(WHOLE)


def remove(cache: str, cut: str) -> None:
    """Remove all snapshots, and end the process; by SIGKILL at the failpoint that `cut` arms."""
    failpoint.arm(cut)
    snapshots = Snapshots(Path(cache), time.time)
    snapshots.prune(0)
    sys.exit(WHOLE)
