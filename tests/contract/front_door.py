"""What the front door needs of a hub, where a test has none."""

from typing import Any, cast

from pierhead.web.app import Inside


def an_inside(**given: Any) -> Inside:
    """All that is not given is asked for by nobody, or says that all is well."""
    usual: dict[str, Any] = {
        "routes": cast(Any, None),
        "heard": cast(Any, None),
        "wake": cast(Any, None),
        "health": lambda: {"status": "ok"},
        "metrics": cast(Any, None),
        "openapi": {},
        "internal_key": "internal",
    }
    return Inside(**(usual | given))
