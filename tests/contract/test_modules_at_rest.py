"""What a hub that nobody uses has no need of is not in its memory."""

import subprocess
import sys

#: Each of them, with what it brings along, takes up to eight megabytes.
_SELDOM = (
    "aiohttp",
    "pierhead.core.diagnosis.texts",
    "pierhead.core.history",
    "pierhead.core.openapi",
    "pierhead.dialects.eas.explained",
    "pierhead.dialects.eas.openapi",
    "pierhead.dialects.ram.explained",
    "pierhead.dialects.zstack.explained",
    "pierhead.dialects.zstack.openapi",
    "pierhead.gateway.explained",
    "pierhead.web.samples.making",
)
_START = """
import sys
from pathlib import Path
from pierhead.bootstrap import explorer, hub, playground
from pierhead.settings import Settings
settings = Settings(data_dir=Path("nowhere"))
explorer.explorer(settings).routes()
explorer.documents("http://hub", "http://gateway")
playground.gateways(settings)
print(*sys.modules)
"""


def test_a_hub_loads_no_more_than_it_needs_at_its_start() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _START], capture_output=True, text=True, check=True
    )
    loaded = set(told.stdout.split())
    assert "pierhead.bootstrap.hub" in loaded
    assert sorted(loaded.intersection(_SELDOM)) == []
