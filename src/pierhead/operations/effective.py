"""From a registered template and the wishes of a deployment to the core Template that runs. Pure.

The snapshot is kept with the service's version: what is changed in the registry later does not
reach a deployment. What of the two has no effect here is told in notices, by name.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pierhead.core import devices, spans
from pierhead.core.errors import Invalid
from pierhead.core.events import Notice
from pierhead.core.mounts import FolderSource, NasSource, Source, remote_source
from pierhead.core.placement import capability
from pierhead.core.registry import Dataset, ModelCenter, RegisteredTemplate, memory_bytes
from pierhead.core.resources import Resources
from pierhead.core.tags import Kind
from pierhead.core.templates import AUTO, Constraints, Link, Probe, Template
from pierhead.operations import commands, paths, probes, requirements, service_yaml
from pierhead.operations.service_yaml import ENV_NAME, ServiceYaml, YamlService
from pierhead.operations.wishes import DeployWish, Facts, Layers

#: Seconds to start when nobody says how many.
BOOT_SECONDS = 600.0
NO_EFFECT = "ParameterHasNoEffect"
#: Variables that the platform sets for every replica.
RESERVED = ("PORT", "HOST", "MODEL_DIR", "SERVICE_NAME", "REPLICA_ID", *devices.VARIABLES)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The effective template with all that belongs to it."""

    template: Template
    source: Source | None  #: the model; also the template's own source
    yaml: str  #: effective YAML
    layers: Layers
    notices: tuple[Notice, ...] = ()


def snapshot(registered: RegisteredTemplate, wish: DeployWish, facts: Facts) -> Snapshot:
    """The template that a deployment runs.

    Raises:
        Invalid: the YAML cannot be read, or a figure, a probe, a variable is not legal; or a replica
            cannot be on so many nodes.
        Forbidden: its requirements name what only the account itself may.
    """
    content = service_yaml.parse(registered.yaml)
    notices: list[Notice] = [*_of_yaml(content), *_unused(wish), *wish.told]
    command = _command(registered, wish, facts)
    base = facts.shipped or _base(registered, command, notices)
    first = _first(content, wish, base if facts.shipped else None)
    layers = _layers(registered, wish, content, notices)
    source = _source(registered, facts)
    template = replace(
        base,
        source=source or base.source,
        workdir=_workdir(registered, facts, notices) or "",
        environment=requirements.environment(registered, content, trusted=facts.trusted),
        ports=first.ports,
        side_ports=_side_ports(content),
        images=_images(registered, wish, facts, notices),
        constraints=_constraints(registered, wish, notices),
        links=_links(facts, notices),
        framework=registered.framework,
        routed="private" if registered.type == "App" else "openai",
        env=layers.env(),
        resources=_resources(registered, wish, facts),
        readiness=_readiness(first, wish, base.readiness),
        nodes=wish.nodes,
        in_turn=wish.in_turn,
        liveness=_liveness(first, wish) or base.liveness,
        start_deadline=first.boot_seconds or BOOT_SECONDS,
    )
    template = with_flags(template, layers, notices)
    effective = replace(content, services=(first, *content.services[1:]))
    return Snapshot(template, source, service_yaml.dump(effective), layers, tuple(notices))


def with_flags(template: Template, layers: Layers, notices: list[Notice]) -> Template:
    """The template with the layers' startup parameters.

    Raises:
        Invalid: a replica of it cannot be on so many nodes.
    """
    found = layers.flags()
    if template.engine == "custom" or template.nodes > 1:
        template = replace(template, flags=found)
        spans.demand(template)
        return template
    if found:
        named = "" if template.engine == AUTO else f" {template.engine}"
        why = f"the engine{named} has its own options"
        notices.append(Notice(NO_EFFECT, f"The parameter startupParameters has no effect: {why}."))
    return template


def safe_name(registered: RegisteredTemplate) -> str:
    """The template's name, as far as it can stand in a path; its uuid when nothing is left."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", registered.name).strip("._-")[:64]
    return name or registered.uuid


def _base(
    registered: RegisteredTemplate, command: commands.Command, notices: list[Notice]
) -> Template:
    return Template(
        name=safe_name(registered),
        engine=command.engine,
        command=command.argv,
        script=command.script,
        readiness=command.readiness,
    )


def _of_yaml(content: ServiceYaml) -> Iterable[Notice]:
    if content.repaired:
        yield Notice("YamlRepaired", "The yaml had lost its indentation; it was put back.")
    if content.unknown:
        names = ", ".join(content.unknown)
        yield Notice(
            "YamlKeyUnknown",
            f"Keys of the yaml that are not known were kept and do nothing: {names}.",
        )


def _unused(wish: DeployWish) -> Iterable[Notice]:
    for name in wish.without_effect:
        yield Notice(
            NO_EFFECT, f"The parameter {name} has no effect here: replicas are no virtual machines."
        )


def _first(content: ServiceYaml, wish: DeployWish, shipped: Template | None) -> YamlService:
    """The first service with what the deployment says of it."""
    first = content.services[0] if content.services else YamlService()
    boot = wish.boot_seconds or first.boot_seconds
    usual = shipped.start_deadline if shipped else BOOT_SECONDS
    return replace(
        first,
        livez=wish.livez or first.livez,
        readyz=wish.readyz or first.readyz,
        boot_seconds=probes.boot_seconds(boot or usual),
    )


def _readiness(first: YamlService, wish: DeployWish, usual: Probe) -> Probe:
    return probes.probe(first.readyz, "serviceReadyz" if wish.readyz else "yaml") or usual


def _liveness(first: YamlService, wish: DeployWish) -> Probe | None:
    return probes.probe(first.livez, "serviceLivez" if wish.livez else "yaml")


def _layers(
    registered: RegisteredTemplate, wish: DeployWish, content: ServiceYaml, notices: list[Notice]
) -> Layers:
    inference = registered.inference_params
    text = json.dumps(dict(inference), ensure_ascii=False)
    below = {
        **content.env,
        **({"INFERENCE_PARAMS": text} if inference else {}),
        **registered.environment,
    }
    variables(below, "environmentParameters", notices)
    variables(wish.environment, "environmentVariables", notices)
    parameters(registered.startup_parameters)
    parameters(wish.startup_parameters)
    return Layers(below, wish.environment, registered.startup_parameters, wish.startup_parameters)


def variables(values: Mapping[str, str], field_name: str, notices: list[Notice]) -> None:
    """Check names and values of variables.

    Raises:
        Invalid: one cannot be in an environment; the message names `field_name`.
    """
    for name, value in values.items():
        if ENV_NAME.fullmatch(name) is None:
            raise Invalid(field_name, f"[{name[:80]}]", "letters, digits and underscores")
        if "\0" in value:
            raise Invalid(field_name, f"the value of [{name[:80]}] has a NUL character")
        if name in RESERVED:
            notices.append(Notice("EnvironmentReplaced", f"{name} is set by the platform."))


def parameters(values: Mapping[str, str]) -> None:
    """Check startup parameters.

    Raises:
        Invalid: one cannot be an argument of a program.
    """
    for key, value in values.items():
        if not key.strip("-") or "\0" in key + value:
            raise Invalid("startupParameters", f"[{key[:80]}]", "a name, text without NUL")


def _source(registered: RegisteredTemplate, facts: Facts) -> Source | None:
    """Where the model lies; without one, what the template's own installPath names in a store or hub."""
    if facts.model is None or facts.model_center is None:
        return remote_source(registered.install_path, "installPath")
    remote = remote_source(facts.model.install_path, "installPath")
    if remote is not None:
        return remote
    path = paths.resolve(facts.model_center, facts.model.install_path)
    if path is not None:
        return FolderSource(path)
    host, _, export = facts.model_center.url.partition(":")
    return NasSource(host, f"{export.rstrip('/')}/{facts.model.install_path.strip('/')}")


def _workdir(registered: RegisteredTemplate, facts: Facts, notices: list[Notice]) -> str | None:
    if facts.shipped is not None or facts.center is None or not registered.install_path:
        return None
    path = paths.resolve(facts.center, registered.install_path)
    if remote_source(registered.install_path, "installPath") is not None:
        if facts.model is not None:
            why = f"the files of the model [{facts.model.name[:80]}] are served"
            notices.append(Notice(NO_EFFECT, f"The parameter installPath has no effect: {why}."))
    elif path is None:
        why = f"its center [{facts.center.url[:200]}] is no folder of this machine"
        notices.append(
            Notice("InstallPathMissing", f"installPath [{registered.install_path[:200]}]: {why}.")
        )
    return path


def _side_ports(content: ServiceYaml) -> dict[str, int]:
    """Every declared port but the first, by a name of its own."""
    found: dict[str, int] = {}
    for at, service in enumerate(content.services):
        name = service.name or f"service{at}"
        for port in service.ports[1:] if at == 0 else service.ports:
            key = f"{name}-{port}" if at == 0 or name in found else name
            found[key] = port
    return found


def _images(
    registered: RegisteredTemplate,
    wish: DeployWish,
    facts: Facts,
    notices: list[Notice],
) -> dict[str, str]:
    if wish.image:
        found = {"": wish.image}
    else:
        named = [image for image in registered.images if image.docker_image]
        found = {image.architecture or "": image.docker_image or "" for image in named}
    if found and not facts.images:
        why = "replicas are processes on this host; the command runs without a container around it"
        notices.append(Notice("ImageNotUsed", f"The image is kept and not pulled: {why}."))
    center = facts.center
    registry = (center.container_registry or "").rstrip("/") if center else ""
    return {key: _prefixed(image, registry) for key, image in found.items()}


def _prefixed(image: str, registry: str) -> str:
    """An image that names no registry lies in the center's."""
    host, slash, _ = image.partition("/")
    named = bool(slash) and (host == "localhost" or "." in host or ":" in host)
    return image if named or not registry else f"{registry}/{image}"


def _constraints(
    registered: RegisteredTemplate, wish: DeployWish, notices: list[Notice]
) -> Constraints:
    asked = registered.gpu_capability or ""
    if asked and capability(asked) is None:
        text = f"gpuComputeCapability [{asked[:80]}] is neither like 7.5 nor like sm_75: any GPU will do."
        notices.append(Notice("ConstraintNotUnderstood", text))
        asked = ""
    return Constraints(
        architectures=() if wish.image else registered.architectures,
        gpu_capability=asked,
        gpu_specs=dict(registered.vendor_specs),
    )


def _resources(registered: RegisteredTemplate, wish: DeployWish, facts: Facts) -> Resources:
    usual = facts.shipped.resources if facts.shipped else None
    cpu = wish.cpu or (usual.cpu if usual else registered.request_cpu)
    given = memory_bytes(wish.memory) if wish.memory else None
    memory = given or (usual.memory if usual else memory_bytes(registered.request_memory))
    memory_request = memory_bytes(wish.memory_request) if wish.memory_request else None
    _at_most("requestCpuNum", wish.cpu_request, cpu)
    _at_most("requestMemorySize", memory_request, memory)
    gpus = _gpus(registered, wish, facts)
    return Resources(cpu, memory, gpus, cpu_request=wish.cpu_request, memory_request=memory_request)


def _command(registered: RegisteredTemplate, wish: DeployWish, facts: Facts) -> commands.Command:
    """How replicas are started; over several nodes by the engine itself, which knows of the others."""
    found = commands.command(registered, facts.service)
    own = commands.is_own(registered)
    if wish.nodes == 1 or own or registered.framework != spans.FRAMEWORK:
        return found
    return commands.Command(spans.ENGINE, readiness=found.readiness)


def _gpus(registered: RegisteredTemplate, wish: DeployWish, facts: Facts) -> int:
    """GPUs of each node that a replica is on."""
    usual = gpu_default(registered) if facts.gpus is None else facts.gpus
    if wish.nodes == 1:
        return usual
    if wish.tensor is None:
        return usual if facts.gpus is not None else max(1, usual)
    if facts.gpus not in {None, wish.tensor}:
        told = f"{wish.tensor} against the tag {Kind.GPUS}::{facts.gpus}"
        raise Invalid("tensorParallelSize", told, "one number of GPUs for each node")
    return wish.tensor


def gpu_default(registered: RegisteredTemplate) -> int:
    """GPUs per replica when no tag says how many: one, if a kind of GPU is asked for."""
    return int(bool(registered.gpu_capability or registered.vendor_specs))


def _at_most(name: str, request: int | None, limit: float | None) -> None:
    if request is not None and limit is not None and request > limit:
        raise Invalid(name, f"{request} is above the limit", f"at most {limit:.0f}")


def _links(facts: Facts, notices: list[Notice]) -> tuple[Link, ...]:
    found: dict[str, str] = {}
    for dataset, center in facts.datasets:
        path = _dataset_path(dataset, center)
        if path is None:
            text = f"The dataset [{dataset.name[:80]}] lies on no folder of this machine."
            notices.append(Notice("DatasetUnreachable", text))
            continue
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", dataset.name).strip("._-")[:64] or dataset.uuid
        found[name if name not in found else f"{name}-{dataset.uuid[:8]}"] = path
    return tuple(Link(name, path) for name, path in found.items())


def _dataset_path(dataset: Dataset, center: ModelCenter | None) -> str | None:
    if dataset.install_path and center is not None:
        return paths.resolve(center, dataset.install_path)
    return paths.local(dataset.url)
