"""Small real servers to run as replicas, and a process runtime over a folder to run them in."""

import asyncio
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pierhead.core.errors import Unavailable
from pierhead.core.ids import engine_key
from pierhead.core.launch import Launch, Placement, no_files
from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.core.resources import Resources
from pierhead.core.templates import Probe, Template
from pierhead.core.workloads import Workload
from pierhead.runtimes.process.ground import Settings
from pierhead.runtimes.process.runtime import ProcessRuntime

PYTHON = (sys.executable, "-I", "-S", "-u", "-c")
SERVICE = "5e" * 16

#: Answers 200 to every GET, prints a line at its start and at its end by TERM.
SERVER = """
import os, signal, socketserver, sys
from http.server import BaseHTTPRequestHandler
def leave(*_):
    print("leaving", flush=True); os._exit(0)
signal.signal(signal.SIGTERM, leave)
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *_): pass
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True; daemon_threads = True
print("listening", os.environ["PORT"], flush=True)
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def launch(workload: Workload, placement: Placement) -> Launch:
    """As the custom engine does it, in five lines."""
    template = workload.template
    env = {**template.env, "PORT": str(placement.port), "REPLICA_ID": placement.replica}
    return Launch(template.command, env, template.readiness, template.liveness, keyed=True)


def workload(replicas: int = 1, *, code: str = SERVER, rollout: str = "1.0", **changes: Any) -> Workload:
    """N copies of a server; `changes` go into the template."""
    template = Template(
        name="test",
        engine="custom",
        command=(*PYTHON, code),
        readiness=Probe(kind="http-any", period=0.2, timeout=2.0),
        stop_grace=5.0,
        resources=Resources(),
    )
    return Workload(
        service=SERVICE,
        name="echo",
        rollout=rollout,
        replicas=replicas,
        template=replace(template, **changes),
        files=no_files(),
    )


def runtime(folder: Path, **changes: Any) -> ProcessRuntime:
    """A process runtime over `folder`, whose replicas nobody else takes for their own."""
    settings = Settings(owner="t" + str(abs(hash(str(folder))) % 10**8), cores=2)
    if not hasattr(runtime, "owners"):
        runtime.owners = {}  # type: ignore[attr-defined]
    return ProcessRuntime(
        folder,
        launch,
        time.time,
        secrets.token_bytes,
        lambda replica: engine_key(b"test", replica),
        replace(settings, **changes),
    )
