"""Templates: the model services of the wire, and which models they may serve."""

from collections.abc import Iterable, Mapping, Sequence

from pierhead.core.ids import fixed_id
from pierhead.core.registry import RegisteredTemplate
from pierhead.dialects.zstack import translate
from pierhead.dialects.zstack.calls import Call, Handler
from pierhead.dialects.zstack.handlers import lists
from pierhead.dialects.zstack.handlers.lists import Answer
from pierhead.dialects.zstack.handlers.registry import mode
from pierhead.dialects.zstack.present import registry
from pierhead.operations import bindings, matching, templates
from pierhead.operations.platform import Platform
from pierhead.store import templates as rows


class Templates:
    """Handlers of everything about templates over one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._shipped = [fixed_id("spec", name) for name in platform.templates]

    def table(self) -> Mapping[str, Handler]:
        """API name -> handler."""
        return {
            "AddModelService": self.add,
            "QueryModelService": self.query,
            "UpdateModelService": self.update,
            "DeleteModelService": self.delete,
            "DeleteModelServices": self.delete_many,
            "CloneModelService": self.clone,
            "BindModelToService": self.bind,
            "UnbindModelFromService": self.unbind,
            "GetModelCenterServices": self.of_centers,
            "MatchModelServiceTemplateWithModel": self.match,
        }

    async def add(self, call: Call) -> Answer:
        """Register a template."""
        made = await templates.add(
            self._platform,
            call.principal,
            translate.template(call.params, self._architecture),
            call.params.get("modelUuids", ()),
            call.extras,
            call.also,
        )
        return await self._one(call, made)

    async def query(self, call: Call) -> Answer:
        """Templates that the caller sees."""
        query = lists.question(call)
        found = await templates.page_bound(self._platform, call.principal, query)
        shipped = await self._versions(template for template, _ in found.rows)
        shown = (registry.template(template, bound, shipped) for template, bound in found.rows)
        return lists.answer(query, found, shown)

    async def update(self, call: Call) -> Answer:
        """Change a template; what was deployed of it stays as it is."""
        changed = await templates.update(
            self._platform,
            call.principal,
            call.params["uuid"],
            translate.template_changes(call.params, self._architecture),
            call.also,
        )
        return await self._one(call, changed)

    async def clone(self, call: Call) -> Answer:
        """Copy a template with changes."""
        made = await templates.clone(
            self._platform,
            call.principal,
            call.params["uuid"],
            translate.clone_changes(call.params, self._architecture),
            call.extras,
            call.also,
        )
        return await self._one(call, made)

    async def delete(self, call: Call) -> Answer:
        """Remove a template; success when there is none."""
        await self._delete(call, call.params["uuid"])
        return {}

    async def delete_many(self, call: Call) -> Answer:
        """Remove several, each by itself."""
        return await lists.batch(call, call.params["uuids"], lambda uuid: self._delete(call, uuid))

    async def bind(self, call: Call) -> Answer:
        """Let a template serve a model."""
        pair = call.params["modelUuid"], call.params["modelServiceUuid"]
        await bindings.bind(self._platform, call.principal, *pair, call.also)
        return {}

    async def unbind(self, call: Call) -> Answer:
        """Take that back; success when it was not so."""
        pair = call.params["modelUuid"], call.params["modelServiceUuid"]
        await bindings.unbind(self._platform, call.principal, *pair, call.also)
        return {}

    async def of_centers(self, call: Call) -> Answer:
        """The templates of some centers, or of all."""
        found = await templates.in_centers(
            self._platform, call.principal, call.params.get("modelCenterUuids", ())
        )
        return await self._all(call, found)

    async def match(self, call: Call) -> Answer:
        """Which of the templates could serve all of the models, so many times, here and now."""
        params = call.params
        need = matching.Need(
            models=tuple(params["modelUuids"]),
            templates=tuple(params["modelServiceUuids"]),
            replicas=params["instanceNumber"],
            wish=translate.wish(params),
        )
        return await self._all(call, await matching.fitting(self._platform, call.principal, need))

    async def _delete(self, call: Call, uuid: str) -> None:
        await templates.delete(self._platform, call.principal, uuid, mode(call), call.also)

    async def _one(self, call: Call, template: RegisteredTemplate) -> Answer:
        shown = await self._all(call, [template])
        return {"inventory": shown["inventories"][0]}

    async def _all(self, call: Call, found: Sequence[RegisteredTemplate]) -> Answer:
        bound = await bindings.of_templates(
            self._platform, [each.uuid for each in found], call.principal
        )
        shipped = await self._versions(found)
        return {
            "inventories": [registry.template(each, bound[each.uuid], shipped) for each in found]
        }

    async def _versions(self, shown: Iterable[RegisteredTemplate]) -> Mapping[str, str]:
        """Versions of the shipped templates, if one is shown that may be behind them."""
        if not any(each.system and not each.shipped and each.version for each in shown):
            return {}
        found = await self._platform.db.read(rows.many, self._shipped)
        return {each.name: each.version for each in found if each.version}

    @property
    def _architecture(self) -> str:
        """Of the hub's own machine."""
        nodes = self._platform.nodes
        return nodes[0].architecture if nodes else ""
