"""A replica over several machines: a leader that has the engine, and members that compute for it. Pure.

A model's layers are shared out over the machines (pipeline parallelism), and each layer over the GPUs of its
machine (tensor parallelism). So all of them run one image with one command on equally many GPUs.
"""

from collections.abc import Iterable, Sequence

from pierhead.core.errors import Invalid
from pierhead.core.templates import AUTO, Template

#: The one engine that computes on several machines.
ENGINE = "vllm"
#: How it calls itself among the frameworks of registered templates.
FRAMEWORK = "vLLM"
#: Machines that one replica may compute on.
MOST_NODES = 64
_TENSOR = ("--tensor-parallel-size", "-tp")
_PIPELINE = ("--pipeline-parallel-size", "-pp")
_BACKEND = ("--distributed-executor-backend",)
#: What every replica is told, by which the gateway finds it and is let in.
_PLATFORM = ("--host", "--port", "--api-key", "--served-model-name", "--model", "--uds")
#: Other ways to say on what it computes, which would want GPUs and nodes that are not there; by all their names.
_OTHER_WAYS = (
    ("--data-parallel-size", "-dp"),
    ("--data-parallel-size-local", "-dpl"),
    ("--data-parallel-rank", "-dpn"),
    ("--data-parallel-start-rank", "-dpr"),
    ("--data-parallel-address", "-dpa"),
    ("--data-parallel-rpc-port", "-dpp"),
    ("--data-parallel-backend", "-dpb"),
    ("--data-parallel-hybrid-lb",),
    ("--data-parallel-external-lb",),
    ("--nnodes", "-n"),
    ("--node-rank", "-r"),
    ("--master-addr",),
    ("--master-port",),
    ("--headless",),
    ("--config",),  # a file, which may say all of it
)
#: An option may be cut short: to two dashes and a letter at the least.
_SHORTEST = 3


def demand(template: Template) -> None:
    """Refuse a template that cannot compute on as many machines as it says.

    Raises:
        Invalid: its engine, its GPUs or an option of its own stands against it.
    """
    if template.nodes == 1:
        return
    if template.engine not in {AUTO, ENGINE}:
        raise Invalid(
            "modelServices",
            f"the template [{template.name}] has a command of its own, or the engine {template.engine}",
            f"the framework {FRAMEWORK} without a start command: it alone computes on several nodes",
        )
    resources = template.resources
    if resources.gpu < 1 or resources.gpu_memory is not None:
        why = "a replica over several nodes computes on whole GPUs of each of them"
        raise Invalid("tensorParallelSize", why, "from 1 to the GPUs of a node")
    _demand_options(template)


def _demand_options(template: Template) -> None:
    """Refuse options that say something else than what is deployed."""
    for name in _PLATFORM:
        if said(template.flags, (name,)) is not None:
            raise Invalid("startupParameters", f"[{name}] is the platform's to say", "leave it out")
    for names in _OTHER_WAYS:
        if said(template.flags, names) is not None:
            why = f"[{names[0]}] is not for a replica over several nodes"
            raise Invalid(
                "startupParameters", why, "leave it out: tensorParallelSize and the nodes say it"
            )
    for option, value in _own(template):
        told = said(template.flags, option)
        if told is not None and told != value:
            own = f"{option[0]} {told[:80]}".strip()
            raise Invalid("startupParameters", f"[{own}] is not what is deployed", value)


def said(flags: Sequence[str], option: Iterable[str]) -> str | None:
    """What arguments say of an option, by any of its names; the last counts, None = nothing."""
    names = tuple(option)
    found: str | None = None
    for at, flag in enumerate(flags):
        name, equals, value = flag.partition("=")
        if _means(name, names):
            found = value if equals else "".join(flags[at + 1 : at + 2])
    return found


def _means(name: str, names: tuple[str, ...]) -> bool:
    plain = name.replace("_", "-")
    short = len(plain) >= _SHORTEST and plain.startswith("--") and names[0].startswith(plain)
    # What follows an option of one letter may be its value: `-n4`.
    joined = any(len(each) == len("-n") and plain.startswith(each) for each in names)
    return plain in names or short or joined


def _own(template: Template) -> tuple[tuple[tuple[str, ...], str], ...]:
    """The options that the deployment itself settles, each with its value."""
    return (
        (_TENSOR, str(template.resources.gpu)),
        (_PIPELINE, str(template.nodes)),
        (_BACKEND, "ray"),
    )
