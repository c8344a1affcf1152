"""Answers of jobs that a former hub committed and did not answer: from the objects as they are now."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from pierhead.core.jobs import Job
from pierhead.core.principals import USER, Principal
from pierhead.core.query import Condition, Op, Query
from pierhead.dialects.zstack.answers import kept
from pierhead.dialects.zstack.calls import Call, Handler
from pierhead.dialects.zstack.catalog import Api, load
from pierhead.dialects.zstack.query_language import of_item

Answer = dict[str, Any]


def answers(
    handlers: Mapping[str, Handler], account: Principal
) -> Callable[[Job], Awaitable[Mapping[str, Any]]]:
    """What gives the answer of a committed job.

    The object that it was about is seen with the eyes of `account`, lists with those of who asked.
    """
    queries = {api.inventory: api for api in load().apis.values() if api.query and api.tier < 3}

    async def ask(query: Api, question: Query, reader: Principal = account) -> list[Answer]:
        found = await handlers[query.name](Call(query, {}, reader, question))
        return found["inventories"]

    async def answer(job: Job) -> Answer:
        api = load().apis[job.api]
        return kept(api, await present(api, job))

    async def present(api: Api, job: Job) -> Answer:
        if api.response.get("results") == "List<TagResult>":
            made = Query((Condition("tagPatternUuid", Op.EQUAL, job.objects[-1]),))
            found = await ask(load().apis["QueryUserTag"], made, _asker(account, job))
            return {"results": [{"inventory": row, "success": True} for row in found]}
        if api.batch:
            return {"results": [{"uuid": uuid, "success": True} for uuid in job.objects]}
        if "inventories" in api.response and api.inventory in queries:
            inside = Query((Condition("modelCenterUuid", Op.EQUAL, job.objects[-1]),))
            return {"inventories": await ask(queries[api.inventory], inside, _asker(account, job))}
        if "inventory" in api.response and api.inventory in queries:
            found = await ask(queries[api.inventory], of_item(job.objects[-1]))
            return {"inventory": found[0]} if found else {}
        return {}

    return answer


def _asker(account: Principal, job: Job) -> Principal:
    """Who asked for it, as far as it is known; no door has asked what they may see now."""
    if job.principal in {"", account.id}:
        return account
    return replace(account, id=job.principal, kind=USER)
