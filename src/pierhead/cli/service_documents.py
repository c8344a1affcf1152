"""`pierhead services create|update`: from flags (an app service) or from a service JSON."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pierhead.cli import watch
from pierhead.cli.client import Json
from pierhead.cli.options import AsJson, DataDir, Endpoint, Name, Timeout, Wait, connect
from pierhead.cli.services import app, report

Spec = Annotated[str, typer.Option("--spec", help="Service spec, e.g. smollm2_135m_q4.")]
AppVersion = Annotated[str, typer.Option("--app-version", help="Version of the app.")]
OssPath = Annotated[str, typer.Option("--oss-path", help="Weights: oss://bucket/prefix/.")]
NasTarget = Annotated[str, typer.Option("--nas-mount-target", help="Weights: NAS mount target.")]
NasPath = Annotated[str, typer.Option("--nas-path", help="Weights: folder on the NAS.")]
Workspace = Annotated[str, typer.Option("--workspace", help="Workspace that owns it.")]
Quota = Annotated[str, typer.Option("--quota", help="Quota that it counts against.")]
File = Annotated[
    Path | None,
    typer.Option("--file", "-f", help="A service JSON instead of the flags; - is standard input."),
]


@app.command()
def create(
    *,
    name: Annotated[str, typer.Argument(help="Name: a-z, 0-9 and _, 3 to 63.")] = "",
    spec: Spec = "",
    replicas: Annotated[int, typer.Option(min=1, help="Number of replicas.")] = 1,
    app_version: AppVersion = "v1",
    oss_path: OssPath = "",
    nas_mount_target: NasTarget = "",
    nas_path: NasPath = "",
    workspace: Workspace = "",
    quota: Quota = "",
    file: File = None,
    wait: Wait = False,
    timeout: Timeout = 900,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Create a service.

    \b
    Examples:
      pierhead services create my_llm --spec smollm2_135m_q4 --wait
      pierhead services create chat --spec llama_7b_int8 --replicas 2 --oss-path oss://models/llama/
      pierhead services create --file service.json --wait
    """
    if file is not None:
        if name or spec or quota or oss_path or nas_mount_target or nas_path:
            raise typer.BadParameter(
                "name, spec, quota and weights stand in the file then", param_hint="--file"
            )
        body, operation, path = _document(file), "CreateService", "/api/v2/services"
    elif not name or not spec:
        raise typer.BadParameter("give NAME and --spec, or --file", param_hint="NAME")
    else:
        operation, path = "CreateAppService", "/api/v2/app_services"
        body = {
            "AppType": "LLM",
            "AppVersion": app_version,
            "ServiceName": name,
            "ServiceSpec": spec,
            "Replicas": replicas,
            **_config(oss_path, nas_mount_target, nas_path),
        }
    client = connect(data_dir, endpoint)
    query = {"WorkspaceId": workspace, "QuotaId": quota}
    answer = client.call(operation, "POST", path, query=query, body=body)
    created = str(answer["ServiceName"])
    report(client, created, answer, as_json=as_json, wait=watch.Watch(timeout) if wait else None)


@app.command()
def update(
    *,
    name: Name,
    spec: Spec = "",
    replicas: Annotated[int | None, typer.Option(min=1, help="Number of replicas.")] = None,
    app_version: AppVersion = "",
    oss_path: OssPath = "",
    nas_mount_target: NasTarget = "",
    nas_path: NasPath = "",
    workspace: Workspace = "",
    quota: Quota = "",
    file: File = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="--file is the whole document, not a part of it.")
    ] = False,
    wait: Wait = False,
    timeout: Timeout = 900,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Change a service: a new version rolls out; only --replicas scales.

    \b
    Examples:
      pierhead services update my_llm --spec smollm2_135m_int8 --wait
      pierhead services update my_service --file change.json
    """
    fields: Json = {
        "ServiceSpec": spec,
        "Replicas": replicas,
        "AppVersion": app_version,
        **_config(oss_path, nas_mount_target, nas_path),
    }
    changed = {key: value for key, value in fields.items() if value not in ("", None)}
    if bool(changed or quota or workspace) == (file is not None):
        raise typer.BadParameter("give what to change as flags, or as --file", param_hint="--file")
    document = changed if file is None else _document(file)
    client = connect(data_dir, endpoint)
    if file is None:
        operation, path = "UpdateAppService", client.path(name, root="app_services")
        query = {"WorkspaceId": workspace, "QuotaId": quota}
    else:
        operation, path = "UpdateService", client.path(name)
        query = {"UpdateType": "replace" if replace else ""}
    answer = client.call(operation, "PUT", path, query=query, body=document)
    report(client, name, answer, as_json=as_json, wait=watch.Watch(timeout) if wait else None)


def _config(oss_path: str, nas_mount_target: str, nas_path: str) -> dict[str, Any]:
    if bool(nas_mount_target) != bool(nas_path):
        raise typer.BadParameter(
            "--nas-mount-target and --nas-path go together", param_hint="--nas-path"
        )
    if oss_path and nas_path:
        raise typer.BadParameter(
            "give one place for the weights, OSS or NAS", param_hint="--oss-path"
        )
    if oss_path:
        return {"Config": {"ModelStorage": "oss", "OssPath": oss_path}}
    if nas_path:
        place = {"NasMountTarget": nas_mount_target, "NasPath": nas_path}
        return {"Config": {"ModelStorage": "nas", **place}}
    return {}


def _document(file: Path) -> Any:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
        return json.loads(text)
    except OSError as problem:
        raise typer.BadParameter(f"{file}: {problem.strerror}", param_hint="--file") from problem
    except ValueError as problem:
        raise typer.BadParameter(f"{file} is no JSON: {problem}", param_hint="--file") from problem
