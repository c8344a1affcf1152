"""Model centers, models and datasets: what is stored where."""

from collections.abc import Mapping
from typing import Any

from pierhead.core.registry import DeleteMode, Model
from pierhead.dialects.zstack import translate
from pierhead.dialects.zstack.calls import Call, Handler
from pierhead.dialects.zstack.handlers import lists
from pierhead.dialects.zstack.handlers.lists import Answer
from pierhead.dialects.zstack.present import registry
from pierhead.operations import bindings, centers, datasets, metadata, models
from pierhead.operations.platform import Platform


class Registry:
    """Handlers of centers, models and datasets over one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def table(self) -> Mapping[str, Handler]:
        """API name -> handler."""
        return {
            "AddModelCenter": self.add_center,
            "QueryModelCenter": self.query_centers,
            "UpdateModelCenter": self.update_center,
            "DeleteModelCenter": self.delete_center,
            "AddModel": self.add_model,
            "QueryModel": self.query_models,
            "UpdateModel": self.update_model,
            "DeleteModel": self.delete_model,
            "DeleteModels": self.delete_models,
            "GenerateModelMetadata": self.generate_metadata,
            "CreateDataset": self.create_dataset,
            "QueryDataset": self.query_datasets,
            "UpdateDataset": self.update_dataset,
            "DeleteDataset": self.delete_dataset,
        }

    async def add_center(self, call: Call) -> Answer:
        """Register a storage root."""
        wanted = translate.center(call.params)
        made = await centers.add(self._platform, call.principal, wanted, call.extras, call.also)
        return {"inventory": registry.center(made)}

    async def query_centers(self, call: Call) -> Answer:
        """Storage roots with their capacity."""
        query = lists.question(call)
        found = await centers.page(self._platform, call.principal, query)
        return lists.answer(query, found, map(registry.center, found.rows))

    async def update_center(self, call: Call) -> Answer:
        """Change a storage root; it is looked at again."""
        changed = await centers.update(
            self._platform,
            call.principal,
            call.params["uuid"],
            translate.center_changes(call.params),
            call.also,
        )
        return {"inventory": registry.center(changed)}

    async def delete_center(self, call: Call) -> Answer:
        """Remove a storage root; success when there is none."""
        await centers.delete(
            self._platform, call.principal, call.params["uuid"], mode(call), call.also
        )
        return {}

    async def add_model(self, call: Call) -> Answer:
        """Register weights."""
        made = await models.add(
            self._platform,
            call.principal,
            translate.model(call.params),
            translate.ties(call.params),
            call.extras,
            call.also,
        )
        return await self._model(call, made)

    async def query_models(self, call: Call) -> Answer:
        """Models that the caller sees."""
        query = lists.question(call)
        found = await models.page_bound(self._platform, call.principal, query)
        shown = (registry.model(model, bound) for model, bound in found.rows)
        return lists.answer(query, found, shown)

    async def update_model(self, call: Call) -> Answer:
        """Change a model or its default template."""
        changed = await models.update(
            self._platform,
            call.principal,
            call.params["uuid"],
            translate.model_changes(call.params),
            translate.ties(call.params),
            call.also,
        )
        return await self._model(call, changed)

    async def delete_model(self, call: Call) -> Answer:
        """Remove a model; success when there is none."""
        await self._delete_model(call, call.params["uuid"])
        return {}

    async def delete_models(self, call: Call) -> Answer:
        """Remove several, each by itself."""
        return await lists.batch(
            call, call.params["uuids"], lambda uuid: self._delete_model(call, uuid)
        )

    async def generate_metadata(self, call: Call) -> Answer:
        """Read the headers of model files into the models' rows."""
        found = await metadata.generate(
            self._platform,
            call.principal,
            call.params["modelCenterUuid"],
            call.params.get("modelUuids", ()),
            call.also,
        )
        bound = await bindings.of_models(
            self._platform, [model.uuid for model in found], call.principal
        )
        return {"inventories": [registry.model(model, bound[model.uuid]) for model in found]}

    async def create_dataset(self, call: Call) -> Answer:
        """Register data."""
        wanted = translate.dataset(call.params)
        made = await datasets.add(self._platform, call.principal, wanted, call.extras, call.also)
        return {"inventory": registry.dataset(made)}

    async def query_datasets(self, call: Call) -> Answer:
        """Datasets that the caller sees."""
        query = lists.question(call)
        found = await datasets.page(self._platform, call.principal, query)
        return lists.answer(query, found, map(registry.dataset, found.rows))

    async def update_dataset(self, call: Call) -> Answer:
        """Change a dataset."""
        changed = await datasets.update(
            self._platform,
            call.principal,
            call.params["uuid"],
            translate.dataset_changes(call.params),
            call.also,
        )
        return {"inventory": registry.dataset(changed)}

    async def delete_dataset(self, call: Call) -> Answer:
        """Remove a dataset; success when there is none."""
        await datasets.delete(self._platform, call.principal, call.params["uuid"], call.also)
        return {}

    async def _delete_model(self, call: Call, uuid: str) -> None:
        await models.delete(self._platform, call.principal, uuid, mode(call), call.also)

    async def _model(self, call: Call, model: Model) -> dict[str, Any]:
        bound = await bindings.of_models(self._platform, [model.uuid], call.principal)
        return {"inventory": registry.model(model, bound[model.uuid])}


def mode(call: Call) -> DeleteMode:
    """How the call deletes; Permissive unless it says otherwise."""
    return DeleteMode(call.params.get("deleteMode") or DeleteMode.PERMISSIVE)
