"""A hub without a supervisor, which dies where it is told to; and what must be left of a service."""

import os
import select
import signal
import subprocess
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from stage import Stage, healthy, until

from pierhead.cli.client import find_access
from pierhead.cli.ram_client import RamClient
from pierhead.cli.zstack_client import ZstackClient
from pierhead.failpoint import VARIABLE

#: The hub's own durable steps; those of files, backups and schemas are cut off in tests of their own.
STEPS = ("database.", "service.", "routes.", "token.", "quota.", "process.")
#: Passed when a platform ends; see test_platform_ends.py.
END = {"process.pause.after_mark"}


WARM = Path(__file__).with_name("warm_hub.py")
SOURCE = str(Path(__file__).parent.parent.parent / "src")


class Forked:
    """A hub that a warm one has become; it is spoken of as of a process that was started."""

    def __init__(self, warm: "subprocess.Popen[bytes]") -> None:
        assert warm.stdin is not None
        assert warm.stdout is not None
        self._told = warm.stdout
        warm.stdin.write(b"\n")
        self.pid = int(self._told.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """How it ended; None while it runs."""
        if self.returncode is None and select.select([self._told], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self) -> None:
        """Until it has ended."""
        if self.returncode is None:
            self.returncode = int(self._told.readline())

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


class Hub:
    """The hub of a stage, without a supervisor: it dies where it is told to, at any time."""

    def __init__(self, stage: Stage, *flags: str) -> None:
        self.stage = stage
        self._spec = stage.folder.with_name("failpoint")
        self.secret = ""  #: of the token that is issued and revoked
        env = {VARIABLE: f"@{self._spec}", "PYTHONPATH": SOURCE}
        self._warm = stage.start("hub", *flags, spoken_to=WARM, **env)
        self.start()

    def start(self) -> None:
        """Start it, armed for nothing."""
        self.arm("")
        self.process = Forked(self._warm)
        until(lambda: self.ended or healthy(self.stage.listen), "the hub does not start")
        assert not self.ended, f"the hub does not start\n{self.stage.tail()}"

    def arm(self, spec: str) -> None:
        """From now on it does that at a point."""
        part = self._spec.with_suffix(".new")
        part.write_text(spec)
        part.replace(self._spec)

    def died(self) -> None:
        """Wait until it has killed itself."""
        until(lambda: self.ended, "the hub does not come by there")
        assert self.process.returncode == -signal.SIGKILL, self.stage.tail()

    @property
    def ended(self) -> bool:
        """Has it died, and not been started again?"""
        return self.process.poll() is not None

    @cached_property
    def own(self) -> RamClient:
        """A signed client of the hub's own operations."""
        return RamClient(find_access(self.stage.folder, None, {}))

    @cached_property
    def zstack(self) -> ZstackClient:
        """A signed client of the other door."""
        return ZstackClient(find_access(self.stage.folder, None, {}))


def exactly(stage: Stage, service: str, count: int) -> bool:
    """So many replicas: each has a keeper, an engine and a folder, and there is nothing else."""
    found = [p for p in stage.processes() if p.replica.startswith(service)]
    engines = sorted(p.replica for p in found if p.role == "engine")
    keepers = [p.replica for p in found if p.role == "keeper"]
    folders = [name for name in stage.folders() if service in name]
    return len(engines) == count and engines == sorted(keepers) == folders
