"""Lets a process open as many files as it may: each connection and each replica takes some."""

import resource
from functools import cache


@cache
def raised_limit() -> int:
    """Raise the soft limit of open files to the hard one; the limit that there was before.

    Engines get that one back: some close every number up to the limit when they start, or select().
    A later call changes nothing and tells the same.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # "no limit" is more than some kernels give: it stays as it is
        return soft
    return soft
