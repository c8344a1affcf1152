"""A real NFS server in user space, nfs-ganesha: it hangs on SIGSTOP and vanishes on SIGKILL."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from ports import free_port

_CONFIG = """
NFS_CORE_PARAM {{ NFS_Port = {port}; Bind_addr = 127.0.0.1; Protocols = 4; Enable_NLM = false;
  Enable_RQUOTA = false; mount_path_pseudo = true; }}
NFSV4 {{ Graceless = true; RecoveryRoot = {folder}/recov; }}
EXPORT_DEFAULTS {{ Access_Type = RW; Squash = No_root_squash; Protocols = 4; Transports = TCP; SecType = sys; }}
EXPORT {{ Export_Id = 1; Path = {folder}/export; Pseudo = /export; FSAL {{ Name = VFS; }} }}
LOG {{ Default_Log_Level = EVENT; }}
"""
START_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class NfsServer:
    """A server that runs."""

    process: "subprocess.Popen[bytes]"
    port: int
    folder: Path

    @property
    def export(self) -> Path:
        """What it serves."""
        return self.folder / "export"

    @property
    def address(self) -> str:
        """As a storage connection takes it."""
        return f"127.0.0.1:/export,port={self.port}"

    def hang(self) -> None:
        """Answer nothing; connections stay open."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Answer again."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)

    def vanish(self) -> None:
        """End at once."""
        self.process.kill()
        self.process.wait()


@contextmanager
def nfs_server(folder: Path, port: int = 0) -> Generator[NfsServer]:
    """A server of `folder/export`; whoever calls fills it. It fails loudly where none can run."""
    if not shutil.which("ganesha.nfsd") or not shutil.which("nfs-cat") or os.geteuid() != 0:
        pytest.fail(
            "the NFS tests need root and the packages nfs-ganesha nfs-ganesha-vfs libnfs-utils: "
            "run scripts/install-test-deps.sh"
        )
    for name in ("export", "recov"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    config = folder / "ganesha.conf"
    config.write_text(_CONFIG.format(port=port, folder=folder))
    where = ("-f", str(config), "-L", f"{folder}/log", "-p", f"{folder}/pid")
    with subprocess.Popen(
        ("ganesha.nfsd", "-F", *where),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        server = NfsServer(process, port, folder)
        try:
            _wait_for(port, folder)
            yield server
        finally:
            server.go_on()
            process.kill()


def _wait_for(port: int, folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        assert time.monotonic() < deadline, f"ganesha does not listen: {folder}/log"
        time.sleep(0.02)
