"""The model families of the built-in specs: their shapes, and whether mounted weights are of one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pierhead.core.choice import precision_of
from pierhead.core.sizing import PRECISION_BYTES, Shape
from pierhead.core.templates import Precision

#: Weights may have so much more parameters than their family: other vocabularies, added heads.
_MORE = 1.25
#: llama.cpp tells these sizes apart by the number of layers alone, and computes them differently.
_BY_LAYERS = frozenset({"baichuan"})


@dataclass(frozen=True, slots=True)
class Family:
    """One size of one series of models."""

    name: str
    series: str  #: families that people mix up
    shape: Shape


def _family(
    name: str, architecture: str, size: tuple[int, int, int], inner: int, more: tuple[int, int, int]
) -> Family:
    """`size`: layers, heads, kv heads, all of 128 numbers; `more`: vocabulary, context, parameters."""
    layers, heads, kv_heads = size
    shape = Shape(
        architecture=architecture,
        layers=layers,
        heads=heads,
        kv_heads=(kv_heads,),
        key_size=128,
        value_size=128,
        embedding=heads * 128,
        feed_forward=inner,
        vocabulary=more[0],
        context=more[1],
        parameters=more[2],
    )
    return Family(name, name.partition("_")[0].rstrip("2"), shape)


_SMOLLM2 = Shape(
    architecture="llama",
    layers=30,
    heads=9,
    kv_heads=(3,),
    key_size=64,
    value_size=64,
    embedding=576,
    feed_forward=1536,
    vocabulary=49152,
    context=8192,
    parameters=134_515_008,
)
_ALL = (
    _family("llama_7b", "llama", (32, 32, 32), 11008, (32000, 2048, 6_738_415_616)),
    _family("llama_13b", "llama", (40, 40, 40), 13824, (32000, 2048, 13_015_864_320)),
    _family("chatglm_6b", "chatglm-v1", (28, 32, 32), 16384, (130528, 2048, 6_173_286_400)),
    _family("chatglm2_6b", "chatglm", (28, 32, 2), 13696, (65024, 32768, 6_243_584_000)),
    _family("baichuan_7b", "baichuan", (32, 32, 32), 11008, (64000, 4096, 7_000_559_616)),
    _family("baichuan_13b", "baichuan", (40, 40, 40), 13696, (64000, 4096, 13_264_901_120)),
    Family("smollm2_135m", "smollm2", _SMOLLM2),
)
FAMILIES: Mapping[str, Family] = {family.name: family for family in _ALL}


def mismatch(family: str, shape: Shape) -> str:
    """One sentence when the weights are not of the family that a spec names; "" when they may be.

    Weights that are merely smaller pass: a distilled or shortened model serves as well.
    """
    wanted = FAMILIES.get(family)
    if wanted is None or not shape.architecture:
        return ""
    other = _is_other(wanted, shape)
    wrong = shape.architecture != wanted.shape.architecture
    by_layers = wanted.shape.architecture in _BY_LAYERS and shape.layers != wanted.shape.layers
    if not (wrong or other or by_layers or _larger(wanted, shape)):
        return ""
    found = f", which is [{other}]" if other else ""
    return (
        f"The spec serves the family [{family}] ({described(wanted.shape)}), but the weights are "
        f"{described(shape)}{found}: choose the spec of these weights, or mount those of the spec."
    )


def _is_other(wanted: Family, shape: Shape) -> str:
    """The family of the same series, or of the weights' architecture, whose size it exactly is."""
    size = (shape.layers, shape.embedding)
    for family in _ALL:
        same = family.shape.architecture == shape.architecture
        named = family.name != wanted.name and family.series != "smollm2"
        if same and named and (family.shape.layers, family.shape.embedding) == size:
            return family.name
    return ""


def _larger(wanted: Family, shape: Shape) -> bool:
    if shape.parameters:
        return shape.parameters > _MORE * wanted.shape.parameters
    return (
        shape.layers >= wanted.shape.layers and shape.embedding > _MORE * wanted.shape.embedding
    ) or shape.layers > 2 * wanted.shape.layers


def described(shape: Shape) -> str:
    """`llama, 32 layers, width 4096, 6.7 G parameters`."""
    parts = [shape.architecture or "of an unknown architecture"]
    parts += [f"{shape.layers} layers"] * bool(shape.layers)
    parts += [f"width {shape.embedding}"] * bool(shape.embedding)
    if shape.parameters:
        large = shape.parameters >= 10**9
        unit, letter = (10**9, "G") if large else (10**6, "M")
        parts.append(f"{shape.parameters / unit:.1f} {letter} parameters")
    return ", ".join(parts)


def served(shape: Shape, precision: Precision) -> Shape:
    """The shape as a spec of this precision serves it: other weights are made to have it first."""
    found = precision_of(shape)
    if not precision or not found or found == precision:
        return shape
    # Of files far away the parameters are not counted: their bytes tell about as much.
    size = PRECISION_BYTES.get(found)
    parameters = shape.parameters or (round(shape.weight_bytes / size) if size else 0)
    return replace(shape, parameters=parameters, weights={}, tables={}) if parameters else shape
