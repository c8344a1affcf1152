"""`pierhead templates add|update|clone`: a template from flags, from a file, or from another one.

The options are read from the context, by the table in `template_fields`.
"""

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

File = Annotated[
    Path | None, typer.Argument(help="YAML file with the wire's fields; flags go before it.")
]


def _known() -> Json:
    """The names that a file may have: the parameters of the API that registers a template."""
    # Only who names a file pays for it.
    from pierhead.dialects.zstack import catalog

    api = catalog.load().apis["AddModelService"]
    return dict.fromkeys([*(param.name for param in api.params), "systemTags", "userTags"])


@app.command()
def add(
    ctx: typer.Context,
    *,
    file: File = None,
    name: field.Name = "",
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
    model: field.Models = None,
    gpu_capability: field.GpuCapability = "",
    gpu: field.Gpu = None,
    container_command: field.ContainerCommand = "",
    container_args: field.ContainerArgs = "",
    image: field.Image = None,
    distributed: field.Distributed = None,
    system: field.System = False,
    description: field.Description = "",
    center: Center = "",
    zone: field.Zone = "",
    uuid: field.Uuid = "",
    tag: Tags = None,
    tag_pattern: field.TagPatterns = None,
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
    body |= field.template(ctx.params) | given(system=system or None)
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
    ctx: typer.Context,
    *,
    template: Template,
    name: field.Name = "",
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
    env: field.Env = None,
    flag: field.Flag = None,
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
    body = field.template(ctx.params) | given(
        environmentParameters=pairs_of("--env", env),
        startupParameters=pairs_of("--flag", flag),
    )
    if install_path:
        body["serviceInstallPath"] = body.pop("installPath")
    if not body:
        raise typer.BadParameter("give what to change", param_hint="--start-command")
    client = connect(data_dir, endpoint)
    path = item(TEMPLATES, uuid_of(client, TEMPLATES, template))
    changed: Json = client.put(path, "updateModelService", body)["inventory"]
    tell(changed, f"Template [{changed['name']}] is changed.", as_json=as_json)


@app.command()
def clone(
    ctx: typer.Context,
    *,
    template: Template,
    name: Annotated[str, typer.Argument(help="Name of the copy.")],
    start_command: field.StartCommand = "",
    yaml: field.Yaml = None,
    requirements: field.Requirements = None,
    cpu: field.Cpu = None,
    memory: field.Memory = "",
    install_path: field.CopyPath = "",
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
    uuid: field.Uuid = "",
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
    body = field.template(ctx.params)
    client = connect(data_dir, endpoint)
    path = item(TEMPLATES, uuid_of(client, TEMPLATES, template))
    made: Json = client.post(path, "params", body)["inventory"]
    tell(made, f"Template [{made['name']}] is registered: {made['uuid']}", as_json=as_json)
