"""Whatever a client makes of our OpenAPI documents: a proper answer, in time, and never a fault of ours.

Each operation of both dialects gets calls that fit its schema, and calls that do not. The seed is
fixed, the time bounded; PIERHEAD_FUZZ_SECONDS gives each document more of it.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, seed, settings
from running_platform import Platform, running
from signed_http import Request, send, signed
from zstack_client import ZStack

schemathesis = pytest.importorskip("schemathesis")

SECONDS = float(os.environ.get("PIERHEAD_FUZZ_SECONDS", "25"))
ANSWER_SECONDS = 10.0
#: Calls per operation: enough to fill the time, whichever comes first.
MOST = 40 if SECONDS > 60 else 6
LEAST = 3  #: however slow the machine is
#: What makes the rest of the run meaningless: it ends the login that all calls use.
LEFT_OUT = {"LogOut"}

Call = Callable[[Any], None]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One of its own: what is deleted here is anybody's guess."""
    with running(tmp_path_factory.mktemp("fuzz"), PIERHEAD_LOG_FORMAT="json") as platform:
        yield platform
        faults = [line for line in platform.log.splitlines() if '"level": "error"' in line]
        assert faults == [], faults[:3]


def operations(platform: Platform, name: str) -> list[Any]:
    document = requests.get(f"{platform.eas}/openapi/{name}.json", timeout=10).json()
    schema = schemathesis.openapi.from_dict(document)
    found = [result.ok() for result in schema.get_all_operations()]
    return [one for one in found if one.definition.raw["operationId"] not in LEFT_OUT]


def fuzz(found: list[Any], call: Call) -> Counter[str]:
    """How many calls of each operation were made until time was up; every operation gets a few."""
    made: Counter[str] = Counter()
    until = time.monotonic() + SECONDS
    share = SECONDS / len(found)
    for number, operation in enumerate(found, 1):
        end = min(until, until - SECONDS + share * number)
        _fuzz(operation, call, made, end)
    return made


def _fuzz(operation: Any, call: Call, made: Counter[str], end: float) -> None:
    name = operation.definition.raw["operationId"]
    both = operation.as_strategy() | operation.as_strategy(
        generation_mode=schemathesis.GenerationMode.NEGATIVE
    )

    @seed(7)
    @settings(
        max_examples=MOST,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(both)
    def run(case: Any) -> None:
        if made[name] >= LEAST and time.monotonic() > end:
            return
        made[name] += 1
        call(case)

    run()


def prepared(case: Any, base: str) -> requests.PreparedRequest:
    return requests.Request(**_fit(case.as_transport_kwargs(base_url=base))).prepare()


def _fit(kwargs: dict[str, Any]) -> dict[str, Any]:
    names = ("method", "url", "headers", "params", "data", "json", "files", "cookies")
    return {name: value for name, value in kwargs.items() if name in names}


def test_law_nothing_that_fits_or_breaks_the_eas_document_is_a_fault(platform: Platform) -> None:
    def call(case: Any) -> None:
        request = prepared(case, platform.eas)
        body = request.body or b""
        content = body if isinstance(body, bytes) else body.encode()
        kept = {"content-type": request.headers["content-type"]} if content else {}
        asked = Request(request.method or "GET", request.path_url, content, kept)
        began = time.monotonic()
        answer = send(platform, signed(platform, asked))
        assert time.monotonic() - began < ANSWER_SECONDS, case
        assert answer.status < 500, (asked, answer.document)
        told = answer.document
        assert told["RequestId"] and (answer.status == 200 or told["Code"]), asked
        # A signature that fits was made: what is refused is refused for what was asked.
        assert told.get("Code") != "SignatureDoesNotMatch", (asked, told)

    made = fuzz(operations(platform, "eas"), call)
    assert len(made) > 100 and made.total() > 300


def test_law_nothing_that_fits_or_breaks_the_zstack_document_is_a_fault(platform: Platform) -> None:
    client = ZStack(platform).log_in()

    def call(case: Any) -> None:
        request = prepared(case, platform.eas)
        request.headers["Authorization"] = f"OAuth {client.login}"
        request.headers.pop("x-job-uuid", None)
        began = time.monotonic()
        answer = client.http.send(request, timeout=ANSWER_SECONDS)
        assert time.monotonic() - began < ANSWER_SECONDS, case
        told = (request.method, request.path_url, request.body, answer.status_code, answer.text)
        assert answer.status_code < 500 or answer.status_code == 503, told
        if answer.status_code == 503:  # every failure that has a code
            error = json.loads(answer.text)["error"]
            assert error["code"] not in ("SYS.1000", "ID.1001"), told
            assert error["description"] and error["details"], told

    made = fuzz(operations(platform, "zstack"), call)
    assert len(made) > 60 and made.total() > 200
