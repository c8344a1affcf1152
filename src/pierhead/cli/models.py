"""`pierhead models ...`: weights that are registered, and the templates that may serve them."""

import sys
from typing import Annotated, cast

import typer

from pierhead.cli.client import Json
from pierhead.cli.options import AsJson, DataDir, Endpoint
from pierhead.cli.registry import (
    MODELS,
    TEMPLATES,
    Center,
    Enforce,
    IfExists,
    Model,
    SystemTags,
    Tags,
    Template,
    Yes,
    center_of,
    connect,
    given,
    pick,
    remove,
    size_of,
    tell,
    uuid_of,
    uuids_of,
)
from pierhead.cli.screen import emit, pairs, table
from pierhead.cli.zstack_client import ZstackClient, item
from pierhead.core.resources import human_bytes

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Models: weights under a model center, and the templates that may serve them.",
)


@app.command("list")
def list_models(
    *,
    name: Annotated[str, typer.Option(help="Only names that contain this.")] = "",
    tag: Annotated[str, typer.Option("--tag", help="Only with this user tag.")] = "",
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """List models.

    \b
    Examples:
      pierhead models list
      pierhead models list --name qwen --json
    """
    conditions = [f"name~=%{name}%"] if name else []
    conditions += [f"__userTag__={tag}"] if tag else []
    found = list(connect(data_dir, endpoint).rows(MODELS, conditions))
    if as_json:
        emit({"models": found, "total": len(found)})
        return
    table(("NAME", "UUID", "SIZE", "TEMPLATES", "PATH"), [_row(model) for model in found])


def _row(model: Json) -> tuple[str, ...]:
    bound = str(len(_bindings(model)))
    return model["name"], model["uuid"], _size(model), bound, str(model.get("installPath") or "-")


def _size(model: Json) -> str:
    return human_bytes(model["size"]) if model.get("size") else "-"


def _bindings(model: Json) -> list[Json]:
    return cast("list[Json]", model.get("modelServiceRefs") or [])


@app.command()
def show(
    name: Model,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Show one model: where it lies, its size, the templates that may serve it.

    \b
    Examples:
      pierhead models show qwen
      pierhead models show qwen --json
    """
    client = connect(data_dir, endpoint)
    model = pick(client, MODELS, name)
    if as_json:
        emit(model)
        return
    shown = [(title, str(model.get(key) or "")) for title, key in _SHOWN]
    shown += [("Size", _size(model)), *(("Template", text) for text in _templates(client, model))]
    pairs([(title, text) for title, text in shown if text])


#: Heading -> field, of what is shown as it is.
_SHOWN = (
    ("Name", "name"),
    ("Uuid", "uuid"),
    ("Description", "description"),
    ("Path", "installPath"),
    ("Model center", "modelCenterUuid"),
    ("Version", "version"),
    ("Vendor", "vendor"),
    ("Type", "type"),
    ("Created", "createDate"),
    ("Changed", "lastOpDate"),
)


def _templates(client: ZstackClient, model: Json) -> list[str]:
    """One line per template that may serve it."""
    bound = _bindings(model)
    uuids = ",".join(str(binding["modelServiceUuid"]) for binding in bound)
    found = client.rows(TEMPLATES, [f"uuid?={uuids}"]) if uuids else ()
    names = {row["uuid"]: str(row["name"]) for row in found}
    return [
        f"{names.get(binding['modelServiceUuid'], '-')}  {binding['modelServiceUuid']}"
        + ("  default" if binding.get("isDefault") else "")
        for binding in bound
    ]


@app.command()
def add(
    *,
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    install_path: Annotated[
        str,
        typer.Option(
            help="Folder of the weights: below the center's root, absolute, or a URI as "
            "hf://org/name and oss://bucket/prefix."
        ),
    ],
    template: Annotated[
        list[str] | None,
        typer.Option(help="Template that may serve it, name or uuid; repeatable."),
    ] = None,
    default_template: Annotated[
        str, typer.Option(help="The template that serves it unless another is named.")
    ] = "",
    center: Center = "",
    description: Annotated[str, typer.Option(help="Some words about it.")] = "",
    vendor: Annotated[str, typer.Option(help="Who made it.")] = "",
    model_version: Annotated[str, typer.Option("--model-version", help="Its version.")] = "",
    size: Annotated[str, typer.Option(help="Size, e.g. 4GiB; else it is measured.")] = "",
    public: Annotated[bool, typer.Option("--public", help="Every account may see it.")] = False,
    uuid: Annotated[str, typer.Option(help="Its uuid; else a new one.")] = "",
    tag: Tags = None,
    system_tag: SystemTags = None,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Register weights. The files stay where they are.

    \b
    Examples:
      pierhead models add qwen --install-path models/qwen2.5-0.5b
      pierhead models add chat --install-path /data/chat --template my-server --tag team=search
      pierhead models add small --install-path hf://Qwen/Qwen2.5-0.5B-Instruct
    """
    measured = size_of(size) if size else None
    client = connect(data_dir, endpoint)
    body = given(
        name=name,
        installPath=install_path,
        modelCenterUuid=center_of(client, center),
        modelServiceUuids=uuids_of(client, TEMPLATES, template),
        defaultModelServiceUuid=uuid_of(client, TEMPLATES, default_template)
        if default_template
        else "",
        description=description,
        vendor=vendor,
        version=model_version,
        size=measured,
        shareMode="Public" if public else "",
        resourceUuid=uuid,
        userTags=tag,
        systemTags=system_tag,
    )
    made: Json = client.post(MODELS, "param", body)["inventory"]
    tell(made, f"Model [{name}] is registered: {made['uuid']}", as_json=as_json)


@app.command()
def delete(
    *,
    names: Annotated[list[str], typer.Argument(help="Names or uuids of models.")],
    yes: Yes = False,
    enforce: Enforce = False,
    if_exists: IfExists = False,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Forget models. Their files stay, unless Pierhead put them there. Asks first on a terminal.

    \b
    Examples:
      pierhead models delete qwen
      pierhead models delete qwen chat --yes --if-exists
    """
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Forget {', '.join(names)}?", abort=True, err=True)
    client = connect(data_dir, endpoint)
    said = remove(names, MODELS, client, enforce=enforce, if_exists=if_exists)
    tell({"messages": said}, "\n".join(said), as_json=as_json)


@app.command()
def bind(
    *,
    model: Model,
    template: Template,
    default: Annotated[
        bool, typer.Option("--default", help="Make it the template that serves the model.")
    ] = False,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Say that a template may serve a model.

    \b
    Examples:
      pierhead models bind qwen my-server
      pierhead models bind qwen my-server --default
    """
    client = connect(data_dir, endpoint)
    one, other = uuid_of(client, MODELS, model), uuid_of(client, TEMPLATES, template)
    client.post(item(MODELS, one, "model-services", other), "param", {})
    if default:
        client.put(item(MODELS, one), "updateModel", {"defaultModelServiceUuid": other})
    found = pick(client, MODELS, one)
    tell(found, f"Template [{template}] may serve model [{model}].", as_json=as_json)


@app.command()
def unbind(
    *,
    model: Model,
    template: Template,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Take back that a template may serve a model. Running services are not touched.

    \b
    Examples:
      pierhead models unbind qwen my-server
    """
    client = connect(data_dir, endpoint)
    one, other = uuid_of(client, MODELS, model), uuid_of(client, TEMPLATES, template)
    client.delete(item(MODELS, one, "model-services", other))
    found = pick(client, MODELS, one)
    tell(found, f"Template [{template}] does not serve model [{model}] any more.", as_json=as_json)
