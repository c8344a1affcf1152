"""Which replica has a prompt: what a request tells, what is remembered, and when it does not count."""

import random
import time
from typing import Any

import pytest

from pierhead.core.routes import Route, Target
from pierhead.gateway.affinity import (
    BLOCK,
    HOLDERS,
    MOST_TEXT,
    SESSION_SLACK,
    SLACK,
    Affinities,
    Affinity,
    material,
)
from pierhead.gateway.served import Change, Gate

A, B, C = (Target(f"r-{name}", "h", number) for number, name in enumerate("abc", 1))
ALL = (A, B, C)
IDLE: dict[str, int] = {}


def chat(*texts: str, **more: Any) -> dict[str, Any]:
    roles = ("system", "user", "assistant")
    messages = [{"role": roles[min(at, 2)], "content": text} for at, text in enumerate(texts)]
    return {"model": "m", "messages": messages, **more}


def words(seed: int, length: int = 700) -> str:
    return random.Random(seed).randbytes(length // 2).hex()


def grown(seed: int, turns: int) -> dict[str, Any]:
    """A conversation; each turn is the one before and two messages more."""
    return chat(*(words(seed * 100 + turn) for turn in range(turns)))


# ---- what a request tells


@pytest.mark.parametrize("form", ["chat", "parts", "prompt", "prompts", "responses", "messages"])
def test_every_protocols_prompt_is_a_chain_that_grows_with_it(form: str) -> None:
    short, long = words(1, 2000), words(2, 2000)
    makers = {
        "chat": chat,
        "parts": lambda *t: {
            "messages": [{"role": "user", "content": [{"type": "text", "text": x} for x in t]}]
        },
        "prompt": lambda *t: {"prompt": "".join(t)},
        "prompts": lambda *t: {"prompt": list(t)},
        "responses": lambda *t: {"instructions": t[0], "input": "".join(t[1:])},
        "messages": lambda *t: {"system": t[0], **chat(*t[1:])},
    }
    first, second = (material(makers[form](*texts)) for texts in ((short,), (short, long)))
    assert len(first.blocks) >= 7
    assert len(second.blocks) >= 14
    assert second.blocks[:7] == first.blocks[:7]
    other = material(makers[form](long, short))
    assert not set(other.blocks) & set(second.blocks)


def test_another_model_and_other_tools_are_other_prompts() -> None:
    plain = chat(words(1))
    tools = [{"type": "function", "function": {"name": "look_up", "parameters": {}}}]
    chains = [
        material(each).blocks for each in (plain, plain | {"model": "n"}, plain | {"tools": tools})
    ]
    assert len({chain[0] for chain in chains}) == 3


def test_a_prompt_shorter_than_a_block_tells_nothing() -> None:
    assert material(chat("Hello")).blocks == ()


def test_no_more_of_a_prompt_is_looked_at_than_was_said() -> None:
    assert len(material({"prompt": "x" * 10**6}).blocks) <= MOST_TEXT // BLOCK
    one, other = ({"prompt": "x" * MOST_TEXT + tail} for tail in ("a" * 9000, "b" * 9000))
    assert material(one) == material(other)
    many: dict[str, Any] = {"messages": [{}] * 10**6}
    began = time.thread_time()
    material(many)
    assert time.thread_time() - began < 0.1  # a thousand messages, not a million


@pytest.mark.parametrize(
    "document",
    [
        {"messages": [None, 1, "text", [], {"role": 3, "content": 4}, {"content": [None, 5, {}]}]},
        {"messages": {"a": 1}, "prompt": 7, "tools": "none", "model": ["m"]},
        {
            "messages": [{"content": [{"text": {"text": "x" * 999}}]}],
            "tools": [None, {"function": 1}],
        },
        {"prompt": "\ud800" * 300, "prompt_cache_key": 4},
        {"prompt": [1, 2, 3] * 1000},
    ],
)
def test_nonsense_is_no_fault(document: dict[str, Any]) -> None:
    material(document, "\udcff")


# ---- who has it


def test_a_conversation_stays_where_it_began() -> None:
    memory = Affinity()
    memory.went(material(grown(1, 2)), B.replica)
    for turns in range(3, 12):
        sought = material(grown(1, turns))
        assert memory.choose(sought, ALL, IDLE) is B
        memory.went(sought, B.replica)
    assert memory.choose(material(grown(2, 3)), ALL, IDLE) is None


def test_an_answer_much_longer_than_the_prompt_does_not_break_a_conversation() -> None:
    memory = Affinity()
    first = chat(words(1), "Go on")
    memory.went(material(first), C.replica)
    assert memory.choose(material(chat(words(1), "Go on", words(2, 6000))), ALL, IDLE) is C


def test_new_work_after_a_common_preamble_is_shared_out() -> None:
    memory, preamble = Affinity(), words(1)
    memory.went(material(chat(preamble, words(2, 2000))), A.replica)
    assert memory.choose(material(chat(preamble, words(3, 2000))), ALL, IDLE) is None
    assert memory.choose(material(chat(preamble, words(2, 2000), "more")), ALL, IDLE) is A


def test_a_long_common_preamble_is_worth_following() -> None:
    memory, preamble = Affinity(), words(1, 4000)
    memory.went(material(chat(preamble, words(2, 600))), A.replica)
    assert memory.choose(material(chat(preamble, words(3, 600))), ALL, IDLE) is A


def test_the_least_busy_one_of_those_that_have_it_takes_it() -> None:
    memory, sought = Affinity(), material(grown(1, 3))
    memory.went(sought, A.replica)
    memory.went(sought, B.replica)
    assert memory.choose(sought, ALL, {A.replica: 1, C.replica: 1}) is B
    assert memory.choose(sought, ALL, {B.replica: 1}) is A


def test_a_favoured_replica_that_is_too_busy_is_passed_over() -> None:
    memory, sought = Affinity(), material(grown(1, 3))
    memory.went(sought, A.replica)
    assert memory.choose(sought, ALL, {A.replica: SLACK}) is A
    assert memory.choose(sought, ALL, {A.replica: SLACK + 1}) is None
    everywhere = {one.replica: 10 for one in ALL} | {A.replica: 10 + SLACK}
    assert memory.choose(sought, ALL, everywhere) is A


def test_of_one_replica_nothing_is_asked() -> None:
    memory, sought = Affinity(), material(grown(1, 3))
    memory.went(sought, A.replica)
    assert memory.choose(sought, (A,), IDLE) is None
    assert memory.choose(sought, (B, C), IDLE) is None


# ---- sessions


def test_a_session_stays_whatever_it_asks() -> None:
    memory = Affinity()
    first = memory.choose(material(chat("Hi"), "s1"), ALL, IDLE)
    assert first is not None
    memory.went(material(chat("Hi"), "s1"), first.replica)
    busy = {first.replica: SESSION_SLACK}
    assert memory.choose(material(grown(1, 4), "s1"), ALL, busy) is first
    assert memory.choose(material(None, "s1"), tuple(reversed(ALL)), busy) is first
    assert memory.choose(material(None, "s1"), ALL, {first.replica: SESSION_SLACK + 1}) is None


def test_sessions_are_spread_and_every_process_spreads_them_alike() -> None:
    asked = [material(None, f"s{number}") for number in range(3000)]
    one, other = Affinity(), Affinity()
    chosen = [one.choose(each, ALL, IDLE) for each in asked]
    assert chosen == [other.choose(each, ALL[::-1], IDLE) for each in asked]
    assert all(850 < chosen.count(target) < 1150 for target in ALL)


def test_a_session_that_moved_stays_where_it_moved_to() -> None:
    memory, sought = Affinity(), material(None, "s1")
    first = memory.choose(sought, ALL, IDLE)
    second = next(one for one in ALL if one is not first)
    memory.went(sought, second.replica)
    assert memory.choose(sought, ALL, IDLE) is second


def test_a_cache_key_is_a_hint_that_gives_way_to_load() -> None:
    memory, sought = Affinity(), material(grown(1, 3) | {"prompt_cache_key": "k"})
    held = memory.choose(sought, ALL, IDLE)
    assert held is not None
    assert memory.choose(material(grown(2, 3) | {"prompt_cache_key": "k"}), ALL, IDLE) is held
    assert memory.choose(sought, ALL, {held.replica: SLACK + 1}) is None


# ---- memory


def test_memory_is_bounded_and_the_least_used_goes_first() -> None:
    memory = Affinity(remembered=50)
    kept = material(grown(0, 3))
    memory.went(kept, A.replica)
    for seed in range(1, 200):
        memory.went(material(grown(seed, 3)), B.replica)
        assert memory.choose(kept, ALL, IDLE) is A
        memory.went(kept, A.replica)
        assert len(memory) <= 50
    assert memory.choose(material(grown(1, 3)), ALL, IDLE) is None


def test_so_many_holders_are_remembered_and_no_more() -> None:
    memory, sought = Affinity(), material(grown(1, 3))
    many = tuple(Target(f"r-{number}", "h", number + 1) for number in range(HOLDERS + 3))
    for target in many:
        memory.went(sought, target.replica)
    for target in many[:3]:
        assert memory.choose(sought, (target, A), IDLE) is None
    for target in many[3:]:
        assert memory.choose(sought, (target, A), IDLE) is target


def test_replicas_that_are_gone_are_forgotten() -> None:
    memories = Affinities()
    memory, sought = memories.of("svc"), material(grown(1, 3), "s")
    memory.went(sought, A.replica)
    memory.went(material(grown(2, 3)), B.replica)
    before = Gate(Route("svc", "svc", targets=ALL), ())
    left = Gate(Route("svc", "svc", targets=(B, C)), ())
    memories.after(Change({"else": before}, {}))
    assert memory.choose(sought, ALL, IDLE) is A
    memories.after(Change({"svc": before}, {"svc": left}))
    assert memory.choose(material(grown(1, 3)), ALL, IDLE) is None
    assert memory.choose(material(grown(2, 3)), ALL, IDLE) is B
    assert memories.of("svc") is memory
    memories.after(Change({"svc": left}, {}))
    assert memories.of("svc") is not memory


def test_it_costs_little() -> None:
    """About 12 us for a 4 KB prompt where it was written; ten times that would be a mistake."""
    memory, document = Affinity(), chat(*(words(seed, 340) for seed in range(12)))
    best = float("inf")
    for _ in range(20):
        began = time.thread_time()
        for _ in range(50):
            sought = material(document)
            memory.choose(sought, ALL, IDLE)
            memory.went(sought, A.replica)
        best = min(best, (time.thread_time() - began) / 50)
    assert best < 120e-6
