"""What a caller is told whose request meets a limit: the number, the code, and when to come again."""

import json

import pytest

from pierhead.gateway.answers import Answer, Refusal
from pierhead.gateway.bounds import Rejection, Why
from pierhead.gateway.limits_answers import over_rate, rejected

FULL = rejected(Rejection(Why.FULL, 64, 2.3), "foo")
LATE = rejected(Rejection(Why.LATE, 60.0, 0.0), "foo")
OWN = rejected(Rejection(Why.CONCURRENCY, 4, 7.0), "foo")
RATE = over_rate("foo", 5, 0.2)


def header(answer: Answer, name: bytes) -> bytes | None:
    return dict(answer.headers).get(name)


@pytest.mark.parametrize(
    ("refusal", "status", "code", "kind", "limit", "wait"),
    [
        (FULL, 450, "queue_full", "overloaded", ("max_queue_size", 64), b"3"),
        (LATE, 429, "queue_timeout", "requests", ("queue_seconds", 60.0), b"1"),
        (OWN, 429, "rate_limit_exceeded", "requests", ("concurrency", 4), b"7"),
        (RATE, 429, "rate_limit_exceeded", "requests", ("rate_limit", 5), b"1"),
    ],
    ids=["full", "late", "own", "rate"],
)
def test_limits(
    refusal: Refusal,
    status: int,
    code: str,
    kind: str,
    limit: tuple[str, float],
    wait: bytes,
) -> None:
    for openai in (False, True):
        answer = refusal.answer("request-1", openai=openai)
        document = json.loads(answer.body)
        assert answer.status == status
        assert header(answer, b"retry-after") == wait
        error = document["error"]
        assert (error["code"], error["type"]) == (code, kind)
        assert (error["limit"], error["value"]) == limit
        assert error["message"].endswith(f"Try again in {int(wait)} s.")
        assert document["request_id"] == "request-1"
        assert ("param" in error) is openai


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (FULL, "The service `foo` is busy, and all 64 waiting places are taken."),
        (LATE, "The service `foo` is busy: no slot came free within 60 s."),
        (OWN, "The limit of this access token is reached: 4 requests at the same time."),
        (RATE, "The limit of the service `foo` is reached: 5 requests a second."),
        (
            over_rate("foo", 1, 1.0),
            "The limit of the service `foo` is reached: 1 request a second.",
        ),
        (rejected(Rejection(Why.FULL, 1, 1.0), "foo"), "and its only waiting place is taken."),
        (rejected(Rejection(Why.FULL, 0, 1.0), "foo"), "and has no waiting places."),
    ],
)
def test_whose_limit_it_is_stands_in_the_message(refusal: Refusal, words: str) -> None:
    assert words in refusal.message
