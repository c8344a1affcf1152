"""What a hub that nobody uses has no need of is not in its memory, nor the platform in an engine's."""

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


def test_a_replica_of_the_embedded_engine_carries_nothing_of_the_platform() -> None:
    """Each of them would pay for it again: 3 MB, and 0.07 s of its start."""
    program = "import sys, pierhead.engines.llama_cpp_server; print(*sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    ours = {name for name in told.stdout.split() if name.startswith("pierhead.")}
    engines = {"pierhead.engines", "pierhead.engines.llama_cpp_server"}
    assert ours == engines | {"pierhead.engines.gguf_pooling", "pierhead.engines.programs"}
