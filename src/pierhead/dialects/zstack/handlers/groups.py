"""Instance groups: deployments of templates, and services that came through the other door."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pierhead.core.errors import Missing
from pierhead.core.principals import Principal
from pierhead.core.query import TAG_FIELDS, Op, Query, rows_of
from pierhead.core.registry import Tag
from pierhead.core.services import Seen, Service
from pierhead.dialects.zstack import translate
from pierhead.dialects.zstack.calls import Call, Handler
from pierhead.dialects.zstack.handlers import lists
from pierhead.dialects.zstack.handlers.lists import Answer
from pierhead.dialects.zstack.handlers.registry import mode
from pierhead.dialects.zstack.kinds import kinds
from pierhead.dialects.zstack.present.groups import Group, View
from pierhead.operations import accounts, deployments, overview, zones
from pierhead.operations.platform import Platform
from pierhead.store import tags as tag_rows


class Groups:
    """Handlers of instance groups over one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._zone = zones.first_id(platform.region)

    def table(self) -> Mapping[str, Handler]:
        """API name -> handler."""
        return {
            "DeployModelService": self.deploy,
            "DeployDistributedModelService": self.deploy_distributed,
            "QueryModelServiceInstanceGroup": self.query,
            "UpdateModelServiceInstanceGroup": self.update,
            "RestartModelServiceGroups": self.restart,
            "DeleteModelServiceInstanceGroup": self.delete,
            "DeleteModelServiceInstanceGroups": self.delete_many,
        }

    async def deploy(self, call: Call) -> Answer:
        """Make a service of a template; its replicas come up afterwards."""
        made = await deployments.deploy(
            self._platform,
            call.principal,
            call.params["uuid"],
            translate.wish(call.params, call.no_effect),
            call.extras,
            call.also,
        )
        return await self._one(call, made.id)

    async def deploy_distributed(self, call: Call) -> Answer:
        """Make a service whose replicas are on several nodes each, where the runtime can give that.

        Raises:
            Missing: a part names no template.
        """
        if not all("uuid" in part for part in call.params["modelServices"]):
            raise Missing("modelServices.uuid", "the template of each node")
        made = await deployments.deploy_distributed(
            self._platform,
            call.principal,
            translate.spread(call.params, call.no_effect),
            call.extras,
            call.also,
        )
        return await self._one(call, made.id)

    async def query(self, call: Call) -> Answer:
        """Live rows, with instances, status and endpoints."""
        query = lists.question(call)
        pairs = await self._asked_for(call.principal, query)
        view = self._view(call.principal, call.language)
        searched = replace(view, time=float)
        rows = [Group(searched, service, seen) for service, seen in pairs]
        tags = await self._tags(query, [service.id for service, _ in pairs])
        found = rows_of(rows, query, kinds(call.api.inventory), tags)
        shown = (Group(view, row.service, row.seen) for row in found.rows)
        return lists.answer(query, found, shown)

    async def update(self, call: Call) -> Answer:
        """Rename, or roll out a new version."""
        changed = await deployments.update(
            self._platform,
            call.principal,
            call.params["uuid"],
            translate.group_changes(call.params),
            call.also,
        )
        return await self._one(call, changed.id)

    async def restart(self, call: Call) -> Answer:
        """Replace every replica of each, rolling."""
        outcomes = await deployments.restart(
            self._platform, call.principal, call.params["uuids"], call.also
        )
        return {"results": [lists.result(call, uuid, error) for uuid, error in outcomes]}

    async def delete(self, call: Call) -> Answer:
        """Drain, stop and remove; success when there is none."""
        await self._delete(call, call.params["uuid"])
        return {}

    async def delete_many(self, call: Call) -> Answer:
        """Remove several, each by itself."""
        return await lists.batch(call, call.params["uuids"], lambda uuid: self._delete(call, uuid))

    async def show(self, principal: Principal, uuid: str) -> dict[str, Any] | None:
        """A group as it is now; None when there is none."""
        pair = await overview.service(self._platform, principal, uuid)
        return None if pair is None else dict(Group(self._view(principal), *pair))

    async def _one(self, call: Call, uuid: str) -> Answer:
        pair = await overview.service(self._platform, call.principal, uuid, done=True)
        view = self._view(call.principal, call.language)
        return {"inventory": None if pair is None else dict(Group(view, *pair))}

    async def _delete(self, call: Call, uuid: str) -> None:
        await deployments.delete(self._platform, call.principal, uuid, mode(call), call.also)

    async def _asked_for(
        self, principal: Principal, query: Query
    ) -> Sequence[tuple[Service, Seen]]:
        """The services that can be meant at all: with a uuid in the question one is enough."""
        for condition in query.conditions:
            if condition.field == "uuid" and condition.op is Op.EQUAL:
                pair = await overview.service(self._platform, principal, condition.value)
                return [] if pair is None else [pair]
        return await overview.services(self._platform, principal)

    def _view(self, reader: Principal, language: str = "en") -> View:
        return View(
            gateway=self._platform.gateway,
            hub=self._platform.hub,
            now=self._platform.clock(),
            zone=self._zone,
            reader=reader,
            account=lambda account: accounts.account_uuid(self._platform, account),
            language=language,
        )

    async def _tags(self, query: Query, services: Sequence[str]) -> Callable[[str], Iterable[Tag]]:
        """The tags of these services, if the question is about any."""
        if not any(condition.field in TAG_FIELDS for condition in query.conditions):
            return lambda _uuid: ()
        by_group: dict[str, list[Tag]] = {}
        for tag in await self._platform.db.read(tag_rows.of_many, services):
            by_group.setdefault(tag.resource, []).append(tag)
        return lambda uuid: by_group.get(uuid, ())
