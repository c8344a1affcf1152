"""The RPC door: one message per body, its answer as JSON text inside JSON.

HTTP is 200 whatever happens once the body parses, and there is no `error` key at the top, ever: a
published client takes its mere presence for a failure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pierhead.core.errors import LoginExpired
from pierhead.core.jobs import Job, JobState
from pierhead.dialects.zstack.answers import encoded
from pierhead.dialects.zstack.catalog import Api, load
from pierhead.dialects.zstack.errors import TextRefusal, UnknownMessage
from pierhead.dialects.zstack.times import time_text

#: What answers a call that did not come as far as its own API.
GENERAL_REPLY = "org.zstack.header.message.MessageReply"


@dataclass(frozen=True, slots=True)
class Message:
    """One message."""

    name: str  #: as it was sent
    params: Mapping[str, Any]
    login: str  #: uuid of the login session; "" = none came

    def api(self) -> Api:
        """The API that it means, whatever package it names.

        Raises:
            UnknownMessage: there is none.
        """
        found = load().messages.get(self.name.rpartition(".")[2])
        if found is None:
            raise UnknownMessage(f"no service handles the message [{self.name[:200]}]")
        return found

    def demand_login(self) -> str:
        """The login's uuid.

        Raises:
            LoginExpired: none came.
        """
        if not self.login:
            raise LoginExpired("The message carries no session: it is invalid or has expired.")
        return self.login


def parse(body: Mapping[str, Any]) -> Message:
    """The message in a body.

    Raises:
        TextRefusal: it has another number of keys than one, or is no message.
    """
    if len(body) != 1:
        raise TextRefusal(400, f"the body has {len(body)} keys; exactly one message is needed")
    ((name, inside),) = body.items()
    if inside is None:
        inside = {}
    if not isinstance(inside, dict):
        raise TextRefusal(400, f"the message [{name[:200]}] is no JSON object")
    params = cast(dict[str, Any], inside)
    session: Any = params.get("session")
    uuid: Any = cast(dict[str, Any], session).get("uuid") if isinstance(session, dict) else None
    rest = {key: value for key, value in params.items() if key != "session"}
    return Message(name, rest, uuid.strip() if isinstance(uuid, str) else "")


def succeeded(api: Api, answer: Mapping[str, Any], job: str) -> dict[str, Any]:
    """The reply or event of a success."""
    known = {"validSession": answer["valid"]} if api.name == "ValidateSession" else {}
    return _named(api, job, {"success": True, **answer, **known})


def failed(api: Api | None, error: Mapping[str, Any], job: str = "") -> dict[str, Any]:
    """The reply or event of a failure; without an API the general reply."""
    reply = {"success": False, "error": error}
    return {GENERAL_REPLY: reply} if api is None else _named(api, job, reply)


def _named(api: Api, job: str, reply: dict[str, Any]) -> dict[str, Any]:
    return {api.reply: {"apiId": job, **reply} if api.event else reply}


def done(result: Mapping[str, Any], began: float, ended: float, job: str = "") -> dict[str, Any]:
    """The answer that is final."""
    return {
        **({"uuid": job} if job else {}),
        "state": "Done",
        "createdDate": time_text(began),
        "finishedDate": time_text(ended),
        "result": encoded(result).decode(),
    }


def processing(job: str, began: float) -> dict[str, Any]:
    """The answer that sends the client to `/zstack/api/result/<job>`."""
    return {"uuid": job, "state": "Processing", "createdDate": time_text(began)}


def of_job(job: Job) -> dict[str, Any]:
    """What a job looks like now."""
    if not job.ended:
        return processing(job.id, job.created)
    api, answer = load().apis[job.api], job.answer or {}
    result = (
        succeeded(api, answer, job.id)
        if job.state is JobState.DONE
        else failed(api, answer["error"], job.id)
    )
    return done(result, job.created, job.finished or job.created, job.id)
