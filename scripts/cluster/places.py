"""Where the built servers and the state of a running cluster lie."""

import os
from pathlib import Path

#: SHA-256 of the upstream tarball that build.sh makes the servers of.
DIGEST = "b83c0780efb182d928dc63d46488a847f161f04e40a94b96bf5247dd671ecdfc"


def cache() -> Path:
    """The folder of the built servers, outside of any checkout, so that a machine builds them once."""
    named = os.environ.get("PIERHEAD_CLUSTER_CACHE")
    if named:
        return Path(named).expanduser().absolute()
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "pierhead" / f"kubernetes-{DIGEST[:12]}"


def built(folder: Path) -> bool:
    """Whether `folder` holds all servers of this digest."""
    source = folder / "bin" / ".source"
    return source.exists() and source.read_text().strip() == DIGEST


def default_run() -> Path:
    """The state of the developer's own cluster; tests name a folder of their own."""
    return cache() / "run"
