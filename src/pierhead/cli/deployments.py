"""`pierhead templates deploy`: from a template to a service, followed until it runs."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated

import typer

from pierhead.cli import watch
from pierhead.cli.client import Json, NoAnswer
from pierhead.cli.options import AsJson, DataDir, Endpoint, Timeout, Wait
from pierhead.cli.registry import (
    DATASETS,
    GROUPS,
    MODELS,
    TEMPLATES,
    SystemTags,
    Tags,
    Template,
    connect,
    given,
    pairs_of,
    pick,
    size_of,
    uuid_of,
    uuids_of,
    zone_of,
)
from pierhead.cli.screen import emit, note, pairs
from pierhead.cli.template_fields import Description, Fields, read, same
from pierhead.cli.templates import app
from pierhead.cli.zstack_client import ZstackClient, item
from pierhead.core.spans import MOST_NODES

#: Statuses in which waiting is of no more use.
FINAL = frozenset({"Running", "Error", "Stopped"})


#: Option -> the wire's field, and how its value is written there.
FIELDS: Fields = {
    "env": ("environmentVariables", partial(pairs_of, "--env")),
    "flag": ("startupParameters", partial(pairs_of, "--flag")),
    "cpu": ("cpuNum", same),
    "memory": ("memorySize", size_of),
    "request_cpu": ("requestCpuNum", same),
    "request_memory": ("requestMemorySize", size_of),
    "image": ("dockerImage", same),
    "livez": ("serviceLivez", same),
    "readyz": ("serviceReadyz", same),
    "boot_seconds": ("serviceBootUptime", same),
    "workspace": ("projectUuid", same),
    "description": ("description", same),
    "tag": ("userTags", same),
}

Texts = list[str] | None
Count = int | None
Name = Annotated[str, typer.Option("--name", help="Name of the service; else the template's.")]
Replicas = Annotated[Count, typer.Option("--replicas", min=0, help="Number of replicas; else 1.")]
Cpu = Annotated[Count, typer.Option("--cpu", min=1, help="Cores per replica, at most.")]
Memory = Annotated[str, typer.Option("--memory", help="Memory per replica, at most, e.g. 2GiB.")]
CpuRequest = Annotated[Count, typer.Option("--request-cpu", min=1, help="Cores to set aside.")]
MemoryRequest = Annotated[str, typer.Option("--request-memory", help="Memory to set aside.")]
Gpus = Annotated[
    Count,
    typer.Option(
        "--gpus", min=0, help="GPUs per replica, on each of its nodes; 0 = run on the CPU."
    ),
]
Nodes = Annotated[
    int,
    typer.Option("--nodes", min=1, max=MOST_NODES, help="Nodes that each replica computes on."),
]
InTurn = Annotated[
    bool,
    typer.Option(
        "--in-turn", help="Start the other nodes once the first one of a replica is ready."
    ),
]
Env = Annotated[Texts, typer.Option("--env", help="Environment, KEY=VALUE; repeatable.")]
Flag = Annotated[
    Texts, typer.Option("--flag", help="Argument of the command, NAME=VALUE; repeatable.")
]
ServedModel = Annotated[str, typer.Option("--model", help="Model to serve; else its own.")]
Datasets = Annotated[
    Texts, typer.Option("--dataset", help="Dataset to mount, name or uuid; repeatable.")
]
Needs = Annotated[Texts, typer.Option("--needs", help="Service that must run first; repeatable.")]
Runtime = Annotated[str, typer.Option("--runtime", help="process, container or kubernetes.")]
Image = Annotated[str, typer.Option("--image", help="Container image, for every architecture.")]
Livez = Annotated[str, typer.Option("--livez", help="Path that says it lives.")]
Readyz = Annotated[str, typer.Option("--readyz", help="Path that says it is ready.")]
BootSeconds = Annotated[Count, typer.Option("--boot-seconds", min=1, help="Time it may take.")]
Zone = Annotated[str, typer.Option("--zone", help="Zone, name or uuid; else the template's.")]
Workspace = Annotated[str, typer.Option("--workspace", help="Workspace that owns it.")]


@app.command()
def deploy(
    ctx: typer.Context,
    *,
    template: Template,
    name: Name = "",
    replicas: Replicas = None,
    cpu: Cpu = None,
    memory: Memory = "",
    request_cpu: CpuRequest = None,
    request_memory: MemoryRequest = "",
    gpus: Gpus = None,
    nodes: Nodes = 1,
    in_turn: InTurn = False,
    env: Env = None,
    flag: Flag = None,
    model: ServedModel = "",
    dataset: Datasets = None,
    needs: Needs = None,
    runtime: Runtime = "process",
    image: Image = "",
    livez: Livez = "",
    readyz: Readyz = "",
    boot_seconds: BootSeconds = None,
    zone: Zone = "",
    workspace: Workspace = "",
    description: Description = "",
    tag: Tags = None,
    system_tag: SystemTags = None,
    wait: Wait = False,
    timeout: Timeout = 900,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Make a service from a template. Each call makes another one.

    \b
    Examples:
      pierhead templates deploy my-server --name chat --replicas 2 --env LOG=debug --wait
      pierhead templates deploy my-large-model --runtime kubernetes --nodes 2 --gpus 8 --wait
    """
    _check(runtime, nodes, in_turn=in_turn)
    body = read(ctx.params, FIELDS)
    client = connect(data_dir, endpoint)
    found = pick(client, TEMPLATES, template)
    body |= given(
        name=name or found["name"],
        type=_KINDS[runtime],
        zoneUuid=_zone(client, zone, found),
        systemTags=[*(system_tag or ()), *_acting(replicas, gpus, runtime)],
        modelUuid=uuid_of(client, MODELS, model) if model else "",
        datasetUuids=uuids_of(client, DATASETS, dataset),
        modelServiceGroupUuids=uuids_of(client, GROUPS, needs),
    )
    path, action = item(TEMPLATES, found["uuid"]), "deployModelService"
    if nodes > 1:
        path, action = TEMPLATES, "deployDistributedModelService"
        body = _spread(body, found["uuid"], nodes, in_turn=in_turn)
    group: Json = client.put(path, action, body)["inventory"]
    _report(client, group, watch.Watch(timeout) if wait else None, as_json=as_json)


#: Runtime -> the wire's word for what a replica is.
_KINDS: Mapping[str, str] = {
    "process": "VirtualMachine",
    "container": "Container",
    "kubernetes": "Container",
}


def _check(runtime: str, nodes: int, *, in_turn: bool) -> None:
    """Refuse options that the wire has no word for."""
    if runtime not in _KINDS:
        raise typer.BadParameter(f"one of {', '.join(_KINDS)}", param_hint="--runtime")
    if in_turn and nodes == 1:
        raise typer.BadParameter("there is one node alone", param_hint="--in-turn")


#: What is said of a service as a whole, beside its nodes.
_WHOLE = frozenset({"description", "systemTags", "userTags"})


def _spread(body: Json, template: str, nodes: int, *, in_turn: bool) -> Json:
    """The call for replicas of so many nodes, which all run the same."""
    whole = {name: value for name, value in body.items() if name in _WHOLE}
    node = {name: value for name, value in body.items() if name not in _WHOLE}
    parts = [{**node, "uuid": template, "nodeRank": rank} for rank in range(nodes)]
    return whole | {
        "name": body["name"],
        "serviceCreationStrategy": "sequential" if in_turn else "parallel",
        "modelServices": parts,
    }


def _acting(replicas: int | None, gpus: int | None, runtime: str) -> list[str]:
    """System tags that carry what the call has no parameter for."""
    tags = [] if replicas is None else [f"ai::replicas::{replicas}"]
    tags += [] if gpus is None else [f"ai::gpus::{gpus}"]
    return tags if runtime == "process" else [*tags, f"ai::runtime::{runtime}"]


def _zone(client: ZstackClient, name: str, template: Json) -> str:
    own = str(template.get("zoneUuid") or "")
    return own if own and not name else zone_of(client, name)


def _report(client: ZstackClient, group: Json, wait: watch.Watch | None, *, as_json: bool) -> None:
    service = str(group.get("serviceName") or group["uuid"])
    if wait is not None:
        if not as_json:
            note(f"Service [{service}] is being deployed.")
        group = watch.follow(service, lambda: _look(client, group), FINAL, {"Running"}, wait)
    if as_json:
        emit(group)
        return
    pairs(
        [
            ("Service", service),
            ("Status", str(group["status"])),
            ("Endpoint", str(group.get("businessEndpoint") or "")),
            ("Token", f"see `pierhead services token {service}`"),
        ]
    )


def _look(client: ZstackClient, group: Json) -> watch.Look:
    try:
        found = pick(client, GROUPS, group["uuid"])
    except NoAnswer as problem:
        return watch.Look("", problem.message)
    status = str(found["status"])
    ready = f"{found.get('readyReplicas', 0)} of {found.get('replicas', 0)} replicas are ready"
    return watch.Look(status, f"{status}: {found.get('message') or ready + '.'}", found)
