"""The answers that the gateway gives itself: refusals, in the shape that the caller's path asks for."""

import json
from dataclasses import dataclass, replace
from typing import Any, Final

from pierhead.core.errors import Refused

Headers = tuple[tuple[bytes, bytes], ...]
CLOSE: Final = (b"connection", b"close")
#: What each limit allows, in words.
_LIMITS: Final = {
    "rpm": "{} requests in 60 seconds",
    "tpm": "{} tokens in 60 seconds",
    "concurrency": "{} requests at the same time",
    "monthly_tokens": "{} tokens in a month",
}
#: What OpenAI's `type` says of a limit.
_KINDS: Final = {
    "rpm": "requests",
    "tpm": "tokens",
    "concurrency": "requests",
    "monthly_tokens": "insufficient_quota",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole reply."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: Headers = ()

    @property
    def event(self) -> bytes:
        """The body as the data of an event: in a stream that has begun nothing else can be told."""
        if self.content_type == b"application/json":
            return self.body
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        error = {"message": self.body.decode("utf-8", "replace"), "type": kind, "code": self.status}
        return json.dumps({"error": error}).encode()


def json_answer(status: int, document: dict[str, Any], headers: Headers = ()) -> Answer:
    """`document` as a reply."""
    return Answer(status, json.dumps(document).encode(), headers=headers)


class Refusal(Refused):
    """The request is not passed on; `code` is for programs, the message for people."""

    def __init__(
        self, status: int, code: str, message: str, *, param: str | None = None, close: bool = False
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.close = status, code, param, close

    def answer(self, request_id: str, *, openai: bool) -> Answer:
        """As JSON: OpenAI's error object (it alone has `param`), or the data plane's."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        error: dict[str, Any] = {"message": self.message, "type": kind, "code": self.code}
        if openai:
            error["param"] = self.param
        document = {"error": error, "request_id": request_id}
        return json_answer(self.status, document, (CLOSE,) if self.close else ())


class NoUpstream(Refusal):
    """The service exists and has no ready replica."""

    def __init__(self) -> None:
        super().__init__(503, "no_healthy_upstream", "no healthy upstream")

    def answer(self, request_id: str, *, openai: bool) -> Answer:
        """Exactly this text on every path: clients of the vendor's gateway look for it."""
        del request_id, openai
        return Answer(503, self.message.encode(), b"text/plain")


class Waking(Refusal):
    """The service is at zero replicas, and this request cannot wait until it has one."""

    def __init__(self, name: str, why: str, wait: int) -> None:
        """`wait`: whole seconds until another try is worth while."""
        super().__init__(503, "service_waking", f"The service [{name}] is not awake: {why}")
        self._wait = wait

    def answer(self, request_id: str, *, openai: bool) -> Answer:
        """With `Retry-After`."""
        told = super().answer(request_id, openai=openai)
        return replace(told, headers=(*told.headers, (b"retry-after", b"%d" % self._wait)))


class OverLimit(Refusal):
    """The token was used as much as it may be."""

    def __init__(self, limit: str, value: int, wait: int) -> None:
        """`wait`: whole seconds until another try is worth while."""
        monthly = limit == "monthly_tokens"
        code = "insufficient_quota" if monthly else "rate_limit_exceeded"
        message = f"The limit of this access token is reached: {_LIMITS[limit].format(value)}."
        super().__init__(429, code, f"{message} Try again in {wait} s.")
        self._limit, self._value, self._wait = limit, value, wait

    def answer(self, request_id: str, *, openai: bool) -> Answer:
        """With `Retry-After`, and which limit it is."""
        kind = _KINDS[self._limit]
        error: dict[str, Any] = {"message": self.message, "type": kind, "code": self.code}
        error |= {"limit": self._limit, "value": self._value}
        if openai:
            error["param"] = None
        document = {"error": error, "request_id": request_id}
        return json_answer(429, document, ((b"retry-after", str(self._wait).encode()),))


def no_service(name: str) -> Refusal:
    """404, never empty: the vendor's CLI takes an empty 404 for a gateway that is not ready."""
    return Refusal(404, "service_not_found", f"The service `{name[:200]}` does not exist.")


def bad_token() -> Refusal:
    """401, the same whether the token is missing, wrong or made for another service."""
    return Refusal(401, "invalid_api_key", "The access token is missing or wrong.")


def no_model(name: str, legal: tuple[str, ...] = ()) -> Refusal:
    """404 in OpenAI's words; `legal` names what the service answers to."""
    hint = f" Legal: {', '.join(legal)}." if legal else ""
    message = f"The model `{name[:200]}` does not exist or you do not have access to it.{hint}"
    return Refusal(404, "model_not_found", message, param="model")


def no_path(path: bytes) -> Refusal:
    """404 for a path that is nobody's."""
    return Refusal(404, "path_not_found", f"Nothing is served at {path.decode('latin-1')[:200]}.")


def no_openai_path(method: str, path: bytes) -> Refusal:
    """404 for a path of OpenAI's that leads to no model."""
    message = (
        f"{method} {path.decode('latin-1')[:200]} is not served. A model is called by POST at"
        " /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/responses or /v1/messages;"
        " /v1/models lists them."
    )
    return Refusal(404, "path_not_found", message)


def too_large(limit: int) -> Refusal:
    """413 for a body of more than so many bytes."""
    # Not closed: a client that still sends would meet a reset before it reads why.
    return Refusal(413, "body_too_large", f"The request body is larger than {limit} bytes.")
