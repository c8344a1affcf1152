"""A user's own command: anything that listens on the port it is given."""

from dataclasses import dataclass

from pierhead.core.launch import Capabilities, Files, Launch, Placement
from pierhead.core.templates import Template

CAPABILITIES = Capabilities(
    api="any", keyed=False, needs_weights=False, checks_model_name=True, families=frozenset()
)


@dataclass(frozen=True, slots=True)
class Custom:
    """Runs `template.command` with PORT, HOST, MODEL_DIR, SERVICE_NAME and REPLICA_ID."""

    @property
    def capabilities(self) -> Capabilities:
        """Nothing is known of a user's own program."""
        return CAPABILITIES

    def launch(self, template: Template, files: Files, placement: Placement) -> Launch:
        """argv with {port}, {host} and {model_dir} filled in; each stays inside its argument."""
        values = {
            "{port}": str(placement.port),
            "{host}": placement.host,
            "{model_dir}": files.folder,
        }
        env = {
            **template.env,
            "PORT": str(placement.port),
            "HOST": placement.host,
            "MODEL_DIR": files.folder,
            "SERVICE_NAME": placement.service,
            "REPLICA_ID": placement.replica,
        }
        argv = tuple(_filled(argument, values) for argument in template.command)
        return Launch(
            argv=argv,
            env=env,
            readiness=template.readiness,
            liveness=template.liveness,
            cwd=files.folder,
        )


def _filled(argument: str, values: dict[str, str]) -> str:
    for placeholder, value in values.items():
        argument = argument.replace(placeholder, value)
    return argument
