"""The smuggling corpus against a real gateway: whatever a client sends, an engine sees one request or none."""

import asyncio
from collections.abc import Iterator

import pytest

from contract.smuggling_cases import CANARY, Case, Refused, Seen
from contract.smuggling_chunks import CASES as CHUNKS
from contract.smuggling_framing import CASES as FRAMING
from contract.smuggling_heads import CASES as HEADS
from contract.smuggling_lines import CASES as LINES
from contract.wire import Closed, CutOff
from contract.wire_stage import LONG, Client, Performance, Stage, performed

CASES = [*FRAMING, *CHUNKS, *LINES, *HEADS]


@pytest.fixture(scope="module")
def perform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Performance]:
    yield from performed(tmp_path_factory.mktemp("gateway"))


async def _see(stage: Stage, case: Case) -> Seen:
    statuses: list[int] = []
    async with stage.client() as client:
        client.send(case.sent + CANARY)
        ended = await _read(client, statuses, case)
    messages = [message for message in stage.foo.messages if message.target != "/canary"]
    return Seen(statuses, messages, len(messages) < len(stage.foo.messages), ended)


async def _read(client: Client, statuses: list[int], case: Case) -> str:
    try:
        while True:
            # Silence is looked for where it is right; where it is wrong, there is time to be slow.
            quiet = case.may_stay if statuses else case.may_wait
            answer = await client.answer(seconds=0.3 if quiet else LONG)
            statuses.append(answer.status)
    except TimeoutError:
        return "waits"
    except Closed:
        return "closed"
    except CutOff:
        return "reset"


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_law_one_request_or_none(perform: Performance, case: Case) -> None:
    async def scenario() -> None:
        seen = await _see(perform.stage, case)
        wrong = [each.wrong(seen) for each in case.right]
        assert "" in wrong, (wrong, seen)
        assert not perform.stage.bar.messages, "another service's engine was asked"
        assert all("smuggled" not in message.target for message in perform.stage.foo.messages)
        assert len(perform.stage.foo.messages) - seen.canary <= 1

    perform(scenario())


def test_the_names_of_the_cases_tell_them_apart() -> None:
    names = [case.name for case in CASES]
    assert sorted({name for name in names if names.count(name) > 1}) == []
    assert len(names) >= 80


def test_a_case_that_reaches_the_engine_is_seen(perform: Performance) -> None:
    """The judge can say no: a plain request is not what a refused one looks like."""

    async def scenario() -> None:
        plain = Case(
            "plain", CANARY.replace(b"canary", b"x").replace(b"Connection: close\r\n", b""), ()
        )
        seen = await _see(perform.stage, plain)
        refused = next(case for case in CASES if case.name == "CL then TE").right[0]
        assert refused.wrong(seen) == "something reached the engine"
        assert seen.canary and seen.statuses == [200, 200] and seen.ended == "closed"

    perform(scenario())


def test_in_single_bytes_the_outcome_is_the_same(perform: Performance) -> None:
    """A request that comes byte by byte is judged like one that comes at once."""
    chosen = [
        "CL then TE",
        "TE xchunked",
        "TE on a folded line",
        "CL twice",
        "chunk size plus",
        "chunk ends without CRLF",
        "TE after a bare LF",
        "no Host",
        "trailer",
        "CL",
        "TE chunked",
    ]

    async def one(case: Case) -> None:
        statuses: list[int] = []
        async with perform.stage.client() as client:
            for byte in case.sent + CANARY:
                client.send(bytes([byte]))
                await asyncio.sleep(0)
            ended = await _read(client, statuses, case)
        messages = [m for m in perform.stage.foo.messages if m.target != "/canary"]
        seen = Seen(statuses, messages, len(messages) < len(perform.stage.foo.messages), ended)
        # What is refused before its last byte meets a reset, which may destroy the answer.
        lost = ended == "reset" and not perform.stage.foo.messages and not statuses
        refusable = any(isinstance(each, Refused) for each in case.right)
        right = "" in [each.wrong(seen) for each in case.right]
        assert right or (lost and refusable), (case.name, seen)

    async def scenario() -> None:
        for case in CASES:
            if case.name in chosen:
                perform.stage.fresh()
                await one(case)

    perform(scenario())
