"""What to tell the owner of a service that a quota holds. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pierhead.core.quotas import BOUNDS, EXCEEDED, UNSAID, Amount, Quota, told
from pierhead.core.resources import human_bytes
from pierhead.core.services import Hold

_NAMED = 3  #: holders that are told by their names
_WAITING = " It starts when others of the quota let go; raise the quota, or scale something down."
_ALONE = " Waiting does not help: raise the quota, scale the service down, or let it ask for less."


@dataclass(frozen=True, slots=True)
class Lack:
    """What a quota refuses to a service now."""

    quota: Quota
    used: Amount  #: by all of the quota, this service included
    more: Amount  #: what the service wants besides
    whole: Amount  #: all that it wants to have
    holders: Sequence[str] = ()  #: services that have something of it, as far as they may be named
    others: int = 0  #: how many more there are


def hold(
    lacks: Sequence[Lack],
    asked: tuple[tuple[float, int], ...] = (),
    since: float = 0.0,
    *,
    stuck: bool,
) -> Hold:
    """Why replicas are not started, or an update does not begin.

    `lacks`: one for each quota; `asked`, `since`: as the hold keeps them; `stuck` = nothing of it
    goes on: then what waiting does not help with is for good.
    """
    alone = [lack for lack in lacks if lack.quota.exceeded(lack.whole)]
    if alone:
        text, tail = "; ".join(map(_alone, alone)) + ".", _ALONE
        facts = _alone_facts(alone[0])
    else:
        short = [lack for lack in lacks if _short(lack)]
        text = " ".join(map(_lacking, short)) or _queued(lacks)
        tail = _WAITING
        facts = _short_facts(short[0]) if short else {"quota": lacks[0].quota.id}
    return Hold(
        EXCEEDED,
        text + tail,
        permanent=bool(alone) and stuck,
        progressing=not alone,
        placement=True,
        facts=facts,
        since=since,
        asked=asked,
    )


def unsaid(template: str, names: Sequence[str], quotas: Sequence[Quota]) -> Hold:
    """Of a template that does not say how much it takes of what quotas bound."""
    ids = [one.id for one in quotas if any(getattr(one, name) is not None for name in names)]
    listed = ", ".join(f"[{id_}]" for id_ in ids)
    bounding = f"Quota{'s' * (len(ids) > 1)} {listed}"
    what = " and ".join({"cpu": "CPU", "gpus": "GPUs"}.get(name, name) for name in names)
    text = (
        f"{bounding} {'bound' if len(ids) > 1 else 'bounds'} {what}, but the template [{template}] has "
        f"no limit for it: give it one, so that it can be counted."
    )
    facts = {"template": template, "quotas": listed, "wanted": what}
    return Hold(UNSAID, text, permanent=True, facts=facts)


# ---- facts: of the first quota that is in the way ------------------------------------------------


def _alone_facts(lack: Lack) -> Mapping[str, str]:
    names = lack.quota.exceeded(lack.whole)
    return {
        "quota": lack.quota.id,
        "limit": _amounts(lack.quota, names),
        "whole": _amounts(lack.whole, names),
    }


def _short_facts(lack: Lack) -> Mapping[str, str]:
    names = _short(lack)
    wanted = _amounts(lack.more, tuple(name for name in names if getattr(lack.more, name)))
    facts = {
        "quota": lack.quota.id,
        "limit": _amounts(lack.quota, names),
        "used": _amounts(lack.used, names),
    }
    holders = _names(lack)
    return (
        facts | ({"wanted": wanted} if wanted else {}) | ({"holders": holders} if holders else {})
    )


def _amounts(of: Quota | Amount, names: Sequence[str]) -> str:
    return ", ".join(told(name, getattr(of, name)) for name in names)


# ---- sentences ---------------------------------------------------------------------------------


def _short(lack: Lack) -> tuple[str, ...]:
    """The bounds that are in the way."""
    more = [name for name in BOUNDS if getattr(lack.more, name)]
    wanted = more or [name for name in BOUNDS if getattr(lack.whole, name)]
    return tuple(name for name in lack.quota.exceeded(lack.used + lack.more) if name in wanted)


def _lacking(lack: Lack) -> str:
    clauses = "; and ".join(_clause(lack, name) for name in _short(lack))
    return f"Quota [{lack.quota.id}] allows {clauses}.{_holders(lack)}"


def _clause(lack: Lack, name: str) -> str:
    bound, used, more = (getattr(of, name) for of in (lack.quota, lack.used, lack.more))
    singular = name == "memory"
    text = f"{told(name, bound)}: {told(name, used)} {'is' if singular else 'are'} used"
    if not more:  # an update that needs no more than the service has
        return f"{text}, and all of what is to be replaced must fit"
    verb = "is" if singular or more == 1 else "are"
    return f"{text}, {_bare(name, more)} more {verb} wanted"


def _holders(lack: Lack) -> str:
    names = _names(lack)
    return f" Held by {names}." if names else ""


def _names(lack: Lack) -> str:
    if not lack.holders or len(lack.holders) > _NAMED:
        return ""
    rest = (f"{lack.others} other service(s)",) if lack.others else ()
    return ", ".join([*(f"[{name}]" for name in lack.holders), *rest])


def _queued(lacks: Sequence[Lack]) -> str:
    names = ", ".join(f"[{lack.quota.id}]" for lack in lacks)
    return f"What is free of quota {names} is kept for services that have waited longer."


def _alone(lack: Lack) -> str:
    clauses = (
        f"{told(name, getattr(lack.quota, name))}, and this service alone wants "
        f"{_bare(name, getattr(lack.whole, name))}"
        for name in lack.quota.exceeded(lack.whole)
    )
    return f"Quota [{lack.quota.id}] allows {'; and '.join(clauses)}"


def _bare(name: str, value: float) -> str:
    return human_bytes(value) if name == "memory" else f"{value:g}"
