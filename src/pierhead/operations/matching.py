"""Which templates could serve which models, so many times, on the machines as they are now."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from pierhead.core.errors import PierheadError
from pierhead.core.placement import unplaceable
from pierhead.core.principals import Principal
from pierhead.core.registry import Binding, Model, RegisteredTemplate
from pierhead.core.replicas import Node
from pierhead.core.resources import Resources
from pierhead.core.services import Service
from pierhead.core.templates import Template
from pierhead.operations import checks, effective, references, resolving, zones
from pierhead.operations.effective import DeployWish
from pierhead.operations.platform import Platform
from pierhead.store import bindings as binding_rows
from pierhead.store import services as service_rows

#: Frameworks that read one format of weights only: format -> those that do not read it.
_UNREADABLE = {
    "gguf": {"Transformers", "Diffusers", "sentence_transformers"},
    "transformers": {"llama.cpp", "Ollama", "Diffusers"},
    "diffusers": {"llama.cpp", "Ollama", "vLLM", "sentence_transformers"},
}


@dataclass(frozen=True, slots=True)
class Need:
    """What is asked: each of the templates for all of the models, with these wishes."""

    models: tuple[str, ...]  #: uuids
    templates: tuple[str, ...]  #: uuids
    replicas: int
    wish: DeployWish


async def fitting(platform: Platform, actor: Principal, need: Need) -> list[RegisteredTemplate]:
    """The templates that fit, in the order asked.

    One fits when it is bound to each model, or to none at all, when its framework reads their
    weights, and when nodes with what it needs have the memory and GPUs for the replicas, or such
    nodes come. CPU is shared: it has to suffice for one replica.

    Raises:
        Invalid: the number of replicas is not legal.
        NotFound: the zone, a model or a template is not there.
    """
    checks.between("instanceNumber", need.replicas, 1, checks.INTEGER)

    def read(tx: Connection) -> list[RegisteredTemplate]:
        zones.existing(tx, need.wish.zone)
        models = [references.model(tx, actor, uuid) for uuid in dict.fromkeys(need.models)]
        wanted = [references.template(tx, actor, uuid) for uuid in dict.fromkeys(need.templates)]
        bound = binding_rows.of_templates(tx, [template.uuid for template in wanted])
        running = [service for service, _ in service_rows.everything(tx)]

        def fits(template: RegisteredTemplate) -> bool:
            if not all(_serves(template, model, bound) for model in models):
                return False
            made = _snapshots(tx, platform, actor, template, models, need.wish)
            if made is None:
                return False
            return platform.nodes_come or all(
                _has_room(platform.nodes, running, snapshot, model, need.replicas)
                for snapshot, model in zip(made, models or [None], strict=True)
            )

        return [template for template in wanted if fits(template)]

    return await platform.db.read(read)


def _serves(template: RegisteredTemplate, model: Model, bindings: Iterable[Binding]) -> bool:
    own = {binding.model for binding in bindings if binding.template == template.uuid}
    if own and model.uuid not in own:
        return False
    form = (model.framework_version or "").split(" ")[0].casefold()
    return template.framework not in _UNREADABLE.get(form, set())


def _snapshots(
    tx: Connection,
    platform: Platform,
    actor: Principal,
    template: RegisteredTemplate,
    models: Sequence[Model],
    wish: DeployWish,
) -> list[Template] | None:
    """What would run for each model, or for none; None when the template cannot be deployed so."""
    made: list[Template] = []
    try:
        for uuid in [model.uuid for model in models] or [""]:
            asked = replace(wish, model=uuid)
            plan = resolving.plan(tx, platform, actor, template.uuid, asked)
            made.append(effective.snapshot(plan.registered, asked, plan.facts).template)
    except PierheadError:
        return None
    return made


def _has_room(
    nodes: Sequence[Node],
    running: Iterable[Service],
    template: Template,
    model: Model | None,
    replicas: int,
) -> bool:
    one = template.resources
    able = [
        node
        for node in nodes
        if unplaceable(one, [node], template.constraints) is None and _holds(node, one, model)
    ]
    taken = [service for service in running if service.wanted_replicas]
    memory = sum(node.memory for node in able) - sum(
        _memory(service.current.template.resources) * _places(service) for service in taken
    )
    gpus = sum(node.gpus for node in able) - sum(
        service.current.template.resources.gpu * _places(service) for service in taken
    )
    return (
        bool(able)
        and _memory(one) * replicas <= max(memory, 0)
        and one.gpu * replicas <= max(gpus, 0)
    )


def _holds(node: Node, one: Resources, model: Model | None) -> bool:
    """Do the weights fit into the GPUs of one replica?"""
    least = model.min_gpu_memory if model else None
    if not one.gpu or not least or not node.accelerators:
        return True
    largest = sorted((gpu.memory for gpu in node.accelerators), reverse=True)
    return sum(largest[: one.gpu]) >= least


def _places(service: Service) -> int:
    """On how many nodes its replicas are, each counted for itself."""
    return service.wanted_replicas * service.current.template.nodes


def _memory(resources: Resources) -> int:
    asked = resources.memory_request
    return (resources.memory if asked is None else asked) or 0
