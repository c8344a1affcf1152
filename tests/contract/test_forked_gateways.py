"""The gateways that tests run in a fork say and do what the real program does."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from gateway_harness import INTERNAL_KEY, METRICS_TOKEN, Hub, client, gateway

from contract.gateway_forks import PROGRAM, Forked

OWN = {"port", "pid"}  #: what is another's in each line of the log


def _settings(folder: Path, hub: Hub) -> dict[str, Any]:
    address = {"host": "127.0.0.1", "port": 0, "hub_url": f"http://127.0.0.1:{hub.port}"}
    keys = {"internal_key": INTERNAL_KEY, "metrics_token": METRICS_TOKEN}
    return {"data_dir": str(folder), **address, **keys}


def _env() -> dict[str, str]:
    source = os.pathsep.join(path for path in sys.path if path)
    return {**os.environ, "PYTHONPATH": source, "PYTHONUNBUFFERED": "1"}


async def _program(settings: dict[str, Any]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(PROGRAM), json.dumps(settings)),
        env=_env(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def _life(process: Any, signal_: signal.Signals) -> tuple[list[dict[str, Any]], int, int]:
    """What it says until it serves and after a signal, an answer's status, and how it ends."""
    lines: list[dict[str, Any]] = []
    while not lines or lines[-1].get("event") != "gateway serves":
        lines.append(json.loads(await process.stdout.readline()))
    url = f"http://127.0.0.1:{lines[-1]['port']}/api/predict/nobody"
    async with client() as session, session.get(url) as answer:
        status = answer.status
    process.send_signal(signal_)
    rest = (await process.stdout.read()).splitlines()
    lines += [json.loads(line) for line in rest]
    told = [{k: v for k, v in line.items() if k not in OWN} for line in lines]
    return [line for line in told if line.get("event") != "request"], status, await process.wait()


def test_a_fork_says_answers_and_ends_as_the_program_does(tmp_path: Path) -> None:
    async def scenario() -> None:
        hub = await Hub().open()
        hub.publish()
        for number in (signal.SIGTERM, signal.SIGKILL):
            settings = _settings(tmp_path / number.name / "program", hub)
            program = await _life(await _program(settings), number)
            settings = _settings(tmp_path / number.name / "fork", hub)
            fork = await _life(await Forked.begin(settings, _env()), number)
            assert fork == program
            assert fork[2] == (0 if number == signal.SIGTERM else -signal.SIGKILL)
        await hub.close()

    asyncio.run(scenario())


def test_two_forks_are_two_gateways(tmp_path: Path) -> None:
    async def scenario() -> None:
        hub = await Hub().open()
        hub.publish()
        one, two = tmp_path / "one", tmp_path / "two"
        async with gateway(one, hub) as first, gateway(two, hub) as second, client() as session:
            assert first.process.pid != second.process.pid
            first.process.kill()
            assert await first.process.wait() == -signal.SIGKILL
            async with session.get(f"{second.url}/healthz") as answer:
                assert answer.status == 200
            assert second.process.returncode is None
        assert second.process.returncode == 0
        assert [line["port"] for line in first.lines if "port" in line] == [first.port]
        assert [line["port"] for line in second.lines if "port" in line] == [second.port]
        assert one.is_dir()
        assert two.is_dir()
        await hub.close()

    asyncio.run(scenario())
