"""Puts back the indentation that a service description lost on its way through a form or a page."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

#: Sections of a service description; see `service_yaml`.
SECTIONS = ("services", "env", "distro", "python")
_KEY = re.compile(r"(?P<key>[A-Za-z_][\w.-]*)\s*:(?:\s+(?P<value>.*))?$")


def restored(text: str, inline: Callable[[str], Any]) -> Any:
    """The tree of a text that lost its indentation; None when it is broken in another way.

    Each line is stripped. `services:`, `env:`, `distro:` and `python:` open a section; in services
    `- key:` begins a service, `key:` belongs to it, a number after `ports:` is a port. `inline`
    reads a value that stands in one line.
    """
    repair = _Repair(inline)
    for line in text.splitlines():
        bare = line.strip()
        if bare and not bare.startswith("#") and not repair.took(bare):
            return None
    return repair.tree or None


@dataclass(slots=True)
class _Repair:
    inline: Callable[[str], Any]
    tree: dict[str, Any] = field(default_factory=dict[str, Any])
    section: str = ""
    ports: list[str] | None = None  #: of the current service, while they are being listed

    def took(self, line: str) -> bool:
        """Give a stripped line its place; False when it has none."""
        found = _KEY.match(line)
        if found and found["key"] in SECTIONS and not found["value"]:
            self.section = found["key"]
            self.tree.setdefault(self.section, [] if self.section in {"services", "env"} else {})
            return True
        match self.section:
            case "services":
                return self._service(line)
            case "env":
                return self._item(line)
            case "distro" | "python":
                return self._entry(self.tree[self.section], line)
            case _:
                return False

    def _service(self, line: str) -> bool:
        services: list[dict[str, Any]] = self.tree["services"]
        bare = line[1:].strip() if line.startswith("-") else line
        if line.startswith("-") and bare.isdecimal() and self.ports is not None:
            self.ports.append(bare)
            return True
        if line.startswith("-"):
            services.append({})
        if not services or not self._entry(services[-1], bare):
            return False
        key, value = next(reversed(services[-1].items()))
        self.ports = None
        if key == "ports" and value is None:
            self.ports = services[-1]["ports"] = []
        return True

    def _item(self, line: str) -> bool:
        bare = line[1:].strip() if line.startswith("-") else ""
        if not bare:
            return False
        self.tree["env"].append(self._quoted(bare) or bare)
        return True

    def _entry(self, mapping: dict[str, Any], line: str) -> bool:
        found = _KEY.match(line)
        if found is None:
            return False
        value = (found["value"] or "").strip()
        if value.startswith(("|", ">", "&", "*", "!")):
            return False  # what goes on below, or refers elsewhere, cannot be put together again
        mapping.pop(found["key"], None)
        mapping[found["key"]] = self.inline(value)
        return True

    def _quoted(self, text: str) -> str | None:
        """The inside of a quoted scalar; None for other texts."""
        value = self.inline(text) if text[0] in "\"'" else None
        return value if isinstance(value, str) else None
