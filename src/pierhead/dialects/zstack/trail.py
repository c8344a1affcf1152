"""What the audit trail and the counters of failed tries get to know of this dialect's calls."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from pierhead.core.audit import Act, Source
from pierhead.core.errors import LoginExpired, PierheadError, WrongLogin
from pierhead.core.principals import LoginSession, Principal
from pierhead.dialects.watch import Watch, claimed, is_denied
from pierhead.dialects.zstack.calls import NOBODY, Signed
from pierhead.dialects.zstack.catalog import Api
from pierhead.dialects.zstack.errors import code_of

#: APIs that open a login; their answers carry its uuid, which is a secret.
LOGINS = frozenset({"LogInByAccount", "LogInByUser"})
LOGOUT = "LogOut"
#: APIs that change nothing, whatever their method.
_LOOKING = ("Query", "Get", "Is", "Validate", "Match", "ZQL")
#: Codes and statuses of refusals before an API was reached that say who or what was lacking.
_REFUSED = frozenset({"ID.1000", "ID.1001", "ID.1002", "403", "429"})


def looks(api: Api) -> bool:
    """Does it change nothing?"""
    return api.method == "GET" or api.name.startswith(_LOOKING)


def named(params: Mapping[str, Any]) -> str:
    """The name that a login is tried under; an account's user counts apart."""
    account = params.get("accountName") or params.get("accountUuid") or ""
    return f"{account}/{params.get('userName', '')}"


async def log_in(
    watch: Watch,
    source: Source,
    params: Mapping[str, Any],
    act: Callable[[], Awaitable[dict[str, Any]]],
) -> dict[str, Any]:
    """`act` opens a login, unless too many tries failed.

    Raises:
        Throttled: they did; nothing is looked at.
        PierheadError: what `act` raises.
    """
    guard, name = watch.passwords, named(params)
    async with guard.turn(source.address, name):
        try:
            answer = await act()
        except WrongLogin:
            guard.failed(source.address, name)
            raise
        guard.passed(source.address, name)
        return answer


async def judge(
    watch: Watch,
    source: Source,
    signed: Signed,
    judge_signature: Callable[[Signed], Awaitable[Principal]],
) -> Principal:
    """Who signed a request, unless too many tries failed.

    Raises:
        Throttled: they did; nothing is looked at.
        PierheadError: what `judge_signature` raises.
    """
    key = claimed([("authorization", signed.headers.get("authorization", ""))])
    watch.keys.check(source.address, key)
    try:
        principal = await judge_signature(signed)
    except WrongLogin:
        watch.keys.failed(source.address, key)
        raise
    watch.keys.passed(source.address, key)
    return principal


async def owner(uuid: str, find_login: Callable[[str], Awaitable[LoginSession]]) -> Principal:
    """Whose login it is."""
    try:
        return (await find_login(uuid)).principal
    except LoginExpired:
        return NOBODY


def done(
    api: Api,
    given: Mapping[str, Any],
    resources: tuple[str, ...],
    answer: Mapping[str, Any] | None,
    error: Exception | None,
) -> Act:
    """What became of a call that reached its API."""
    known = isinstance(error, PierheadError)
    code = "OK" if error is None else code_of(error if known else PierheadError())
    denied = known and is_denied(error)
    return Act("zstack", f"zstack:{api.name}", _of(api, resources, answer), code, denied, given)


def refused(api: Api, code: str, headers: Mapping[str, str], principal: Principal) -> Act:
    """A call that did not reach its API."""
    anonymous = api.authenticated and principal is NOBODY
    key = claimed([("authorization", headers.get("authorization", ""))]) if anonymous else ""
    return Act(
        "zstack",
        f"zstack:{api.name}",
        (f"{api.resource}/*",) if api.resource else (),
        code,
        anonymous or code in _REFUSED,
        {"AccessKeyId": key} if key else None,
    )


def _of(api: Api, resources: tuple[str, ...], answer: Mapping[str, Any] | None) -> tuple[str, ...]:
    """What it was about: what was named, or what was made. A login's uuid is a secret."""
    if api.resource == "SessionVO":
        return ("SessionVO/***",)
    inside: Any = (answer or {}).get("inventory")
    if api.name in LOGINS:
        account = cast("dict[str, Any]", inside).get("accountUuid", "*") if inside else "*"
        return (f"AccountVO/{account}",)
    made: Any = cast("dict[str, Any]", inside).get("uuid") if isinstance(inside, dict) else None
    anything = not resources or resources[0].endswith("/*")
    return (f"{api.resource}/{made}",) if anything and isinstance(made, str) else resources
