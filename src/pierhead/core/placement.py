"""Can a replica be placed at all? Asked before anything is fetched or started."""

import re
from collections.abc import Iterable, Sequence
from uuid import NAMESPACE_URL, uuid5

from pierhead.core.replicas import Accelerator, Node
from pierhead.core.resources import Resources, human_bytes
from pierhead.core.services import Hold
from pierhead.core.templates import Constraints

#: What `uname -m` says -> what templates say.
ARCHITECTURES = {"x86_64": "X86_64", "amd64": "X86_64", "aarch64": "AARCH64", "arm64": "AARCH64"}
ANYTHING = Constraints()
_ENDLESS = 1 << 60
#: A machine that joins when it is needed: nobody knows how large it will be, nor what its GPUs have.
TO_COME = Node(
    name="a node that joins",
    cpu=_ENDLESS,
    memory=_ENDLESS,
    memory_free=_ENDLESS,
    gpus=1,
    accelerators=(Accelerator(uuid="", spec="", vendor="", name="", memory=0, capability=""),),
)

_DOTTED = re.compile(r"(\d{1,2})\.(\d)")
_CODE = re.compile(r"(?:sm|compute)_?(\d{1,2})(\d)[af]?", re.IGNORECASE)


def gpu_spec(vendor: str, name: str) -> str:
    """The uuid of a kind of GPU, the same on every machine: 32 hex digits."""
    return uuid5(NAMESPACE_URL, f"pierhead:gpu-spec:{vendor}:{name}").hex


def capability(text: str) -> tuple[int, int] | None:
    """`7.5` or `sm_75` as (7, 5); None when the text is neither, and then it constrains nothing."""
    found = _DOTTED.fullmatch(text.strip()) or _CODE.fullmatch(text.strip())
    return (int(found[1]), int(found[2])) if found else None


def unplaceable(
    resources: Resources,
    nodes: Sequence[Node],
    constraints: Constraints = ANYTHING,
    count: int = 1,
) -> Hold | None:
    """The hold of a replica that fits on no node, with what is missing; None when one will do.

    `count`: on so many nodes each replica is, and has `resources` on each of them. Too little room is `InsufficientResources`; the wrong kind of machine is `Unschedulable`, which
    ends by itself when such a machine joins.
    """
    roomy = [node for node in nodes if not list(_short(resources, node))]
    if not roomy:
        return _too_small(resources, nodes)
    unmet = [(list(_unmet(resources, constraints, node)), node) for node in roomy]
    nearest, node = min(unmet, key=lambda pair: len(pair[0]))
    if not nearest:
        fitting = sum(not missing for missing, _node in unmet)
        return None if fitting >= count else _too_few(resources, fitting, count)
    facts = {"missing": "; ".join(nearest)}
    if len(nearest) == 1 and resources.devices > node.gpus:
        facts |= {"gpus": str(resources.devices), "node": node.name, "node_gpus": str(node.gpus)}
    return Hold(
        "Unschedulable",
        f"No node meets what one replica needs: {'; '.join(nearest)}. "
        "It starts by itself once such a machine is there; else change the template or the deployment.",
        progressing=True,
        placement=True,
        facts=facts,
    )


def _too_few(resources: Resources, fitting: int, count: int) -> Hold:
    """There are nodes that will do, and not as many as one replica is on."""
    one = _described(resources)
    fits = f"{fitting} fits" if fitting == 1 else f"{fitting} fit"
    missing = f"{count} nodes{f' with {one} each' if one else ''} wanted, {fits}"
    return Hold(
        "Unschedulable",
        f"There are too few nodes for one replica: {missing}. "
        "It starts by itself once there are enough; else deploy it over fewer nodes.",
        progressing=True,
        placement=True,
        facts={"nodes": str(count), "fitting": str(fitting), "missing": missing},
    )


def _described(resources: Resources) -> str:
    """What is asked for, of each node."""
    memory, cpu = _asked(resources)
    parts = [
        f"{resources.devices} GPU" if resources.devices > 0 else "",
        f"{cpu:g} cores" if cpu else "",
        f"{human_bytes(memory)} memory" if memory else "",
    ]
    return ", ".join(part for part in parts if part)


def _too_small(resources: Resources, nodes: Sequence[Node]) -> Hold:
    largest = max(nodes, key=lambda node: (node.gpus, node.memory, node.cpu), default=None)
    missing = "there is no node" if largest is None else "; ".join(_short(resources, largest))
    facts = {"missing": missing} | ({} if largest is None else _short_facts(resources, largest))
    return Hold(
        "InsufficientResources",
        f"No node is large enough for one replica: {missing}. Ask for less, or add a larger machine.",
        permanent=True,
        placement=True,
        facts=facts,
    )


def _short_facts(resources: Resources, node: Node) -> dict[str, str]:
    """What is asked for and what the node has, each for itself."""
    memory, cpu = _asked(resources)
    facts = {"node": node.name}
    if memory > node.memory:
        facts |= {"memory": human_bytes(memory), "node_memory": human_bytes(node.memory)}
    if cpu > node.cpu:
        facts |= {"cores": f"{cpu:g}", "node_cores": str(node.cpu)}
    return facts


def _asked(resources: Resources) -> tuple[int, float]:
    """(bytes, cores) that are asked for: a request below the limit is what counts."""
    memory = resources.memory if resources.memory_request is None else resources.memory_request
    cpu = resources.cpu if resources.cpu_request is None else resources.cpu_request
    return memory or 0, cpu or 0


def _short(resources: Resources, node: Node) -> Iterable[str]:
    """What is asked for against what the node has."""
    memory, cpu = _asked(resources)
    if memory > node.memory:
        yield f"{human_bytes(memory)} memory wanted, {node.name} has {human_bytes(node.memory)}"
    if cpu > node.cpu:
        yield f"{cpu:g} cores wanted, {node.name} has {node.cpu}"


def _unmet(resources: Resources, constraints: Constraints, node: Node) -> Iterable[str]:
    architectures = constraints.architectures
    if architectures and node.architecture not in architectures:
        yield (
            f"architecture {' or '.join(architectures)} wanted, "
            f"{node.name} is {node.architecture or 'of an unknown one'}"
        )
    count = resources.devices
    if count > node.gpus:
        yield f"{count} GPU wanted, {node.name} has {node.gpus}"
    if count <= 0:
        return  # it runs on the CPU: what kind of GPU does not matter
    undivided = sum(not gpu.part for gpu in node.accelerators)
    if count > 1 and undivided < count <= len(node.accelerators):
        yield f"{count} undivided GPU wanted, {node.name} has {undivided}"
    wrong = list(_wrong_gpus(count, constraints, node))
    yield from wrong or _too_little(resources, constraints, node)


def fitting(accelerators: Iterable[Accelerator], constraints: Constraints) -> list[Accelerator]:
    """Those of the level and the kind that are asked for."""
    able = _of_level(accelerators, constraints)
    return [gpu for gpu in able if not constraints.gpu_specs or _listed(gpu, constraints)]


def _of_level(accelerators: Iterable[Accelerator], constraints: Constraints) -> list[Accelerator]:
    least = capability(constraints.gpu_capability)
    return [gpu for gpu in accelerators if least is None or _able(gpu, least)]


def _too_little(resources: Resources, constraints: Constraints, node: Node) -> Iterable[str]:
    """The part of one GPU that is wanted, against the largest one there is."""
    part = resources.gpu_memory
    largest = max((gpu.memory for gpu in fitting(node.accelerators, constraints)), default=0)
    if part is not None and part > largest:
        yield (
            f"{human_bytes(part)} of one GPU wanted, the largest one of {node.name} has "
            f"{human_bytes(largest)}"
        )


def _wrong_gpus(count: int, constraints: Constraints, node: Node) -> Iterable[str]:
    able = _of_level(node.accelerators, constraints)
    if capability(constraints.gpu_capability) is not None and len(able) < count:
        yield (
            f"{count} GPU with compute capability {constraints.gpu_capability} or more wanted, "
            f"{node.name} has {_kinds(node)}"
        )
        return
    fit = fitting(able, constraints)
    if constraints.gpu_specs and len(fit) < count:
        wanted = ", ".join(_choice(*entry) for entry in constraints.gpu_specs.items())
        yield f"{count} GPU of {wanted} wanted, {node.name} has {_kinds(node)}"


def _able(gpu: Accelerator, least: tuple[int, int]) -> bool:
    has = capability(gpu.capability)
    return has is not None and has >= least


def _listed(gpu: Accelerator, constraints: Constraints) -> bool:
    return any(
        vendor.casefold() == gpu.vendor.casefold() and (not specs or gpu.spec in specs)
        for vendor, specs in constraints.gpu_specs.items()
    )


def _choice(vendor: str, specs: Sequence[str]) -> str:
    return f"{vendor} (spec {' or '.join(specs)})" if specs else f"{vendor} (any)"


def _kinds(node: Node) -> str:
    told = [f"{gpu.vendor} {gpu.name} ({gpu.capability or '?'})" for gpu in node.accelerators]
    unknown = node.gpus - len(told)
    return (
        ", ".join([*told, *([f"{unknown} GPU of unknown kind"] if unknown > 0 else [])]) or "none"
    )
