"""Every sample that can run here is run as it is shown, against a whole platform in mock mode."""

import contextlib
import io
import json
import os
import subprocess
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from clients import NODE
from running_platform import Platform
from sample_proxy import TOKEN, Exchange, Proxy, proxied

from pierhead.bootstrap.samples import operations
from pierhead.core.reference import Operation, Style
from pierhead.web.make_code import PATH
from pierhead.web.samples.calls import Origin, planned
from pierhead.web.samples.making import example, made

ALL = operations()
SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Ran:
    """A sample that has ended."""

    operation: Operation
    failed: bool
    said: str
    exchanges: tuple[Exchange, ...]


@pytest.fixture(scope="module")
def environment(platform: Platform) -> Iterator[dict[str, str]]:
    """Credentials as the samples take them: from their environment, and from nowhere else."""
    keys = platform.credentials
    found = {
        "PIERHEAD_ACCESS_KEY_ID": keys["access_key_id"],
        "PIERHEAD_ACCESS_KEY_SECRET": keys["access_key_secret"],
        "PIERHEAD_ACCOUNT": keys["zstack"]["account"],
        "PIERHEAD_PASSWORD": keys["zstack"]["password"],
        "PIERHEAD_TOKEN": TOKEN,
        "no_proxy": "127.0.0.1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in found.items():
            patch.setenv(name, value)
        yield dict(os.environ)


@pytest.fixture
def proxy(platform: Platform) -> Iterator[Proxy]:
    with proxied(platform, _answers(platform)) as proxy:
        yield proxy


def test_every_python_sample_runs(proxy: Proxy, environment: dict[str, str]) -> None:
    for typed in (True, False):
        wrong = _wrong(_python(proxy, one, typed=typed) for one in ALL)
        assert not wrong, "\n".join(wrong)


def test_every_typescript_sample_runs(proxy: Proxy, environment: dict[str, str]) -> None:
    told = _node([_code(one, proxy, "typescript") for one in ALL], environment)
    assert len(told) == len(proxy.exchanges) == len(ALL)
    ran = zip(ALL, told, proxy.exchanges, strict=True)
    wrong = _wrong(Ran(one, said["failed"], said["said"], (call,)) for one, said, call in ran)
    assert not wrong, "\n".join(wrong)


def test_every_curl_sample_runs(platform: Platform, environment: dict[str, str]) -> None:
    def run(share: tuple[Operation, ...]) -> list[str]:
        with proxied(platform, _answers(platform)) as proxy:
            return _wrong(_curl(proxy, one, environment) for one in share)

    with ThreadPoolExecutor(2) as pool:
        wrong = [line for lines in pool.map(run, (ALL[::2], ALL[1::2])) for line in lines]
    assert not wrong, "\n".join(wrong)


def test_samples_sign_whatever_a_value_holds(proxy: Proxy, environment: dict[str, str]) -> None:
    """Spaces, quotes, dollars, stars and Chinese in path, query and body: every signature is right."""
    odd = "a b*c~/中'\"$(`!\\&=+%"
    by_id = {one.id: one for one in ALL}
    service = by_id["CreateService"]
    calls: dict[str, dict[str, Any]] = {
        "DescribeGroup": {"ClusterId": proxy.platform.region, "GroupName": odd},
        "CreatePolicy": {**by_id["CreatePolicy"].example, "Description": odd},
        "CreateService": {**service.example, "Labels": {"a": odd}, "containers": [{"image": odd}]},
    }

    def code(language: str) -> list[str]:
        made_of = calls.items()
        return [made(by_id[name], given, _origin(proxy), language).code for name, given in made_of]

    for one in code("python"):
        _exec(one)
    for one in code("curl"):
        _sh(one, environment)
    _node(code("typescript"), environment)
    seen = [(call.status, call.code) for call in proxy.exchanges]
    assert seen[:3] == seen[3:6] == seen[6:]
    assert "SignatureDoesNotMatch" not in {code for _status, code in seen}
    bodies = [json.loads(call.body)["containers"] for call in proxy.exchanges[2::3]]
    assert bodies == [[{"image": odd}]] * 3


def test_the_hub_makes_code_for_whoever_asks(platform: Platform) -> None:
    wish = {"product": "sts", "apiName": "GetCallerIdentity", "language": "curl"}
    said = requests.post(f"{platform.eas}{PATH}", json=wish, timeout=30)
    assert said.status_code == 200
    assert said.json()["data"]["demoSdk"]["curl"].startswith("#!/bin/sh\n# GetCallerIdentity")
    wrong = requests.post(f"{platform.eas}{PATH}", json={"product": "sts"}, timeout=30)
    assert (wrong.status_code, wrong.json()["code"]) == (400, 1)


def _origin(proxy: Proxy) -> Origin:
    return Origin(proxy.url, proxy.url, proxy.platform.region)


def _answers(platform: Platform) -> dict[str, Any]:
    """What the data plane answers, as it is documented: by path, which is with and without a slash."""
    origin = Origin(platform.eas, platform.gateway, platform.region)
    shown = [one for one in ALL if one.style is Style.OPENAI]
    found = {planned(one, example(one, origin), origin).path: dict(one.answer) for one in shown}
    return {**found, **{f"{path}/": answer for path, answer in found.items()}}


def _code(operation: Operation, proxy: Proxy, language: str, *, typed: bool = True) -> str:
    return made(operation, None, _origin(proxy), language, typed=typed).code


def _python(proxy: Proxy, operation: Operation, *, typed: bool) -> Ran:
    proxy.exchanges.clear()
    failed, said = _exec(_code(operation, proxy, "python", typed=typed))
    return Ran(operation, failed, said, tuple(proxy.exchanges))


def _exec(code: str) -> tuple[bool, str]:
    """Did it fail, and what did it print or raise?"""
    printed = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(printed):
        warnings.simplefilter("ignore")  # of the vendor's packages
        try:
            exec(compile(code, "<sample>", "exec"), {"__name__": "__main__"})
        except Exception as error:  # noqa: BLE001 - whatever a client makes of a refusal
            return True, f"{getattr(error, 'code', '')} {type(error).__name__}: {error}"
    return False, printed.getvalue()


def _node(codes: list[str], environment: dict[str, str]) -> list[dict[str, Any]]:
    """What each of them told, run one after the other in one process."""
    process = subprocess.run(
        ("node", "samples.mjs"),
        cwd=NODE,
        env=environment,
        input="\n".join(json.dumps({"code": code}) for code in codes),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return [json.loads(line) for line in process.stdout.splitlines()]


def _curl(proxy: Proxy, operation: Operation, environment: dict[str, str]) -> Ran:
    proxy.exchanges.clear()
    failed, said = _sh(_code(operation, proxy, "curl"), environment)
    return Ran(operation, failed, said, tuple(proxy.exchanges))


def _sh(code: str, environment: dict[str, str]) -> tuple[bool, str]:
    process = subprocess.run(
        ("sh",),
        input=code,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return process.returncode != 0, process.stdout if process.stdout.strip() else process.stderr


def _wrong(ran: Iterator[Ran] | Any) -> list[str]:
    judge: Callable[[Ran], str] = _problem
    return [
        f"{one.operation.product}:{one.operation.id}: {problem}"
        for one in ran
        if (problem := judge(one))
    ]


def _problem(ran: Ran) -> str:
    """What is not as it has to be; "" when nothing is."""
    if len(ran.exchanges) != 1:
        return f"{len(ran.exchanges)} calls; {ran.said[-300:]}"
    (call,) = ran.exchanges
    if ran.operation.unsupported:
        return _problem_of_refusal(ran, call)
    if ran.failed or call.status != 200 or not call.mocked:
        return f"{call.status} {call.answer[:200]!r} {ran.said[-300:]}"
    return "" if isinstance(json.loads(ran.said), dict) else "it shows no answer"


#: How each product says that it does not do something.
_REFUSALS = {"eas": (400, "UnsupportedOperation"), "zstack": (404, "")}


def _problem_of_refusal(ran: Ran, call: Exchange) -> str:
    expected = _REFUSALS.get(ran.operation.product, (404, "InvalidAction.NotFound"))
    if (call.status, call.code) != expected:
        return f"{call.status} {call.answer[:200]!r} instead of a refusal"
    if not ran.failed or (call.code or call.answer.decode()[:30]) not in ran.said:
        return f"the refusal is not shown: {ran.said[-300:]}"
    return ""
