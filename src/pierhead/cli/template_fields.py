"""How a template is written on the command line: shared options, and files, as the wire's fields."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from pierhead.cli.client import Json
from pierhead.cli.registry import given, size_of, text_of

Description = Annotated[str, typer.Option("--description", help="Some words about it.")]
Yaml = Annotated[
    Path | None,
    typer.Option("--yaml", help="File with services, ports, probes, env, python; - is stdin."),
]
Requirements = Annotated[
    Path | None,
    typer.Option("--requirements", help="requirements.txt of the command's own environment."),
]
Cpu = Annotated[int | None, typer.Option("--cpu", min=1, help="Cores per replica.")]
Memory = Annotated[str, typer.Option("--memory", help="Memory per replica, e.g. 2GiB.")]
GpuCapability = Annotated[
    str, typer.Option("--gpu-capability", help="Lowest CUDA capability of its GPU, e.g. 7.5.")
]
Gpu = Annotated[
    list[str] | None,
    typer.Option("--gpu", help="GPU that will do, VENDOR or VENDOR=SPEC,SPEC; repeatable."),
]
StartCommand = Annotated[
    str, typer.Option("--start-command", help="Command of a replica; it listens on $PORT.")
]
ContainerCommand = Annotated[
    str, typer.Option("--container-command", help="Entry point in a container.")
]
ContainerArgs = Annotated[str, typer.Option("--container-args", help="Its arguments.")]
Image = Annotated[
    list[str] | None,
    typer.Option("--image", help="Image, ARCHITECTURE=IMAGE or IMAGE; repeatable."),
]
Python = Annotated[str, typer.Option("--python", help="Python of its own environment, e.g. 3.11.")]
Conda = Annotated[str, typer.Option("--conda", help="Conda version: built from conda packages.")]
Type = Annotated[str, typer.Option("--type", help="Endpoint, App, FineTune or ModelEval.")]
Framework = Annotated[str, typer.Option("--framework", help="vLLM, Transformers, Other, ...")]
Origin = Annotated[str, typer.Option("--source", help="Other, HuggingFace or Bentoml.")]
InstallPath = Annotated[
    str,
    typer.Option(
        "--install-path",
        help="Folder that the command runs in: below the center's root, or absolute.",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", help="Model that it may serve, name or uuid; repeatable."),
]
Env = Annotated[
    list[str] | None,
    typer.Option("--env", help="Environment of its services, KEY=VALUE; replaces all."),
]
Flag = Annotated[
    list[str] | None,
    typer.Option("--flag", help="Argument of its command, NAME=VALUE; replaces all."),
]
Name = Annotated[str, typer.Option("--name", help="Its name.")]
Uuid = Annotated[str, typer.Option("--uuid", help="Its uuid; else a new one.")]
System = Annotated[bool, typer.Option("--system", help="Every account may use it.")]
Zone = Annotated[str, typer.Option("--zone", help="Zone of its services; else the hub's own.")]
TagPatterns = Annotated[
    list[str] | None, typer.Option("--tag-pattern", help="Uuid of a tag to attach; repeatable.")
]
CopyPath = Annotated[
    str, typer.Option("--install-path", help="Where the copy's files go; they are copied, too.")
]
Distributed = Annotated[
    bool | None,
    typer.Option("--distributed/--no-distributed", help="May run over several nodes."),
]


Fields = Mapping[str, tuple[str, Callable[[Any], object]]]


def same(value: object) -> object:
    """The value as it was given."""
    return value


def images(texts: Sequence[str] | None) -> list[dict[str, str]]:
    """`X86_64=registry/name:tag` or `registry/name:tag` as architecture images."""
    found: list[dict[str, str]] = []
    for text in texts or ():
        architecture, equals, image = text.partition("=")
        if not equals:
            architecture, image = "", text
        found.append(given(cpuArchitecture=architecture, dockerImage=image))
    return found


def gpus(texts: Sequence[str] | None) -> dict[str, list[str]]:
    """`NVIDIA` or `NVIDIA=spec,spec` as vendor -> spec uuids."""
    found: dict[str, list[str]] = {}
    for text in texts or ():
        vendor, _, specs = text.partition("=")
        found.setdefault(vendor, []).extend(spec for spec in specs.split(",") if spec)
    return found


#: Option -> the wire's field, and how its value is written there.
FIELDS: Fields = {
    "name": ("name", same),
    "description": ("description", same),
    "cpu": ("requestCpu", same),
    "memory": ("requestMemory", size_of),
    "gpu_capability": ("gpuComputeCapability", same),
    "gpu": ("vendorToSpecUuidsMap", gpus),
    "install_path": ("installPath", same),
    "start_command": ("startCommand", same),
    "container_command": ("containerCommand", same),
    "container_args": ("containerArgs", same),
    "image": ("architectureImages", images),
    "python": ("pythonVersion", same),
    "conda": ("condaVersion", same),
    "type_": ("type", same),
    "framework": ("framework", same),
    "source": ("source", same),
    "distributed": ("supportDistributed", same),
    "uuid": ("resourceUuid", same),
    "tag": ("userTags", same),
    "tag_pattern": ("tagUuids", same),
    "system_tag": ("systemTags", same),
}


def template(params: Mapping[str, Any]) -> Json:
    """The options of a template that were given, as the wire's fields.

    Raises:
        typer.BadParameter: one of them cannot be read.
    """
    yaml, requirements = params.get("yaml"), params.get("requirements")
    text = service_yaml(Path(yaml) if yaml else None, Path(requirements) if requirements else None)
    return read(params, FIELDS) | given(yaml=text)


def read(params: Mapping[str, Any], fields: Fields) -> Json:
    """The options that were given, as the wire's fields.

    Raises:
        typer.BadParameter: one of them cannot be read.
    """
    return {
        field: value_of(params[name])
        for name, (field, value_of) in fields.items()
        if params.get(name) not in (None, "", (), [])
    }


def service_yaml(file: Path | None, requirements: Path | None) -> str:
    """The service description, with the requirements in their place; "" without either."""
    text = text_of("--yaml", file) if file else ""
    if requirements is None:
        return text
    document = _mapping("--yaml", text) if text.strip() else {}
    python = document.setdefault("python", {})
    if not isinstance(python, dict):
        raise typer.BadParameter("its `python` is no mapping", param_hint="--yaml")
    python["requirements_txt"] = text_of("--requirements", requirements)
    return _dumped(document)


def document(file: Path, known: Mapping[str, object]) -> Json:
    """A template from a file: the wire's fields; `yaml` may be a mapping, memory a size such as 2GiB.

    Raises:
        typer.BadParameter: it is no such file, or names a field that is not `known`.
    """
    found = _mapping("FILE", text_of("FILE", file))
    for name in found:
        if name not in known:
            legal = ", ".join(sorted(known))
            raise typer.BadParameter(f"{file}: no field [{name}]; there are {legal}")
    if not isinstance(found.get("yaml", ""), str):
        found["yaml"] = _dumped(found["yaml"])
    memory = found.get("requestMemory")
    if isinstance(memory, str):
        found["requestMemory"] = size_of(memory)
    return found


def _mapping(flag: str, text: str) -> Json:
    # Only who names a file pays for it.
    import yaml

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as problem:
        raise typer.BadParameter(f"it is no YAML: {problem}", param_hint=flag) from problem
    if not isinstance(found, dict):
        raise typer.BadParameter("it is no YAML mapping", param_hint=flag)
    return cast("Json", found)


def _dumped(document: object) -> str:
    import yaml

    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
