"""What a caller is told whose request meets a limit of the service, or a queue that is full or too slow."""

from math import ceil
from typing import Any

from pierhead.gateway.answers import Answer, OverLimit, Refusal, json_answer
from pierhead.gateway.bounds import Rejection, Why

QUEUE_FULL = 450  #: the vendor's number, which is in no registry


class Later(Refusal):
    """Another try later is worth while; `limit` and `value` say what was met."""

    def __init__(
        self, status: int, code: str, message: str, wait: float, limit: tuple[str, float]
    ) -> None:
        """`wait`: seconds; told as whole ones, one at least."""
        self._wait = max(1, ceil(wait))
        super().__init__(status, code, f"{message} Try again in {self._wait} s.")
        self._limit = limit

    def answer(self, request_id: str, *, openai: bool) -> Answer:
        """As JSON with `Retry-After`: OpenAI's error object (it alone has `param`), or the data plane's."""
        kind = "overloaded" if self.code == Why.FULL else "requests"
        limit, value = self._limit
        error: dict[str, Any] = {"message": self.message, "type": kind, "code": self.code}
        error |= {"limit": limit, "value": value}
        if openai:
            error["param"] = None
        document = {"error": error, "request_id": request_id}
        return json_answer(self.status, document, ((b"retry-after", b"%d" % self._wait),))


def rejected(rejection: Rejection, service: str) -> Refusal:
    """450 when no waiting place is left, else 429; `service` is the name that people know it by."""
    why, value, wait = rejection.why, rejection.value, rejection.wait
    if why is Why.CONCURRENCY:
        return OverLimit(str(why), int(value), max(1, ceil(wait)))
    if why is Why.FULL:
        message = f"The service `{service}` is busy, and {_places(int(value))}."
        return Later(QUEUE_FULL, why, message, wait, ("max_queue_size", value))
    message = f"The service `{service}` is busy: no slot came free within {value:g} s."
    return Later(429, why, message, wait, ("queue_seconds", value))


def over_rate(service: str, rate: int, wait: float) -> Refusal:
    """429: more requests than the service takes in a second, of all callers together."""
    times = "request" if rate == 1 else "requests"
    message = f"The limit of the service `{service}` is reached: {rate} {times} a second."
    return Later(429, "rate_limit_exceeded", message, wait, ("rate_limit", rate))


def _places(count: int) -> str:
    if not count:
        return "has no waiting places"
    return (
        "its only waiting place is taken" if count == 1 else f"all {count} waiting places are taken"
    )
