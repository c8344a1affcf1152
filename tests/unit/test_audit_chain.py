"""The chain of audit entries: whatever is done to it afterwards shows."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import ROOT, T0
from pierhead.core.audit import (
    START,
    Act,
    Entry,
    Mark,
    Source,
    broken,
    chained,
    entry,
    same_key,
)
from pierhead.core.principals import Principal

KEY = same_key(b"k" * 32)


def an_entry(number: int) -> Entry:
    act = Act("eas", "eas:StopService", (f"acs:eas:local:1:service/s{number}",), "OK")
    return entry(act, ROOT, Source("192.0.2.1", "test", f"R{number}"), T0 + number)


CHAIN = chained(KEY, 0, "", [an_entry(number) for number in range(1, 8)])


def test_a_whole_chain_holds() -> None:
    end, problem = broken(KEY, START, CHAIN)
    assert problem == "" and end == Mark(7, CHAIN[-1].digest)


def test_it_goes_on_where_it_ended() -> None:
    first = CHAIN[:3]
    more = chained(KEY, 3, first[-1].digest, [an_entry(n) for n in range(4, 8)])
    assert [*first, *more] == CHAIN


CHANGEABLE = [part.name for part in fields(Entry) if part.name != "number"]


@pytest.mark.parametrize("name", CHANGEABLE)
def test_law_a_changed_entry_breaks_it(name: str) -> None:
    old = getattr(CHAIN[3], name)
    new = old + 1 if isinstance(old, float) else f"{old}x"
    forged = [*CHAIN[:3], replace(CHAIN[3], **{name: new}), *CHAIN[4:]]
    end, problem = broken(KEY, START, forged)
    assert problem and end.number == 3


@given(st.sets(st.integers(0, 6), min_size=1, max_size=6).filter(lambda gone: gone - {6}))
def test_law_a_missing_entry_breaks_it(gone: set[int]) -> None:
    """All but the newest, whose absence the hub's own mark of the end tells."""
    left = [one for index, one in enumerate(CHAIN) if index not in gone]
    if left and max(gone) > 0 and min(gone) <= CHAIN.index(left[-1]):
        assert broken(KEY, START, left)[1]


def test_law_entries_put_in_or_moved_break_it() -> None:
    assert broken(KEY, START, [*CHAIN[:2], CHAIN[2], CHAIN[2], *CHAIN[3:]])[1]
    swapped = [replace(CHAIN[1], number=1), replace(CHAIN[0], number=2)]
    assert broken(KEY, START, swapped)[1]


def test_law_who_has_no_key_cannot_write_it_anew() -> None:
    forged = chained(same_key(b"x" * 32), 0, "", [an_entry(number) for number in range(1, 8)])
    assert broken(KEY, START, forged)[1]


def test_law_a_mark_is_believed_only_with_its_seal() -> None:
    mark = Mark(5, CHAIN[4].digest)
    text = mark.text(KEY)
    assert Mark.read(KEY, text) == mark
    forged = [text.replace("5:", "6:", 1), text[:-1], "", "x", "5", "5:a:b", f"{text}0", "٥:a:b"]
    assert [Mark.read(KEY, one) for one in forged] == [None] * len(forged)
    assert Mark.read(same_key(b"x" * 32), text) is None


def test_an_entry_tells_who_what_and_with_what_outcome() -> None:
    user = Principal("1" * 16, "2" * 18, "user", name="alice")
    act = Act("zstack", "zstack:DeleteModel", ("ModelVO/1", "ModelVO/2"), "ID.1002", denied=True)
    one = entry(act, user, Source("::1", "a\nb" * 200, "R\r\n"), T0)
    assert (one.actor, one.actor_arn) == ("2" * 18, f"acs:ram::{'1' * 16}:user/alice")
    assert (one.outcome, one.code, one.resource) == ("Denied", "ID.1002", "ModelVO/1 (+1)")
    assert one.request_id == "R\\r\\n" and "\n" not in one.user_agent
    assert entry(replace(act, denied=False), None, Source(), T0).outcome == "Failed"
    assert entry(replace(act, code="OK"), None, Source(), T0).outcome == "Success"
