"""containers[] and storage[] of a service JSON: a command, its environment, its probes, its files.

On a host without containers the command runs as it is. Two things are the replica's own: its port
and, where the runtime cannot show files at the mount path, the folder they lie in; where a command
names either of them, `{port}` and `{model_dir}` take their place.
"""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from pierhead.core import devices
from pierhead.core.errors import Invalid, Missing, Unsupported
from pierhead.core.events import Notice
from pierhead.core.mount_paths import mount_path
from pierhead.core.mounts import Source
from pierhead.core.templates import Probe, Template
from pierhead.dialects.eas.document_part import Part
from pierhead.dialects.eas.messages import nas, oss, without_effect

Templates = Callable[[str], Template | None]
DEFAULT_PORT = 8000
IMAGE_PREFIX = "pierhead/"
_SHELL = re.compile(r"[|&;<>()$`\\*?~#\n{}]|^\s*\w+=")
#: First words that only a shell understands.
_SHELL_WORDS = frozenset(
    {".", "cd", "exec", "export", "for", "if", "set", "source", "ulimit", "umask"}
)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Variables that the platform sets for every replica.
_OURS = ("PORT", "HOST", "MODEL_DIR", "SERVICE_NAME", "REPLICA_ID", *devices.VARIABLES)
_NO_FOLDER = "a replica's process has the host's temporary folder; nothing is made at mount_path"
#: Where no images run.
_NO_CONTAINER = "replicas are processes on this host, without a container around them"


@dataclass(frozen=True, slots=True)
class Mounted:
    """The service's own weights, and the path where its replicas see them; "" = where they lie."""

    source: Source | None = None
    path: str = ""


def mounted(storage: list[Part]) -> Mounted:
    """storage[]: one source of files, which becomes MODEL_DIR.

    Raises:
        Missing, Invalid, Unsupported: there are two, or one is of a kind that is not served here.
    """
    found = [mount for mount in map(_mount, storage) if mount.source is not None]
    if len(found) > 1:
        raise Unsupported("storage", "a service has one source of files here; give one entry")
    return found[0] if found else Mounted()


def _mount(entry: Part) -> Mounted:
    entry.refuse("there are no datasets in this release; give oss or nfs", "dataset")
    entry.report(_NO_FOLDER, "empty_dir")
    if _is_plain_folder(entry):  # its usual form, which counts as nothing elsewhere
        entry.notices.append(without_effect(entry.name("empty_dir"), _NO_FOLDER))
    path = entry.text("mount_path")
    if path:
        path = mount_path(path, entry.name("mount_path"))
    kind = entry.part("properties").text("resource_type")
    if kind not in {"", "model"}:
        raise Unsupported(
            entry.name("properties.resource_type"), f"[{kind}]; only model is mounted"
        )
    source = _source(entry)
    entry.rest()
    return Mounted(source, path)


def _is_plain_folder(entry: Part) -> bool:
    return entry.entries.get("empty_dir") == {}


def _source(entry: Part) -> Source | None:
    sources: list[Source] = []
    if entry.has("oss"):
        part = entry.part("oss")
        sources.append(oss(_needed(part, "path"), part.name("path"), part.text("endpoint")))
        _read_only(part)
    if entry.has("nfs"):
        part = entry.part("nfs")
        server, path = _needed(part, "server"), _needed(part, "path")
        sources.append(nas(server, path, part.name("server"), part.name("path")))
        _read_only(part)
    if len(sources) > 1:
        raise Invalid(entry.path, "it names two sources", "one of oss, nfs")
    if not sources and not entry.has("empty_dir") and not _is_plain_folder(entry):
        raise Missing(f"{entry.path}.oss", "one of oss, nfs, empty_dir")
    return sources[0] if sources else None


def _read_only(part: Part) -> None:
    if part.take("readOnly") is False:
        part.notices.append(
            Notice("ReadOnly", f"{part.name('readOnly')}: files are read here, never written back.")
        )
    part.rest()


def _needed(part: Part, key: str) -> str:
    value = part.text(key)
    if not value:
        raise Missing(part.name(key))
    return value


def template_of(
    container: Part, name: str, mount: Mounted, templates: Templates, *, images: bool = False
) -> Template:
    """containers[0] as a complete template; `images`: can a command run in an image of its own?

    Raises:
        Missing, Invalid, Unsupported: it names neither a command nor a template, or not legally.
    """
    base = _base(container, templates, images=images)
    own_image = container.text("image") if images and base is None else ""
    configured = container.integer("port", 1, 65535)
    port = configured or DEFAULT_PORT
    command = _command(container)
    container.refuse(
        "no packages are installed for a service in this release; use a command whose Python has them",
        "prepare",
    )
    container.report("limits are read from metadata.cpu, memory and gpu", "resources")
    if command:
        template = _custom(container, base, name, command)
        template = replace(
            template,
            command=_placed(container, template.command, port, mount),
            images={"": own_image} if own_image else template.images,
        )
    elif base is not None:
        template = base
        container.report("the template's engine has its own options", "args")
    elif own_image:  # it says itself what is to be run
        template = Template(name=name, engine="custom", images={"": own_image})
    else:
        raise Missing(container.name("script"), "or command, or an image that names a template")
    template = replace(
        template,
        env={**template.env, **_env(container)},
        mount_path=mount.path or template.mount_path,
    )
    template = _probed(container, template, port, mount)
    if configured:
        _tell(
            container,
            "PortReplaced",
            f"{container.name('port')} [{port}]: each replica listens on PORT.",
        )
    container.rest()
    return template


def _base(container: Part, templates: Templates, *, images: bool) -> Template | None:
    image = container.text("image")
    if not image:
        return None
    name = image.removeprefix(IMAGE_PREFIX)
    found = templates(name) or templates(name.partition(":")[0])
    if found is not None:
        return found
    # Of an image with a registry or a tag: a single word is more likely a template that is misspelt.
    own = images and not image.startswith(IMAGE_PREFIX) and not {"/", ":"}.isdisjoint(image)
    if not (own or container.has("script") or container.has("command")):
        raise Invalid(
            container.name("image"),
            f"[{image[:200]}] is no template, and there is neither script nor command",
            f"{IMAGE_PREFIX}<template>, or a script",
        )
    if not images:
        container.report(_NO_CONTAINER, "image")
    return None


def _custom(
    container: Part, base: Template | None, name: str, command: tuple[str, ...]
) -> Template:
    if base is None:
        return Template(name=name, engine="custom", command=command)
    if base.engine != "custom":
        raise Invalid(
            container.path,
            f"the template [{base.name}] brings its own command; give image or script, not both",
        )
    return replace(base, command=command, script="", flags=())


def _command(container: Part) -> tuple[str, ...]:
    script, command = container.has("script"), container.has("command")
    if script and command:
        raise Invalid(container.path, "it has both script and command", "one of them")
    if not (script or command):
        container.report("", "script", "command")
        return ()
    key = "script" if script else "command"
    value = container.take(key)
    listed = container.texts(key) if isinstance(value, list) else _words(container, key)
    return (*listed, *container.texts("args"))


def _words(container: Part, key: str) -> tuple[str, ...]:
    """A command line as argv; handed to `sh -c` where only a shell understands it."""
    line = container.text(key).strip()
    try:
        words = tuple(shlex.split(line))
    except ValueError as error:
        raise Invalid(container.name(key), f"it is no command line ({error})") from error
    if not words:
        raise Missing(container.name(key))
    plain = line.replace("{port}", "").replace("{host}", "").replace("{model_dir}", "")
    if _SHELL.search(plain) or words[0] in _SHELL_WORDS:
        return ("sh", "-c", line, *(("sh",) if container.has("args") else ()))
    return words


def _placed(
    container: Part, command: tuple[str, ...], port: int, mount: Mounted
) -> tuple[str, ...]:
    """The command with its fixed port and mount path made this replica's own."""
    placed = _with_files(_with_port(command, port), mount)
    if placed != command:
        _tell(
            container, "CommandAdapted", f"{container.path}: it runs as {shlex.join(placed)[:500]}"
        )
    return placed


def _with_port(command: tuple[str, ...], port: int) -> tuple[str, ...]:
    """After an option named port, after a colon; else wherever the port stands alone."""
    text = "\0".join(command)
    named = rf"(?i)((?:-p|port)(?:=|[\s\0]+)[\"']?|[\w\]]:|PORT=[\"']?){port}(?!\d)"
    found, count = re.subn(named, r"\1{port}", text)
    if not count:
        found = re.sub(rf"(?<![^\s\0]){port}(?![^\s\0])", "{port}", text)
    return tuple(found.split("\0"))


def _with_files(command: tuple[str, ...], mount: Mounted) -> tuple[str, ...]:
    if not mount.path:
        return command
    where = re.compile(rf"(?<![\w./-]){re.escape(mount.path)}(?![\w.-])")
    return tuple(where.sub("{model_dir}", argument) for argument in command)


def _env(container: Part) -> dict[str, str]:
    values: dict[str, str] = {}
    for entry in container.parts("env"):
        name = entry.text("name")
        if _ENV_NAME.fullmatch(name) is None:
            raise Invalid(entry.name("name"), f"[{name[:80]}]", "letters, digits and underscores")
        values[name] = entry.text("value")
        entry.rest()
        if name in _OURS:
            _tell(entry, "EnvironmentReplaced", f"{entry.path}: {name} is set by the platform.")
    return values


def _probed(container: Part, template: Template, port: int, mount: Mounted) -> Template:
    if container.has("health_check") and container.has("readiness_check"):
        raise Invalid(container.path, "it has both health_check and readiness_check", "one of them")
    checks = {
        key: _probe(container.part(key), port, mount)
        for key in ("startup_check", "health_check", "readiness_check", "liveness_check")
        if container.has(key)
    }
    ready = checks.get("readiness_check") or checks.get("health_check")
    startup = checks.get("startup_check")
    if startup is not None:
        tries = startup.failures * startup.period
        template = replace(template, start_deadline=max(startup.initial_delay + tries, 1.0))
    if startup is not None and ready is not None:
        why = "it sets the time to start; readiness is asked from the start on"
        container.report(why, "startup_check")
    return replace(
        template,
        readiness=ready or startup or template.readiness,
        liveness=checks.get("liveness_check") or template.liveness,
    )


def _probe(check: Part, port: int, mount: Mounted) -> Probe:
    kinds = [kind for kind in _ACTIONS if check.entries.get(kind) is not None]
    if len(kinds) != 1:
        raise Invalid(check.path, f"it has {len(kinds)} actions", f"one of {', '.join(_ACTIONS)}")
    action = check.part(kinds[0])
    probe = _ACTIONS[kinds[0]](action, port, mount)
    action.rest()
    usual = Probe()
    probe = replace(
        probe,
        initial_delay=_or(check.number("initial_delay_seconds"), usual.initial_delay),
        period=_or(check.number("period_seconds", 0.1), usual.period),
        timeout=_or(check.number("timeout_seconds", 0.1), usual.timeout),
        successes=int(_or(check.integer("success_threshold", 1), usual.successes)),
        failures=int(_or(check.integer("failure_threshold", 1), usual.failures)),
    )
    check.rest()
    return probe


def _or(value: float | None, usual: float) -> float:
    return usual if value is None else value


def _http(action: Part, port: int, _mount: Mounted) -> Probe:
    path = action.text("path") or "/"
    if not path.startswith("/"):
        raise Invalid(action.name("path"), f"[{path[:80]}]", "a path that begins with /")
    return Probe(kind="http", path=path, port=_probe_port(action, port))


def _tcp(action: Part, port: int, _mount: Mounted) -> Probe:
    return Probe(kind="tcp", port=_probe_port(action, port))


def _probe_port(action: Part, port: int) -> int | None:
    given = action.integer("port", 1, 65535)
    return None if given == port else given


def _exec(action: Part, port: int, mount: Mounted) -> Probe:
    command = action.texts("command")
    if not command:
        raise Missing(action.name("command"))
    placed = _with_files(_with_port(command, port), mount)
    if placed != command:  # it runs beside the replica, with the replica's environment
        line = shlex.join(placed).replace("{port}", "'\"$PORT\"'")
        placed = ("sh", "-c", line.replace("{model_dir}", "'\"$MODEL_DIR\"'"))
    return Probe(kind="exec", command=placed)


_ACTIONS: dict[str, Callable[[Part, int, Mounted], Probe]] = {
    "http_get": _http,
    "tcp_socket": _tcp,
    "exec": _exec,
}


def _tell(part: Part, reason: str, message: str) -> None:
    part.notices.append(Notice(reason, message))


def shown_container(template: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The container that stands for a registered template, with the variables of a deployment."""
    shown: dict[str, Any] = {"image": f"{IMAGE_PREFIX}{template}"}
    if env:
        shown["env"] = [{"name": name, "value": value} for name, value in env.items()]
    return shown


def named(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Names under which the template of a document's container may be registered.

    An image that comes beside a command is a template only if it says so: anybody may register a
    template that is called like a well-known image.
    """
    containers = document.get("containers")
    first: Any = cast("list[Any]", containers)[:1] if isinstance(containers, list) else []
    container = cast("dict[str, Any]", first[0]) if first and isinstance(first[0], dict) else {}
    image = container.get("image")
    if not isinstance(image, str) or not image:
        return ()
    if not image.startswith(IMAGE_PREFIX) and (container.get("script") or container.get("command")):
        return ()
    name = image.removeprefix(IMAGE_PREFIX)
    return tuple(dict.fromkeys((name, name.partition(":")[0])))
