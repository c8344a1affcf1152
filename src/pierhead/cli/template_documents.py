"""`pierhead templates add|update|clone`: a template from flags, from a file, or from another one."""

from pathlib import Path
from typing import Annotated

import typer

from pierhead.cli import template_fields as field
from pierhead.cli.client import Json
from pierhead.cli.options import AsJson, DataDir, Endpoint
from pierhead.cli.registry import (
    MODELS,
    TEMPLATES,
    Center,
    SystemTags,
    Tags,
    Template,
    center_of,
    connect,
    given,
    pairs_of,
    tell,
    uuid_of,
    uuids_of,
    zone_of,
)
from pierhead.cli.templates import app
from pierhead.cli.zstack_client import item

#: What a template has that neither the file nor the flags say.
DEFAULTS: Json = {
    "yaml": "",
    "requestCpu": 1,
    "requestMemory": 1024**3,
    "installPath": "",
    "startCommand": "",
}


def _known() -> Json:
    """The names that a file may have: the parameters of the API that registers a template."""
    # Only who names a file pays for it.
    from pierhead.dialects.zstack import catalog

    api = catalog.load().apis["AddModelService"]
    return dict.fromkeys([*(param.name for param in api.params), "systemTags", "userTags"])


@app.command()
def add(
    *,
    file: Annotated[
        Path | None, typer.Argument(help="YAML file with the wire's fields; flags go before it.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the template.")] = "",
    start_command: field.StartCommand = "",
    yaml: field.Yaml = None,
    requirements: field.Requirements = None,
    cpu: field.Cpu = None,
    memory: field.Memory = "",
    install_path: field.InstallPath = "",
    python: field.Python = "",
    conda: field.Conda = "",
    type_: field.Type = "",
    framework: field.Framework = "",
    source: field.Origin = "",
    model: Annotated[
        list[str] | None, typer.Option(help="Model that it may serve, name or uuid; repeatable.")
    ] = None,
    gpu_capability: field.GpuCapability = "",
    gpu: field.Gpu = None,
    container_command: field.ContainerCommand = "",
    container_args: field.ContainerArgs = "",
    image: field.Image = None,
    distributed: field.Distributed = None,
    system: Annotated[bool, typer.Option("--system", help="Every account may use it.")] = False,
    description: field.Description = "",
    center: Center = "",
    zone: Annotated[str, typer.Option(help="Zone of its services; else the hub's own.")] = "",
    uuid: Annotated[str, typer.Option(help="Its uuid; else a new one.")] = "",
    tag: Tags = None,
    tag_pattern: Annotated[
        list[str] | None, typer.Option(help="Uuid of a tag to attach; repeatable.")
    ] = None,
    system_tag: SystemTags = None,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Register a template: how a model is served. Nothing is started.

    \b
    Examples:
      pierhead templates add --name my-server --start-command 'python3 server.py' \\
        --install-path apps/my-server --requirements requirements.txt --memory 2GiB
      pierhead templates add my-server.yaml
    """
    body = field.document(file, _known()) if file else {}
    body |= given(
        name=name,
        installPath=install_path,
        condaVersion=conda,
        system=system or None,
        resourceUuid=uuid,
        userTags=tag,
        tagUuids=tag_pattern,
        systemTags=system_tag,
    ) | field.fields(
        description=description,
        yaml=yaml,
        requirements=requirements,
        cpu=cpu,
        memory=memory,
        gpu_capability=gpu_capability,
        gpu=gpu,
        start_command=start_command,
        container_command=container_command,
        container_args=container_args,
        image=image,
        python=python,
        type_=type_,
        framework=framework,
        source=source,
        distributed=distributed,
    )
    if not body.get("name"):
        raise typer.BadParameter("give --name, or a FILE that has one", param_hint="--name")
    client = connect(data_dir, endpoint)
    if model:
        body["modelUuids"] = uuids_of(client, MODELS, model)
    if zone:
        body["zoneUuid"] = zone_of(client, zone)
    if center or not body.get("modelCenterUuid"):
        body["modelCenterUuid"] = center_of(client, center)
    made: Json = client.post(TEMPLATES, "param", DEFAULTS | body)["inventory"]
    tell(made, f"Template [{made['name']}] is registered: {made['uuid']}", as_json=as_json)


@app.command()
def update(
    *,
    template: Template,
    name: Annotated[str, typer.Option(help="New name.")] = "",
    start_command: field.StartCommand = "",
    yaml: field.Yaml = None,
    requirements: field.Requirements = None,
    cpu: field.Cpu = None,
    memory: field.Memory = "",
    install_path: field.InstallPath = "",
    python: field.Python = "",
    type_: field.Type = "",
    framework: field.Framework = "",
    source: field.Origin = "",
    gpu_capability: field.GpuCapability = "",
    gpu: field.Gpu = None,
    container_command: field.ContainerCommand = "",
    container_args: field.ContainerArgs = "",
    image: field.Image = None,
    distributed: field.Distributed = None,
    env: Annotated[
        list[str] | None, typer.Option(help="Environment of its services, KEY=VALUE; replaces all.")
    ] = None,
    flag: Annotated[
        list[str] | None, typer.Option(help="Argument of its command, NAME=VALUE; replaces all.")
    ] = None,
    description: field.Description = "",
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Change a template. Services that run from it keep what they were deployed with.

    \b
    Examples:
      pierhead templates update my-server --memory 4GiB
      pierhead templates update my-server --start-command 'python3 server.py --fast'
    """
    body = given(
        name=name,
        serviceInstallPath=install_path,
        environmentParameters=pairs_of("--env", env),
        startupParameters=pairs_of("--flag", flag),
    ) | field.fields(
        description=description,
        yaml=yaml,
        requirements=requirements,
        cpu=cpu,
        memory=memory,
        gpu_capability=gpu_capability,
        gpu=gpu,
        start_command=start_command,
        container_command=container_command,
        container_args=container_args,
        image=image,
        python=python,
        type_=type_,
        framework=framework,
        source=source,
        distributed=distributed,
    )
    if not body:
        raise typer.BadParameter("give what to change", param_hint="--start-command")
    client = connect(data_dir, endpoint)
    path = item(TEMPLATES, uuid_of(client, TEMPLATES, template))
    changed: Json = client.put(path, "updateModelService", body)["inventory"]
    tell(changed, f"Template [{changed['name']}] is changed.", as_json=as_json)


@app.command()
def clone(
    *,
    template: Template,
    name: Annotated[str, typer.Argument(help="Name of the copy.")],
    start_command: field.StartCommand = "",
    yaml: field.Yaml = None,
    requirements: field.Requirements = None,
    cpu: field.Cpu = None,
    memory: field.Memory = "",
    install_path: Annotated[
        str, typer.Option(help="Where the copy's files go; they are copied, too.")
    ] = "",
    python: field.Python = "",
    conda: field.Conda = "",
    type_: field.Type = "",
    framework: field.Framework = "",
    source: field.Origin = "",
    gpu_capability: field.GpuCapability = "",
    gpu: field.Gpu = None,
    container_command: field.ContainerCommand = "",
    container_args: field.ContainerArgs = "",
    image: field.Image = None,
    distributed: field.Distributed = None,
    description: field.Description = "",
    uuid: Annotated[str, typer.Option(help="Uuid of the copy; else a new one.")] = "",
    tag: Tags = None,
    system_tag: SystemTags = None,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Copy a template, with changes.

    \b
    Examples:
      pierhead templates clone my-server my-server-large --cpu 4 --memory 8GiB
    """
    body = given(
        name=name,
        installPath=install_path,
        condaVersion=conda,
        resourceUuid=uuid,
        userTags=tag,
        systemTags=system_tag,
    ) | field.fields(
        description=description,
        yaml=yaml,
        requirements=requirements,
        cpu=cpu,
        memory=memory,
        gpu_capability=gpu_capability,
        gpu=gpu,
        start_command=start_command,
        container_command=container_command,
        container_args=container_args,
        image=image,
        python=python,
        type_=type_,
        framework=framework,
        source=source,
        distributed=distributed,
    )
    client = connect(data_dir, endpoint)
    path = item(TEMPLATES, uuid_of(client, TEMPLATES, template))
    made: Json = client.post(path, "params", body)["inventory"]
    tell(made, f"Template [{made['name']}] is registered: {made['uuid']}", as_json=as_json)
