"""What one replica counts for in quotas. Pure.

Limits count, since they are what a replica may come to hold. Where a template leaves one open, a model
counts with the memory that its family needs by the same maths as before a download, and with one core. Of
a command nobody knows what it will take: in a quota that bounds it, it has to say so.
"""

from collections.abc import Iterable
from dataclasses import replace

from pierhead.core.families import FAMILIES, served
from pierhead.core.quotas import BOUNDS, Amount, Quota
from pierhead.core.sizing import ENGINES, Load, estimate
from pierhead.core.templates import AUTO, Template

#: Cores that a model counts for whose template names none: it shares those of the machine.
MODEL_CPU = 1.0
#: Whose figures count while nobody has chosen an engine yet.
_USUAL = "llama_cpp"


def of_replica(template: Template) -> Amount:
    """What one replica of `template` counts for; what nobody knows counts as nothing, see `unsaid`."""
    return replace(of_node(template).times(template.nodes), replicas=1)


def of_node(template: Template) -> Amount:
    """What a replica counts for on each of the machines that it is on."""
    resources = template.resources
    return Amount(
        (_cpu(template) or 0.0) if resources.cpu is None else resources.cpu,
        (_memory(template) or 0) if resources.memory is None else resources.memory,
        float(resources.devices),
        1,
    )


def unsaid(template: Template, quotas: Iterable[Quota]) -> tuple[str, ...]:
    """What quotas bound and a template neither says nor lets anybody know, as `BOUNDS` names it."""
    known = {
        "cpu": template.resources.cpu or _cpu(template),
        "memory": template.resources.memory or _memory(template),
        "gpus": 1,
        "replicas": 1,
    }
    return tuple(
        name
        for name in BOUNDS
        if not known[name] and any(getattr(quota, name) is not None for quota in quotas)
    )


def _cpu(template: Template) -> float | None:
    return MODEL_CPU if _engine(template) in ENGINES else None


def _memory(template: Template) -> int | None:
    family, engine = FAMILIES.get(template.family), _engine(template)
    if family is None or engine not in ENGINES:
        return None
    on_cpu = template.resources.devices <= 0
    load = Load(
        engine, template.context, template.slots, template.precision, on_cpu, template.nodes
    )
    needed = estimate(served(family.shape, template.precision), load)
    return None if needed is None else needed.total


def _engine(template: Template) -> str:
    return _USUAL if template.engine == AUTO else template.engine
