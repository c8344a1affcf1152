"""llama.cpp: the embedded engine (xllamacpp) or an operator's own `llama-server`, one process per replica."""

from dataclasses import dataclass, replace

from pierhead.core.launch import Capabilities, Files, Launch, Placement
from pierhead.core.templates import Template
from pierhead.engines.programs import path_first

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
    slot_options=frozenset(),
)


#: An operator's own build may well compute on a GPU; the embedded one is built for CPUs alone.
OWN_BUILD = replace(CAPABILITIES, on_gpu=True, slot_options=frozenset({"-np", "--parallel"}))
_ALL_LAYERS = "999"


@dataclass(frozen=True, slots=True)
class LlamaCpp:
    """Starts `llama_cpp_server`, which runs llama.cpp's own HTTP server in its process."""

    python: str  #: interpreter that has xllamacpp
    server: str = ""  #: an operator's `llama-server`, which goes before the embedded engine

    @property
    def capabilities(self) -> Capabilities:
        """What llama.cpp can do."""
        return OWN_BUILD if self.server else CAPABILITIES

    def launch(self, template: Template, files: Files, placement: Placement) -> Launch:
        """The engine's command line; its key goes by the environment, argv is public."""
        form = self._own if self.server else self._embedded
        return Launch(
            argv=form(template, files, placement),
            env={**template.env, "LLAMA_API_KEY": placement.key, "HF_HUB_OFFLINE": "1"},
            readiness=template.readiness,
            liveness=template.liveness,
            api="openai",
            keyed=True,
            path_first=path_first(self.server),
        )

    def _embedded(self, template: Template, files: Files, placement: Placement) -> tuple[str, ...]:
        return (
            *(self.python, "-m", "pierhead.engines.llama_cpp_server"),
            *("--model", files.model, "--alias", placement.service),
            *("--host", placement.host, "--port", str(placement.port)),
            *("--context", str(template.context), "--slots", str(template.slots)),
            *("--threads", str(placement.threads)),
        )

    def _own(self, template: Template, files: Files, placement: Placement) -> tuple[str, ...]:
        return (
            *(self.server, "-m", files.model, "-a", placement.service),
            *("--host", placement.host, "--port", str(placement.port)),
            # The context is shared out over the slots; a template says it per request.
            *("-c", str(template.context * template.slots), "-np", str(template.slots)),
            *("-t", str(placement.threads)),
            *("--metrics", "--slots", "--jinja"),
            # Its default keeps up to 8 GiB of past prompts beside the slots: no memory limit would hold.
            *("--cache-ram", "0"),
            # A build for GPUs would otherwise take one that is not its own.
            *("-ngl", _ALL_LAYERS if placement.devices else "0"),
            *template.flags,
        )
