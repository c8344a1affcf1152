"""Which time zone a name means, and which one no name means: the setting's, or this host's."""

import os
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from pierhead.core.cron_scalers import Zones

_LOCALTIME = Path("/etc/localtime")


def zones(setting: str) -> Zones:
    """Time zones by IANA name; "" is the one of `setting`, or where that is empty, this host's.

    The function raises KeyError, ValueError or OSError for what is no name of one.
    """

    def zone(name: str) -> tzinfo:
        return ZoneInfo(name or setting) if name or setting else usual

    usual = _of_host()
    return zone


def _of_host() -> tzinfo:
    """By TZ, else by the host's own file; a host that tells nothing is on UTC."""
    name = os.environ.get("TZ", "").removeprefix(":")
    try:
        if name:
            return ZoneInfo(name)
        with _LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file, key="localtime")
    except (KeyError, ValueError, OSError):
        return UTC
