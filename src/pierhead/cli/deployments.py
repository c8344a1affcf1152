"""`pierhead templates deploy`: from a template to a service, followed until it runs."""

from collections.abc import Mapping
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
from pierhead.cli.templates import app
from pierhead.cli.zstack_client import ZstackClient, item

#: Statuses in which waiting is of no more use.
FINAL = frozenset({"Running", "Error", "Stopped"})


@app.command()
def deploy(
    *,
    template: Template,
    name: Annotated[str, typer.Option(help="Name of the service; else the template's.")] = "",
    replicas: Annotated[int | None, typer.Option(min=0, help="Number of replicas; else 1.")] = None,
    cpu: Annotated[int | None, typer.Option(min=1, help="Cores per replica, at most.")] = None,
    memory: Annotated[str, typer.Option(help="Memory per replica, at most, e.g. 2GiB.")] = "",
    request_cpu: Annotated[int | None, typer.Option(min=1, help="Cores to set aside.")] = None,
    request_memory: Annotated[str, typer.Option(help="Memory to set aside.")] = "",
    gpus: Annotated[
        int | None, typer.Option(min=0, help="GPUs per replica; 0 = run on the CPU.")
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option(help="Environment, KEY=VALUE; repeatable.")
    ] = None,
    flag: Annotated[
        list[str] | None, typer.Option(help="Argument of the command, NAME=VALUE; repeatable.")
    ] = None,
    model: Annotated[str, typer.Option(help="Model to serve; else the template's own.")] = "",
    dataset: Annotated[
        list[str] | None, typer.Option(help="Dataset to mount, name or uuid; repeatable.")
    ] = None,
    needs: Annotated[
        list[str] | None, typer.Option(help="Service that must run first; repeatable.")
    ] = None,
    runtime: Annotated[str, typer.Option(help="process, container or kubernetes.")] = "process",
    image: Annotated[str, typer.Option(help="Container image, for every architecture.")] = "",
    livez: Annotated[str, typer.Option(help="Path that says it lives.")] = "",
    readyz: Annotated[str, typer.Option(help="Path that says it is ready.")] = "",
    boot_seconds: Annotated[int | None, typer.Option(min=1, help="Time it may take.")] = None,
    zone: Annotated[str, typer.Option(help="Zone, name or uuid; else the template's.")] = "",
    workspace: Annotated[str, typer.Option(help="Workspace that owns it.")] = "",
    description: Annotated[str, typer.Option(help="Some words about it.")] = "",
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
      pierhead templates deploy my-server --wait
      pierhead templates deploy my-server --name chat --replicas 2 --env LOG=debug --wait
    """
    body = given(
        environmentVariables=pairs_of("--env", env),
        startupParameters=pairs_of("--flag", flag),
        cpuNum=cpu,
        memorySize=size_of(memory) if memory else None,
        requestCpuNum=request_cpu,
        requestMemorySize=size_of(request_memory) if request_memory else None,
        dockerImage=image,
        serviceLivez=livez,
        serviceReadyz=readyz,
        serviceBootUptime=boot_seconds,
        projectUuid=workspace,
        description=description,
        userTags=tag,
        systemTags=[*(system_tag or ()), *_acting(replicas, gpus, runtime)],
        type=_KINDS.get(runtime, ""),
    )
    if "type" not in body:
        raise typer.BadParameter(f"one of {', '.join(_KINDS)}", param_hint="--runtime")
    client = connect(data_dir, endpoint)
    found = pick(client, TEMPLATES, template)
    body |= given(
        name=name or found["name"],
        zoneUuid=_zone(client, zone, found),
        modelUuid=uuid_of(client, MODELS, model) if model else "",
        datasetUuids=uuids_of(client, DATASETS, dataset),
        modelServiceGroupUuids=uuids_of(client, GROUPS, needs),
    )
    path = item(TEMPLATES, found["uuid"])
    group: Json = client.put(path, "deployModelService", body)["inventory"]
    _report(client, group, watch.Watch(timeout) if wait else None, as_json=as_json)


#: Runtime -> the wire's word for what a replica is.
_KINDS: Mapping[str, str] = {
    "process": "VirtualMachine",
    "container": "Container",
    "kubernetes": "Container",
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
