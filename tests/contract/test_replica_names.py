"""Which engine a replica runs, and by which name it knows its model: recorded, reported, asked for."""

import asyncio
import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

from pierhead.core.ids import engine_key
from pierhead.core.launch import Launch, Placement
from pierhead.core.replicas import ReplicaState
from pierhead.core.templates import Probe
from pierhead.core.workloads import Workload
from pierhead.runtimes.process.ground import Settings
from pierhead.runtimes.process.records import ReplicaFolder, RunFacts
from pierhead.runtimes.process.runtime import ProcessRuntime
from replica_servers import gone, owner_of, ready, settle, workload

#: A double of an engine that answers completions of one model, whose name is its argument.
ENGINE = """
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["model"]
        self.send_response(200 if asked == sys.argv[1] else 400)
        self.end_headers()
        self.wfile.write(json.dumps({"model": asked, "choices": [{"text": "x"}]}).encode())
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *args): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
OWN = ".@main"


def launch(wanted: Workload, placement: Placement) -> Launch:
    return Launch(
        argv=(sys.executable, "-I", "-S", "-c", ENGINE, OWN),
        env={"PORT": str(placement.port)},
        readiness=wanted.template.readiness,
        model=wanted.template.workdir and OWN,  # a template field of no other use here
    )


def engine_of(folder: Path) -> ProcessRuntime:
    return ProcessRuntime(
        folder,
        launch,
        time.time,
        lambda count: b"e" * count,
        lambda replica: engine_key(b"a secret of this test", replica),
        Settings(owner=owner_of(folder), cores=2),
    )


def test_it_is_probed_by_the_name_that_its_engine_knows_and_reported_with_it(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        runtime = engine_of(tmp_path)
        probe = Probe(kind="completion", path="/v1/completions", period=0.2, timeout=2.0)
        wanted = workload(engine="transformers", readiness=probe, workdir=str(tmp_path))
        try:
            (found,) = await settle(runtime, wanted, ready(1))
            assert (found.engine, found.model) == ("transformers", OWN)
            await runtime.close()
            runtime = engine_of(tmp_path)  # the next hub reads it from the record
            await runtime.adopt()
            (again,) = runtime.observe(wanted.service)
            assert (again.engine, again.model, again.pid) == (found.engine, OWN, found.pid)
        finally:
            await gone(runtime)
            await runtime.close()

    asyncio.run(scenario())


def test_without_that_name_the_same_engine_never_counts_as_ready(tmp_path: Path) -> None:
    async def scenario() -> None:
        runtime = engine_of(tmp_path)
        probe = Probe(kind="completion", path="/v1/completions", period=0.2, timeout=2.0)
        wanted = workload(readiness=probe)
        try:
            (found,) = await settle(
                runtime, wanted, lambda seen: any("answered 400" in r.message for r in seen)
            )
            assert (found.state, found.engine, found.model) == (
                ReplicaState.STARTING,
                "custom",
                "",
            )
        finally:
            await gone(runtime)
            await runtime.close()

    asyncio.run(scenario())


def test_a_record_of_a_release_that_did_not_tell_is_read(tmp_path: Path) -> None:
    facts = RunFacts(
        number=1,
        started=1.0,
        host="127.0.0.1",
        port=4001,
        readiness=Probe(),
        liveness=None,
        api="openai",
        keyed=True,
        cwd="/",
        grace=1.0,
        limits="",
        cgroups=(),
        failures=0,
        engine="vllm",
        model="x",
    )
    (tmp_path / "runs").mkdir()
    run = ReplicaFolder(tmp_path).new_run(facts)
    assert run.facts() == facts
    old = asdict(facts)
    del old["engine"], old["model"]
    (run.path / "run.json").write_text(json.dumps(old))
    assert run.facts() == replace(facts, engine="", model="")
