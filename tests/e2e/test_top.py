"""`pierhead top` on a real platform: what it shows is what was asked, and it ends in good order."""

import json
import signal
import subprocess
from typing import Any

import requests
from clients import PythonSdk
from documents import app, document
from lifecycle import Service
from running_platform import PIERHEAD, Platform, until

from commands import pierhead

QUESTION = {
    "model": "top_llm",
    "messages": [{"role": "user", "content": "Count from one to twenty."}],
    "stream": True,
    "max_tokens": 16,
}


def top(platform: Platform, *arguments: str) -> str:
    done = pierhead("top", *arguments, "--data-dir", str(platform.folder))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def figures(platform: Platform, name: str) -> dict[str, Any]:
    answer = json.loads(top(platform, "--json"))
    assert answer["Gateways"] == 1
    return next(one for one in answer["Services"]["Service"] if one["ServiceName"] == name)


def test_it_shows_what_services_are_busy_with(platform: Platform, eas: PythonSdk) -> None:
    eas("CreateService", body=document("top_idle"))
    eas("CreateAppService", body=app("top_llm"))
    llm = Service(eas, "top_llm")
    for service in (Service(eas, "top_idle"), llm):
        service.until("Running")
    quiet = figures(platform, "top_llm")
    assert (quiet["Status"], quiet["ReadyInstance"], quiet["TotalInstance"]) == ("Running", 1, 1)
    assert "TtftP50" not in quiet

    headers = {"Authorization": llm.describe()["AccessToken"]}
    url = f"{platform.gateway}/v1/chat/completions"

    def asked() -> dict[str, Any] | None:
        """Asks until a report told of it: figures are of the last ten seconds."""
        answer = requests.post(url, json=QUESTION, headers=headers, timeout=60)
        assert answer.status_code == 200 and b"[DONE]" in answer.content
        seen = figures(platform, "top_llm")
        return seen if seen["TokensPerSecond"] and seen.get("TtftP50") else None

    busy = until(asked, 60, "the figures of what was asked")
    assert busy["RequestsPerSecond"] > 0
    assert 0 < busy["TtftP50"] <= busy["TtftP95"]
    assert busy["ErrorsPerSecond"] == 0

    lines = top(platform, "--once").splitlines()
    assert lines[0].startswith("SERVICE") and "\x1b" not in "".join(lines)
    assert [line.split()[0] for line in lines[1:]][:1] == ["top_llm"], "the busiest first"
    named = top(platform, "--once", "--sort", "name").splitlines()[1:]
    assert [line.split()[0] for line in named] == sorted(line.split()[0] for line in named)


def test_ctrl_c_ends_it_with_0(platform: Platform) -> None:
    process = subprocess.Popen(
        (*PIERHEAD, "top", "--interval", "0.2", "--data-dir", str(platform.folder)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "gateway" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "")
