"""Which isolated Python environment a template asks for, and who may ask for what in it. Pure."""

import re

from pierhead.core.errors import Forbidden
from pierhead.core.registry import RegisteredTemplate
from pierhead.core.templates import Environment
from pierhead.operations.service_yaml import ServiceYaml

_DEPLOY = "a deployment"
_ARCHIVES = (".whl", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".egg")
# Possessive all through: a line that is none costs no more than its length.
_SPACE = r"[ \t]*+"
_VERSION = rf"(?:===?|[<>!~]=|[<>]){_SPACE}[\w.*+!-]++{_SPACE}"
_REQUIREMENT = re.compile(
    rf"(?P<name>[A-Za-z0-9][\w.-]*+){_SPACE}"
    rf"(?:\[[\w \t,.-]*+\]{_SPACE})?+"
    rf"(?:\(?{_SPACE}{_VERSION}(?:,{_SPACE}{_VERSION})*+\)?{_SPACE})?+"
    r"(?:;[^/\\]*+)?+",
    re.ASCII,
)


def environment(
    registered: RegisteredTemplate, content: ServiceYaml, *, trusted: bool
) -> Environment | None:
    """The isolated environment that a template asks for; None when it asks for none.

    Raises:
        Forbidden: not `trusted`, and a requirement is more than a name with versions.
    """
    found = Environment(
        python=registered.python_version or "",
        conda=registered.conda_version or "",
        requirements=content.requirements,
        index_url=content.index_url,
        trusted_host=content.trusted_host,
        packages=content.packages,
    )
    if not trusted:
        _plain_index(content.index_url)
        for line in content.requirements:
            _plain_requirement(line)
    wanted = (found.python, found.conda, found.requirements, found.packages)
    return found if any(wanted) else None


def _plain_index(url: str) -> None:
    if url and not url.lower().startswith(("https://", "http://")):
        why = "only the account itself may use an index that is no web address"
        raise Forbidden(_DEPLOY, f"the yaml's index_url [{url[:200]}]: {why}")


def _plain_requirement(line: str) -> None:
    found = _REQUIREMENT.fullmatch(line)
    if found is None or found["name"].lower().endswith(_ARCHIVES):
        why = "only the account itself may use options, paths and addresses there"
        raise Forbidden(_DEPLOY, f"the yaml's requirement [{line[:200]}]: {why}")
