"""llama.cpp through xllamacpp: the embedded engine, one process per replica."""

from dataclasses import dataclass

from pierhead.core.launch import Capabilities, Files, Launch, Placement
from pierhead.core.templates import Template

CAPABILITIES = Capabilities(
    api="openai",
    keyed=True,
    needs_weights=True,
    checks_model_name=False,  # it answers to any name
    formats=frozenset({"gguf"}),
    refuses={
        "chatglm-v1": "its 2D positions are in no graph of llama.cpp; ChatGLM2 and later are",
    },
    on_gpu=False,
)


@dataclass(frozen=True, slots=True)
class LlamaCpp:
    """Starts `llama_cpp_server`, which runs llama.cpp's own HTTP server in its process."""

    python: str  #: interpreter that has xllamacpp

    @property
    def capabilities(self) -> Capabilities:
        """What llama.cpp can do."""
        return CAPABILITIES

    def launch(self, template: Template, files: Files, placement: Placement) -> Launch:
        """The engine's command line; its key goes by the environment, argv is public."""
        argv = (
            self.python,
            "-m",
            "pierhead.engines.llama_cpp_server",
            "--model",
            files.model,
            "--alias",
            placement.service,
            "--host",
            placement.host,
            "--port",
            str(placement.port),
            "--context",
            str(template.context),
            "--slots",
            str(template.slots),
            "--threads",
            str(placement.threads),
        )
        env = {**template.env, "LLAMA_API_KEY": placement.key, "HF_HUB_OFFLINE": "1"}
        return Launch(
            argv=argv,
            env=env,
            readiness=template.readiness,
            liveness=template.liveness,
            api="openai",
            keyed=True,
        )
