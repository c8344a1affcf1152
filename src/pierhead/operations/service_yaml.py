"""The `yaml` of a template: which services a replica offers, how they are probed, what they need.

    services: [{ports: [3000], name: "<model>:<tag>", livez: /livez, readyz: /readyz, serviceBootupTime: 600}]
    env: ["KEY:value"]
    distro: {packages: "libgomp1,curl"}
    python: {requirements_txt: "six==1.16.0", index_url: ..., trusted_host: ...}

A scalar, or a mapping without these keys, overrides nothing. Keys that are not known are kept.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

from pierhead.core.errors import Invalid
from pierhead.operations import yaml_text
from pierhead.operations.yaml_repair import SECTIONS
from pierhead.operations.yaml_text import Tree

ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Longest time to start that can be asked for, in seconds.
LONGEST_BOOT = 7 * 86400
_SERVICE_KEYS = ("name", "ports", "livez", "readyz", "serviceBootupTime")
_PYTHON_KEYS = ("requirements_txt", "index_url", "trusted_host")
_BOOT = "servicebootuptime"
_MOST_UNKNOWN = 50


@dataclass(frozen=True, slots=True)
class YamlService:
    """One entry of `services`."""

    name: str = ""
    ports: tuple[int, ...] = ()
    livez: str = ""
    readyz: str = ""
    boot_seconds: float | None = None  #: None = not said


@dataclass(frozen=True, slots=True)
class ServiceYaml:
    """What a template's YAML says."""

    services: tuple[YamlService, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    requirements: tuple[str, ...] = ()
    index_url: str = ""
    trusted_host: str = ""
    packages: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()  #: dotted names of keys that nobody knows
    repaired: bool = False  #: its indentation was lost and has been put back


@lru_cache(128)
def parse(text: str) -> ServiceYaml:
    """What a YAML text says.

    Raises:
        Invalid: it cannot be read, or one of the known keys has another type; names `yaml` and the
            line.
    """
    loaded = yaml_text.load(text)
    if not isinstance(loaded.tree, dict):
        return ServiceYaml(repaired=loaded.repaired)
    reader = _Reader(loaded.lines)
    tree = cast("dict[str, Tree]", loaded.tree)
    python = reader.mapping(tree, "python", _PYTHON_KEYS)
    distro = reader.mapping(tree, "distro", ("packages",))
    return ServiceYaml(
        services=reader.services(tree.get("services")),
        env=reader.env(tree.get("env")),
        requirements=_lines(reader.texts(python, "python", "requirements_txt", "\n")),
        index_url=reader.text(python, "python", "index_url"),
        trusted_host=reader.text(python, "python", "trusted_host"),
        packages=_words(reader.texts(distro, "distro", "packages", ",")),
        unknown=tuple([*(key for key in tree if key not in SECTIONS), *reader.unknown])[
            :_MOST_UNKNOWN
        ],
        repaired=loaded.repaired,
    )


def patched(text: str, **changes: Any) -> str:
    """The text, normalized, with these fields of its first service changed; None = left as it is.

    `changes` may hold the fields of `YamlService`. What is not known is kept; a text that is no
    mapping becomes one.

    Raises:
        Invalid: the text cannot be read.
    """
    content = parse(text)
    tree = yaml_text.load(text).tree
    entries = cast("dict[str, Tree]", tree) if isinstance(tree, dict) else {}
    written: list[Tree] = [
        {**_entry(service), **_strange(entry)}
        for service, entry in zip(content.services, _list(entries.get("services")), strict=True)
    ] or [{}]
    written[0] = {**written[0], **_named(changes)}
    rest = {key: value for key, value in entries.items() if key != "services"}
    return yaml_text.dumped({"services": written, **rest})


def _strange(entry: dict[str, Tree]) -> dict[str, Tree]:
    """What an entry of `services` holds besides the known keys."""
    return {key: value for key, value in entry.items() if not _is_known(key)}


def _is_known(key: str) -> bool:
    return key in _SERVICE_KEYS or key.lower() == _BOOT


def dump(content: ServiceYaml) -> str:
    """The normalized text that says the same; keys that are not known are left out."""
    tree: dict[str, Tree] = {}
    if content.services:
        tree["services"] = [_entry(service) for service in content.services]
    if content.env:
        tree["env"] = [f"{key}:{value}" for key, value in content.env.items()]
    if content.packages:
        tree["distro"] = {"packages": ",".join(content.packages)}
    python = {
        "requirements_txt": "".join(f"{line}\n" for line in content.requirements),
        "index_url": content.index_url,
        "trusted_host": content.trusted_host,
    }
    if any(python.values()):
        tree["python"] = {key: value for key, value in python.items() if value}
    return yaml_text.dumped(tree) if tree else ""


def _entry(service: YamlService) -> dict[str, Tree]:
    return _named(
        {
            "name": service.name or None,
            "ports": service.ports or None,
            "livez": service.livez or None,
            "readyz": service.readyz or None,
            "boot_seconds": service.boot_seconds,
        }
    )


def _named(fields: Mapping[str, Any]) -> dict[str, Tree]:
    """Fields of a `YamlService` by their names in YAML, without those that are None."""
    entry: dict[str, Tree] = {}
    for name, value in fields.items():
        if value is None:
            continue
        if name == "boot_seconds":
            entry["serviceBootupTime"] = int(value) if float(value).is_integer() else value
        else:
            entry[name] = [*cast("Sequence[int]", value)] if name == "ports" else value
    return entry


@dataclass(slots=True)
class _Reader:
    """Takes known keys out of a tree, checks their types, notes the others."""

    lines: Mapping[str, int]
    unknown: list[str] = field(default_factory=list[str])

    def services(self, value: Tree) -> tuple[YamlService, ...]:
        return tuple(
            self._service(entry, f"services[{at}]") for at, entry in enumerate(_list(value))
        )

    def _service(self, entry: Tree, path: str) -> YamlService:
        if not isinstance(entry, dict):
            raise self.wrong(path, "a service is no mapping")
        known = cast("dict[str, Tree]", entry)
        boot = next((key for key in known if key.lower() == _BOOT), "")
        self.unknown.extend(f"{path}.{key}" for key in known if not _is_known(key))
        return YamlService(
            name=self.text(known, path, "name"),
            ports=tuple(self._port(port, f"{path}.ports") for port in _list(known.get("ports"))),
            livez=self.text(known, path, "livez"),
            readyz=self.text(known, path, "readyz"),
            boot_seconds=self._seconds(known.get(boot), f"{path}.{boot}"),
        )

    def _port(self, value: Tree, path: str) -> int:
        text = value if isinstance(value, str) else ""
        if not (text.isascii() and text.isdecimal() and len(text) < 6 and 0 < int(text) < 65536):
            raise self.wrong(path, f"[{str(value)[:40]}] is no port")
        return int(text)

    def _seconds(self, value: Tree, path: str) -> float | None:
        if value is None:
            return None
        found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)s?", str(value))
        if found is None or not 0 < float(found[1]) <= LONGEST_BOOT:
            raise self.wrong(path, f"[{str(value)[:40]}] is no time", f"1 to {LONGEST_BOOT}")
        return float(found[1])

    def env(self, value: Tree) -> dict[str, str]:
        if value is None:
            return {}
        if isinstance(value, dict):
            return dict(self._pairs(cast("dict[str, Tree]", value)))
        if not isinstance(value, list):
            raise self.wrong("env", "it is no list")
        found: dict[str, str] = {}
        for entry in cast("list[Tree]", value):
            found.update(
                self._pairs(cast("dict[str, Tree]", entry))
                if isinstance(entry, dict)
                else [self._variable(entry)]
            )
        return found

    def _pairs(self, entries: dict[str, Tree]) -> Iterable[tuple[str, str]]:
        for key, value in entries.items():
            if isinstance(value, list | dict):
                raise self.wrong("env", f"the value of [{key[:80]}] is no text", f"env.{key}")
            yield self._name(key), str(value or "")

    def _variable(self, entry: Tree) -> tuple[str, str]:
        text = entry if isinstance(entry, str) else ""
        cut = re.search(r"[:=]", text)
        if cut is None:
            raise self.wrong("env", f"[{text[:80]}] is no KEY:value")
        return self._name(text[: cut.start()].strip()), str(text[cut.end() :].strip())

    def _name(self, key: str) -> str:
        if ENV_NAME.fullmatch(key) is None:
            raise self.wrong("env", f"[{key[:80]}] is no name of a variable")
        return str(key)

    def mapping(self, tree: dict[str, Tree], key: str, known: Sequence[str]) -> dict[str, Tree]:
        value = tree.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.wrong(key, "it is no mapping")
        entries = cast("dict[str, Tree]", value)
        self._note(entries, key, known)
        return entries

    def text(self, entries: dict[str, Tree], path: str, key: str) -> str:
        value = entries.get(key)
        if isinstance(value, list | dict):
            raise self.wrong(f"{path}.{key}", "it is no text")
        return str(value or "").strip()

    def texts(self, entries: dict[str, Tree], path: str, key: str, cut: str) -> list[str]:
        value = entries.get(key)
        parts = _list(value.split(cut) if isinstance(value, str) else value)
        if not all(isinstance(part, str) for part in parts):
            raise self.wrong(f"{path}.{key}", "it is neither a text nor a list of texts")
        return cast("list[str]", parts)

    def _note(self, entries: dict[str, Tree], path: str, known: Sequence[str]) -> None:
        self.unknown.extend(f"{path}.{key}" for key in entries if key not in known)

    def wrong(self, path: str, problem: str, legal: str = "") -> Invalid:
        """The refusal of a value at `path`."""
        line = self.lines.get(path) or self.lines.get(path.partition("[")[0])
        where = f"line {line}, {path}" if line else path
        return Invalid("yaml", f"{where}: {problem}", legal)


def _list(value: Tree) -> list[Tree]:
    """A list; a single value stands for a list of one, nothing for an empty one."""
    if value is None:
        return []
    return cast("list[Tree]", value) if isinstance(value, list) else [value]


def _lines(texts: Iterable[str]) -> tuple[str, ...]:
    lines = (line for text in texts for line in text.splitlines())
    bare = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in lines)
    return tuple(line for line in bare if line)


def _words(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for text in texts for word in text.split()))
