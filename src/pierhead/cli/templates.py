"""`pierhead templates ...`: how models are served, and what was deployed of it."""

import sys
from typing import Annotated, cast

import typer

from pierhead.cli.client import Json
from pierhead.cli.options import AsJson, DataDir, Endpoint
from pierhead.cli.registry import (
    GROUPS,
    MODELS,
    TEMPLATES,
    Enforce,
    IfExists,
    Template,
    Yes,
    connect,
    pick,
    remove,
    tell,
)
from pierhead.cli.screen import emit, pairs, table
from pierhead.cli.zstack_client import ZstackClient
from pierhead.core.registry import memory_bytes
from pierhead.core.resources import human_bytes

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Templates: how models are served. Deploy one to have a service.",
)


@app.command("list")
def list_templates(
    *,
    name: Annotated[str, typer.Option(help="Only names that contain this.")] = "",
    tag: Annotated[str, typer.Option("--tag", help="Only with this user tag.")] = "",
    type_: Annotated[str, typer.Option("--type", help="Only of this type, e.g. Endpoint.")] = "",
    framework: Annotated[str, typer.Option(help="Only of this framework, e.g. vLLM.")] = "",
    own: Annotated[bool, typer.Option("--own", help="Without those of the system.")] = False,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """List templates, those that came with Pierhead first.

    \b
    Examples:
      pierhead templates list --own
      pierhead templates list --tag team=search --json
    """
    asked = {"__userTag__=": tag, "type=": type_, "framework=": framework}
    conditions = [f"name~=%{name}%"] if name else []
    conditions += [f"{condition}{value}" for condition, value in asked.items() if value]
    conditions += ["system=false"] if own else []
    found = list(connect(data_dir, endpoint).rows(TEMPLATES, conditions))
    if as_json:
        emit({"templates": found, "total": len(found)})
        return
    columns = ("NAME", "UUID", "TYPE", "FRAMEWORK", "CPU", "MEMORY", "SYSTEM")
    table(columns, [_row(template) for template in found])


def _row(template: Json) -> tuple[str, ...]:
    return (
        template["name"],
        template["uuid"],
        str(template.get("type") or "-"),
        str(template.get("framework") or "-"),
        str(template.get("requestCpu") or "-"),
        _memory(template),
        "yes" if template.get("system") else "",
    )


def _memory(template: Json) -> str:
    given = template.get("requestMemory")
    return human_bytes(memory_bytes(int(given))) if given else "-"


@app.command()
def show(
    name: Template,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Show one template: command, resources, images, models.

    \b
    Examples:
      pierhead templates show my-server
      pierhead templates show my-server --json
    """
    client = connect(data_dir, endpoint)
    template = pick(client, TEMPLATES, name)
    if as_json:
        emit(template)
        return
    pairs(
        [
            (title, str(value))
            for title, value in (
                *((title, template.get(key)) for title, key in _SHOWN),
                ("Memory", _memory(template)),
                *_images(template),
                *_models(client, template),
            )
            if value not in (None, "", [], {}, "-")
        ]
    )
    if template.get("yaml"):
        print(f"\n{template['yaml'].rstrip()}")


#: Heading -> field, of what is shown as it is.
_SHOWN = (
    ("Name", "name"),
    ("Uuid", "uuid"),
    ("Description", "description"),
    ("Type", "type"),
    ("Framework", "framework"),
    ("Source", "source"),
    ("Version", "version"),
    ("Command", "startCommand"),
    ("In containers", "containerCommand"),
    ("Arguments", "containerArgs"),
    ("Path", "installPath"),
    ("Model center", "modelCenterUuid"),
    ("Zone", "zoneUuid"),
    ("Python", "pythonVersion"),
    ("Conda", "condaVersion"),
    ("GPU capability", "gpuComputeCapability"),
    ("GPUs", "vendorToSpecUuidsMap"),
    ("Created", "createDate"),
    ("Changed", "lastOpDate"),
    ("Cores", "requestCpu"),
)


def _images(template: Json) -> list[tuple[str, object]]:
    found = cast("list[Json]", template.get("modelServiceImages") or [])
    return [
        ("Image", f"{one.get('cpuArchitecture') or 'any'}  {one.get('dockerImage') or ''}")
        for one in found
    ]


def _models(client: ZstackClient, template: Json) -> list[tuple[str, object]]:
    bound = cast("list[Json]", template.get("modelServiceRefs") or [])
    uuids = ",".join(str(one["modelUuid"]) for one in bound)
    found = client.rows(MODELS, [f"uuid?={uuids}"]) if uuids else ()
    return [("Model", f"{one['name']}  {one['uuid']}") for one in found]


@app.command()
def delete(
    *,
    names: Annotated[list[str], typer.Argument(help="Names or uuids of templates.")],
    yes: Yes = False,
    enforce: Enforce = False,
    if_exists: IfExists = False,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Delete templates. Services that run from one refuse it; with --enforce they run on without it.

    \b
    Examples:
      pierhead templates delete my-server
      pierhead templates delete my-server --yes --enforce
    """
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Delete {', '.join(names)}?", abort=True, err=True)
    client = connect(data_dir, endpoint)
    said = remove(names, TEMPLATES, client, enforce=enforce, if_exists=if_exists)
    tell({"messages": said}, "\n".join(said), as_json=as_json)


@app.command()
def instances(
    name: Template,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """List what was deployed of a template: its services and their replicas.

    \b
    Examples:
      pierhead templates instances my-server
      pierhead templates instances my-server --json
    """
    client = connect(data_dir, endpoint)
    template = pick(client, TEMPLATES, name)
    found = list(client.rows(GROUPS, [f"modelServiceUuid={template['uuid']}"]))
    if as_json:
        emit({"groups": found, "total": len(found)})
        return
    columns = ("SERVICE", "NAME", "STATUS", "READY", "REPLICA", "REPLICA STATUS")
    table(columns, [row for group in found for row in _group(group)])


def _group(group: Json) -> list[tuple[str, ...]]:
    """One row per replica; a service without any has one, too."""
    ready = f"{group.get('readyReplicas', 0)}/{group.get('replicas', 0)}"
    head = (str(group.get("serviceName") or "-"), str(group["name"]), str(group["status"]), ready)
    replicas = cast("list[Json]", group.get("instances") or [])
    rows = [(*head, str(one.get("name") or one["uuid"]), str(one["status"])) for one in replicas]
    return rows or [(*head, "-", "-")]
