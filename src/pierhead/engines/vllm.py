"""vLLM, installed by the operator in an environment of its own: `vllm serve`."""

from dataclasses import dataclass
from math import ceil, floor

from pierhead.core.launch import Capabilities, Files, Launch, Placement
from pierhead.core.resources import GIB
from pierhead.core.templates import Template
from pierhead.engines.hugging_face import OFFLINE, folder_of, quantized_at_load
from pierhead.engines.programs import path_first

CAPABILITIES = Capabilities(
    api="openai",
    keyed=True,
    needs_weights=True,
    checks_model_name=True,
    formats=frozenset({"safetensors"}),
    refuses={
        "baichuan": "vLLM 0.23.0 was the last version that knew it",
        "chatglm-v1": "only ChatGLM2 and later are in vLLM",
    },
    makes=frozenset({"int8"}),
    slot_options=frozenset({"--max-num-seqs"}),
    spans=True,
)
#: Bytes of fp16 weights per byte that one token has in the cache, in a 7B model whose query heads
#: share no keys: larger and newer models need less.
_WEIGHTS_PER_CACHED = 25_000


@dataclass(frozen=True, slots=True)
class Vllm:
    """Starts `vllm serve`; the template's flags come last, where they override ours."""

    program: str  #: path, or name in PATH

    @property
    def capabilities(self) -> Capabilities:
        """What vLLM can do."""
        return CAPABILITIES

    def launch(self, template: Template, files: Files, placement: Placement) -> Launch:
        """The server's command line; its key goes by the environment, argv is public."""
        argv = (
            *(self.program, "serve", folder_of(files)),
            *("--host", placement.host, "--port", str(placement.port)),
            *("--served-model-name", placement.service),
            *("--dtype", "half"),
            *("--max-model-len", str(template.context)),
            *("--max-num-seqs", str(template.slots)),
            *_quantization(template, files),
            *_compute(placement),
            *template.flags,
        )
        cpu = {} if placement.devices else _on_cpu(template, files, placement)
        return Launch(
            argv=argv,
            env={
                **cpu,
                **template.env,
                **OFFLINE,
                "VLLM_NO_USAGE_STATS": "1",
                "VLLM_API_KEY": placement.key,
            },
            readiness=template.readiness,
            liveness=template.liveness,
            api="openai",
            keyed=True,
            path_first=path_first(self.program),
        )


def _quantization(template: Template, files: Files) -> tuple[str, ...]:
    if not quantized_at_load(template, files):
        return ()
    return ("--quantization", "int8_per_channel_weight_only")


def _compute(placement: Placement) -> tuple[str, ...]:
    if not placement.devices:
        return ("--enforce-eager",)  # compiling takes minutes on a CPU and gains little there
    share = floor(placement.device_share * 1000) / 1000  # never more than what is its own
    return (
        *("--tensor-parallel-size", str(len(placement.devices))),
        *(("--gpu-memory-utilization", f"{share:g}") if share else ()),
    )


def _on_cpu(template: Template, files: Files, placement: Placement) -> dict[str, str]:
    cached = files.bytes * template.slots * template.context / _WEIGHTS_PER_CACHED
    return {
        "VLLM_CPU_KVCACHE_SPACE": str(max(1, ceil(cached / GIB))),  # whole GiB
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # bound ones of two replicas would share cores
        "OMP_NUM_THREADS": str(placement.threads),
    }
