"""Service JSONs that the tests submit."""

import sys
from pathlib import Path
from typing import Any

from clients import Json

ECHO = Path(__file__).parent / "echo_server.py"
#: Starts in a tenth of a second: no site packages, no user's settings.
SCRIPT = f"{sys.executable} -I -S -u {ECHO}"


def document(name: str, *, script: str = SCRIPT, **metadata: Any) -> Json:
    """A service that answers with what it was asked."""
    container: Json = {
        "script": script,
        "readiness_check": {"http_get": {"path": "/ready"}, "period_seconds": 1},
    }
    return {"metadata": {"name": name, "instance": 1, **metadata}, "containers": [container]}


def app(name: str, spec: str = "smollm2_135m_q4", replicas: Any = 1, **more: Any) -> Json:
    """The body of CreateAppService."""
    return {
        "ServiceName": name,
        "AppType": "LLM",
        "AppVersion": "v1",
        "ServiceSpec": spec,
        "Replicas": replicas,
        **more,
    }
