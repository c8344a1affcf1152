"""What policies may ask about a request besides who and what: from where, how, when.

Behind trusted proxies the front door has put the client's own address and scheme into the scope.
"""

from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

from pierhead.core.proxies import address_of


def circumstances(scope: MutableMapping[str, Any], now: float) -> dict[str, str]:
    """The condition keys of a request that came at `now` (epoch seconds), by its ASGI scope."""
    found = {
        "acs:SecureTransport": "true" if scope.get("scheme") == "https" else "false",
        "acs:CurrentTime": f"{datetime.fromtimestamp(now, UTC).isoformat()[:19]}Z",
        "acs:MFAPresent": "false",  # nothing here asks for a second factor
    }
    source = address_of(str((scope.get("client") or ("",))[0]))
    return found if source is None else {**found, "acs:SourceIp": str(source)}
