"""What a registered template may be, and what becomes of it when it is changed or copied. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pierhead.core import versions
from pierhead.core.errors import Invalid
from pierhead.core.ids import Entropy, registry_id
from pierhead.core.registry import ArchitectureImage, RegisteredTemplate
from pierhead.operations import checks, effective, service_yaml

#: Changes that go into the first service of the YAML, and what `service_yaml` calls them.
YAML_CHANGES = {
    "service_name": "name",
    "service_ports": "ports",
    "service_livez": "livez",
    "service_readyz": "readyz",
    "service_boot_time": "boot_seconds",
}
_COMMAND = 64 * 1024


def check(template: RegisteredTemplate) -> None:
    """Refuse what no template may have.

    Raises:
        Invalid: the first field that is not legal.
    """
    checks.name(template.name)
    checks.texts(
        [
            ("description", template.description, checks.DESCRIPTION),
            ("yaml", template.yaml, checks.MIB),
            ("gpuComputeCapability", template.gpu_capability, 32),
            ("installPath", template.install_path, checks.PATH),
            ("startCommand", template.start_command, _COMMAND),
            ("pythonVersion", template.python_version, 32),
            ("condaVersion", template.conda_version, 32),
            ("framework", template.framework, checks.NAME),
            ("containerCommand", template.container_command, _COMMAND),
            ("containerArgs", template.container_args, _COMMAND),
            ("readme", template.readme, checks.MIB),
        ]
    )
    checks.between("requestCpu", template.request_cpu, 1, checks.INTEGER)
    checks.between("requestMemory", template.request_memory, 1, checks.LONG)
    checks.between("size", template.size, 0, checks.LONG)
    effective.variables(template.environment, "environmentParameters", [])
    effective.parameters(template.startup_parameters)


def changed(
    entropy: Entropy, old: RegisteredTemplate, changes: Mapping[str, Any], now: float
) -> RegisteredTemplate:
    """`old` with the fields changed, and what follows from them."""
    plain = {key: value for key, value in changes.items() if key not in YAML_CHANGES}
    inside = {YAML_CHANGES[key]: value for key, value in changes.items() if key in YAML_CHANGES}
    if "images" in plain:
        plain |= {
            "images": fresh_images(entropy, plain["images"], now),
            "cpu_architectures": plain.get("cpu_architectures", ()),
        }
    new = replace(old, **plain)
    if inside:
        new = replace(new, yaml=service_yaml.patched(new.yaml, **inside))
    return versioned(_unmeasured(old, new))


def copied(
    entropy: Entropy, old: RegisteredTemplate, changes: Mapping[str, Any], now: float
) -> RegisteredTemplate:
    """The copy of a template: nobody's, shipped by nobody, with what the clone was given."""
    given = {
        "system": False,
        "shipped": False,
        "size_given": bool(changes.get("size")),
        "readme_given": changes.get("readme") is not None,
        "images": changes.get("images", old.images),  # new uuids in any case
        "cpu_architectures": old.cpu_architectures if "images" not in changes else (),
    }
    return changed(entropy, old, given | dict(changes), now)


def _unmeasured(old: RegisteredTemplate, new: RegisteredTemplate) -> RegisteredTemplate:
    """What was read from the files of another path is not true any more."""
    if new.install_path == old.install_path:
        return new
    return replace(
        new,
        size=new.size if new.size_given else 0,
        readme=new.readme if new.readme_given else None,
    )


def versioned(template: RegisteredTemplate) -> RegisteredTemplate:
    version = versions.of_path(template.install_path) or _yaml_version(template.yaml)
    return replace(template, version=version)


def _yaml_version(text: str) -> str | None:
    if versions.of_text(text) is None:  # far cheaper than to parse it
        return None
    try:
        services = service_yaml.parse(text).services
    except Invalid:  # that is for the deployment to say
        return None
    return versions.of_name(services[0].name or "") if services else None


def fresh_images(
    entropy: Entropy, images: Sequence[ArchitectureImage], now: float
) -> tuple[ArchitectureImage, ...]:
    return tuple(
        replace(image, uuid=registry_id(entropy), created=now, updated=now) for image in images
    )
