"""A user's own command: anything that listens on the port it is given."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from pierhead.core.launch import DATASETS, Capabilities, Files, Launch, Placement
from pierhead.core.templates import Template

CAPABILITIES = Capabilities(
    api="any",
    keyed=False,
    needs_weights=False,
    checks_model_name=True,
    needs_command=True,
)
SHELL = ("/bin/sh", "-c")


@dataclass(frozen=True, slots=True)
class Custom:
    """Runs `template.command`, or `template.script` in a shell, with its address in the environment."""

    @property
    def capabilities(self) -> Capabilities:
        """Nothing is known of a user's own program."""
        return CAPABILITIES

    def launch(self, template: Template, files: Files, placement: Placement) -> Launch:
        """The command with {port}, {host} and {model_dir} filled in; flags never meet a shell."""
        values = {
            "{port}": str(placement.port),
            "{host}": placement.host,
            "{model_dir}": files.folder,
        }
        return Launch(
            argv=_argv(template, values),
            env=_environment(template, files, placement),
            readiness=template.readiness,
            liveness=template.liveness,
            cwd=template.workdir or files.folder,
            path_first=(f"{files.environment}/bin",) if files.environment else (),
            deadline=template.start_deadline,
        )


def _argv(template: Template, values: Mapping[str, str]) -> tuple[str, ...]:
    flags = tuple(_filled(flag, values) for flag in template.flags)
    if not template.script:
        return (*(_filled(argument, values) for argument in template.command), *flags)
    text = _filled(
        template.script.rstrip(), {name: shlex.quote(value) for name, value in values.items()}
    )
    # Without flags nothing is appended: `"$@"` after `done` or `fi` is no shell.
    return (*SHELL, f'{text} "$@"', "sh", *flags) if flags else (*SHELL, text, "sh")


def _environment(template: Template, files: Files, placement: Placement) -> dict[str, str]:
    """Later ones win: a template cannot lie about where it runs."""
    cpu = template.resources.cpu
    env = {"OMP_NUM_THREADS": str(max(1, ceil(cpu)))} if cpu is not None else {}
    env |= template.env
    if files.environment:
        env["VIRTUAL_ENV"] = files.environment
        if template.environment is not None and template.environment.conda:
            env["CONDA_PREFIX"] = files.environment
    if template.links:
        env["DATASETS_DIR"] = f"{placement.folder}/{DATASETS}"
    return {
        **env,
        **files.env,
        "PORT": str(placement.port),
        "HOST": placement.host,
        "MODEL_DIR": files.folder,
        "SERVICE_NAME": placement.service,
        "REPLICA_ID": placement.replica,
    }


def _filled(argument: str, values: Mapping[str, str]) -> str:
    for placeholder, value in values.items():
        argument = argument.replace(placeholder, value)
    return argument
