"""Hugging Face transformers, installed by the operator in an environment of its own: `transformers serve`."""

from dataclasses import dataclass

from pierhead.core.errors import Unsupported
from pierhead.core.launch import Capabilities, Files, Launch, Placement
from pierhead.core.templates import Template
from pierhead.engines.hugging_face import OFFLINE, folder_of, quantized_at_load
from pierhead.engines.programs import path_first

_OLD_CODE = "it exists only as remote code, which was written for an older version"
CAPABILITIES = Capabilities(
    api="openai",
    keyed=False,
    needs_weights=True,
    checks_model_name=False,  # it does, but by its own name: the gateway puts that one in
    formats=frozenset({"safetensors"}),
    refuses=dict.fromkeys(("chatglm", "chatglm-v1", "baichuan"), _OLD_CODE),
    makes_on_gpu=frozenset({"int8"}),
    # It has no key, and others of its paths load a folder that the caller names, or let go of the model.
    paths=frozenset(
        {"/health", "/v1/chat/completions", "/v1/completions", "/v1/models", "/v1/responses"}
    ),
)
#: The working folder, at the revision that it adds to every name: asked and told are then the same,
#: and no path of this machine is in any answer.
MODEL = ".@main"


@dataclass(frozen=True, slots=True)
class Transformers:
    """Starts `transformers serve` in the model's folder. It has no key: loopback is its only guard."""

    program: str  #: path, or name in PATH

    @property
    def capabilities(self) -> Capabilities:
        """What transformers can do."""
        return CAPABILITIES

    def launch(self, template: Template, files: Files, placement: Placement) -> Launch:
        """The server's command line.

        Raises:
            Unsupported: int8 is to be made of the weights, without a GPU.
        """
        argv = (
            *(self.program, "serve", MODEL),
            *("--host", placement.host, "--port", str(placement.port)),
            *_compute(template, files, placement),
            *template.flags,
        )
        return Launch(
            argv=argv,
            env={"OMP_NUM_THREADS": str(placement.threads), **template.env, **OFFLINE},
            readiness=template.readiness,
            liveness=template.liveness,
            cwd=folder_of(files),
            api="openai",
            model=MODEL,
            path_first=path_first(self.program),
        )


def _compute(template: Template, files: Files, placement: Placement) -> tuple[str, ...]:
    int8 = quantized_at_load(template, files)
    if placement.devices:
        spread = "cuda" if len(placement.devices) == 1 else "auto"
        made = ("--quantization", "bnb-8bit") if int8 else ()
        return ("--device", spread, "--dtype", "float16", *made)
    if int8:
        raise Unsupported(
            "int8 by transformers on a CPU",
            "it makes int8 on a GPU only; use the spec's fp16 form, or weights that llama.cpp reads",
        )
    return ("--device", "cpu", "--dtype", "float32")
