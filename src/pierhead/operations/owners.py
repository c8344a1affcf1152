"""The workspace and the quota that a service names: are they there, and may it name them?"""

from sqlalchemy import Connection

from pierhead.core.errors import NotFound
from pierhead.core.events import Notice
from pierhead.core.permits import refusal
from pierhead.core.principals import Principal
from pierhead.core.services import Service
from pierhead.core.workspaces import Workspace
from pierhead.operations.platform import Platform
from pierhead.store import quotas, workspaces

#: What somebody needs who may act in single workspaces only, to name a quota that is not theirs.
USE = "pierhead:UseQuota"
#: What to do about an id that is refused.
STRICT = "The setting strict_ids is on: make it first"


def settle(
    tx: Connection, platform: Platform, actor: Principal, before: Service | None, after: Service
) -> tuple[Notice, ...]:
    """See to the workspace and the quota of a service that is about to be written.

    A workspace that nobody made is there from its first use on; a quota that nobody made limits
    nothing, which is told. `before` = None: the service is new.

    Raises:
        NotFound: there is no such workspace or quota, and `strict_ids` is on.
        Forbidden: the actor may act in single workspaces only, and the quota is none of theirs.
    """
    moved = before is None or before.workspace != after.workspace
    counted = before is None or before.quota != after.quota
    if moved and after.workspace:
        _enter(tx, platform, after.workspace)
    if not after.quota or not (moved or counted):
        return ()
    if quotas.load(tx, after.quota) is not None:
        _demand_quota(tx, actor, after)
        return ()
    if not counted:
        return ()
    if platform.strict_ids:
        raise NotFound("Quota", after.quota, STRICT)
    text = (
        f"The quota [{after.quota}] is not defined here: it is kept and shown, and limits nothing."
    )
    return (Notice("QuotaWithoutLimit", text),)


def _enter(tx: Connection, platform: Platform, workspace: str) -> None:
    if workspaces.load(tx, workspace) is not None:
        return
    if platform.strict_ids:
        raise NotFound("Workspace", workspace, STRICT)
    now = platform.clock()
    workspaces.enter(tx, Workspace(workspace, created=now, updated=now))


def _demand_quota(tx: Connection, actor: Principal, service: Service) -> None:
    permit = actor.permit
    if permit is None or actor.admin or not permit.is_bounded(service):
        return
    mine = workspaces.load(tx, service.workspace)
    if mine is not None and mine.quota == service.quota:
        return
    noun = ("pierhead", f"quota/{service.quota}")
    decision = permit.asked((USE,), noun)
    if not decision.allowed:
        raise refusal(USE, permit.realm.arn(noun), decision)
