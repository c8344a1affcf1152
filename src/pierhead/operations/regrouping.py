"""What an update or a tag does to a deployment: in place, or as a new version. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pierhead.core import lifecycle
from pierhead.core import tags as rules
from pierhead.core.errors import Unsupported
from pierhead.core.events import Notice
from pierhead.core.services import Registration, Service, Version
from pierhead.core.templates import Template
from pierhead.operations import effective, probes, service_yaml
from pierhead.operations.services import GROUP, Decision, touched, upgraded
from pierhead.operations.wishes import Layers, kept, one_layer

PROCESS = "process"


@dataclass(frozen=True, slots=True)
class GroupChanges:
    """What an update of a deployment asks for; None = as it is."""

    name: str | None = None
    description: str | None = None
    environment: Mapping[str, str] | None = None
    startup_parameters: Mapping[str, str] | None = None
    livez: str | None = None
    readyz: str | None = None
    boot_seconds: float | None = None


def changed(service: Service, changes: GroupChanges, now: float) -> Decision:
    """The decision that an update of a deployment comes to.

    Raises:
        Invalid: a field is not legal.
        Conflict: it is being deleted.
    """
    notices: list[Notice] = []
    old = service.current
    layers = _layers(service, changes, notices)
    template = _probed(old.template, changes)
    template = effective.with_flags(replace(template, env=layers.env()), layers, notices)
    held = _renamed(service.registration, changes)
    told = tuple(notices)
    if template == old.template:
        return touched(service, replace(service, registration=held), now, told)
    version = replace(old, template=template, submitted=layers.document())
    # From here on it is told in the words of the registry: no other document describes it.
    owned = replace(service, registration=_rewritten(held, changes), origin=GROUP)
    return upgraded(owned, version, now, None, told)


def tagged(service: Service, texts: Iterable[str], now: float, here: str = PROCESS) -> Service:
    """The service as these acting tags want it; what none of them says is as it is by default.

    `here`: the runtime of this platform.

    Raises:
        Invalid: a value is not legal.
        Unsupported: there is no such runtime here.
        Conflict: it is being deleted.
    """
    asked = rules.asked(texts, "tag")
    held = replace(
        service.registration, runtime=runtime(asked.runtime, here), open=bool(asked.open)
    )
    found = service
    if held != service.registration:
        found = lifecycle.touch(replace(service, registration=held), now)
    found = lifecycle.resize(found, 1 if asked.replicas is None else asked.replicas, now) or found
    version = _with_gpus(service.current, asked.gpus)
    if version is not None:
        found = lifecycle.upgrade(found, version, now)
    return service if found is service else replace(found, revision=service.revision + 1)


def runtime(asked: str | None, here: str = PROCESS) -> str:
    """The runtime that `ai::runtime` names; "" = the platform's choice.

    Raises:
        Unsupported: there is no such one here.
    """
    refused = rules.runtime_refused(asked or "", here)
    if refused:
        raise Unsupported(f"{rules.Kind.RUNTIME}::{asked}", refused)
    return asked or ""


def layers_of(service: Service) -> Layers:
    """The layers that a service is made of; of one that keeps none, everything is one layer."""
    version = service.current
    if service.origin != GROUP:
        return one_layer(version.template)
    return kept(version.template, version.submitted)


def _layers(service: Service, changes: GroupChanges, notices: list[Notice]) -> Layers:
    layers = layers_of(service)
    if changes.environment is not None:
        effective.variables(changes.environment, "environmentVariables", notices)
        layers = replace(layers, variables=dict(changes.environment))
    if changes.startup_parameters is not None:
        effective.parameters(changes.startup_parameters)
        layers = replace(layers, parameters=dict(changes.startup_parameters))
    return layers


def _probed(template: Template, changes: GroupChanges) -> Template:
    boot = changes.boot_seconds
    return replace(
        template,
        readiness=probes.probe(changes.readyz or "", "serviceReadyz") or template.readiness,
        liveness=probes.probe(changes.livez or "", "serviceLivez") or template.liveness,
        start_deadline=template.start_deadline
        if boot is None
        else probes.boot_seconds(boot, "serviceBootupTime"),
    )


def _renamed(held: Registration, changes: GroupChanges) -> Registration:
    title = held.title if changes.name is None else changes.name
    description = held.description if changes.description is None else changes.description
    return replace(held, title=title, description=description)


def _rewritten(held: Registration, changes: GroupChanges) -> Registration:
    """With the YAML as it is now, of a deployment that has one."""
    if not held.yaml:
        return held
    text = service_yaml.patched(
        held.yaml,
        livez=changes.livez or None,
        readyz=changes.readyz or None,
        boot_seconds=changes.boot_seconds,
    )
    return replace(held, yaml=text)


def _with_gpus(version: Version, gpus: int | None) -> Version | None:
    """The version with so many GPUs per replica; None when it has as many."""
    template = version.template
    if gpus is None and template.nodes > 1:
        return None  # its deployment said how many, and no tag did
    if gpus is None:
        wanted = template.constraints
        gpus = int(bool(wanted.gpu_capability or wanted.gpu_specs))
    if gpus == template.resources.gpu:
        return None
    resources = replace(template.resources, gpu=gpus)
    return replace(version, template=replace(template, resources=resources))
