"""The maths before the download: how much memory a model needs to be served, and where that fits.

    weights   bytes of all tensors, as the header lists them; else parameters x bytes of the precision
    KV cache  slots x context x 2 bytes x the key and value numbers of a token, over all layers
    compute   what a batch of prompt tokens needs at once: activations, and the attention's mask
    overhead  the program itself, the vocabulary, what each slot keeps

The constants were measured (see docs/explanation/sizing.md) or are planning figures where that is said.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Literal

from pierhead.core.replicas import Accelerator, Node
from pierhead.core.resources import GIB, MIB, human_bytes
from pierhead.core.templates import Precision

#: Bytes per parameter of a precision, where no header lists the tensors: blocks of 32 with their scales.
PRECISION_BYTES: Mapping[str, float] = {"fp16": 2.0, "int8": 34 / 32, "q4": 20 / 32, "": 2.0}
#: Tensor types of two bytes, as GGUF, safetensors and config.json call them.
_HALVES = frozenset({"F16", "BF16", "float16", "bfloat16"})
#: An engine's cache is allotted in whole pages of so many tokens per slot.
CONTEXT_STEP = 256
#: No context is told to be larger: a model that does not say how far it goes is not without end.
LONGEST = 1 << 20
#: Nobody serves more at once from one process.
MOST_SLOTS = 1024


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides a model's memory. Zero or empty = the files do not say."""

    architecture: str = ""  #: as GGUF calls it: `llama`, `chatglm`, `baichuan`
    format: Literal["", "gguf", "safetensors"] = ""
    layers: int = 0
    heads: int = 0
    kv_heads: tuple[int, ...] = ()  #: per layer; a single one holds for all layers
    key_size: int = 0  #: numbers of one head's key
    value_size: int = 0  #: numbers of one head's value
    embedding: int = 0  #: width of a token
    feed_forward: int = 0
    vocabulary: int = 0
    context: int = 0  #: tokens the model was trained for
    parameters: int = 0
    weights: Mapping[str, int] = field(default_factory=dict[str, int])  #: tensor type -> bytes
    #: Of these bytes, those of tables that are only looked up in, never multiplied with.
    tables: Mapping[str, int] = field(default_factory=dict[str, int])
    pools: bool = False  #: an embedding model: the vectors of a text's tokens become one

    @property
    def weight_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(self.weights.values())

    @property
    def token_numbers(self) -> int:
        """Key and value numbers that one token leaves in the cache, over all layers."""
        several = len(self.kv_heads) > 1
        same = self.layers * max(self.kv_heads, default=self.heads)
        heads = sum(self.kv_heads) if several else same
        return heads * (self.key_size + self.value_size)


@dataclass(frozen=True, slots=True)
class Figures:
    """An engine's constants; bytes unless said otherwise."""

    process: int  #: of the program before it loads anything
    share: float = 0.0  #: of the weights, on top: what nobody has measured
    batch: int = 512  #: prompt tokens that are worked on at once
    per_inner: float = 0.0  #: numbers of 4 bytes per batch token and feed-forward width
    per_width: float = 0.0  #: ... and token width
    per_cell: float = 0.0  #: bytes per batch token and token of one slot's context: the mask
    per_word: float = 0.0  #: bytes per entry of the vocabulary: text, score, how to find it
    per_slot: int = 0  #: request, sampler, tokens
    slot_word: float = 0.0  #: bytes per slot and entry of the vocabulary: the answer's logits
    #: Bytes per batch token and entry of the vocabulary, of embedding models: all tokens have logits.
    pooled_word: float = 0.0
    #: Tensor types that it copies into another layout; the file's own pages stay until others want them.
    copies: frozenset[str] = frozenset()
    maps: bool = False  #: it maps the file: replicas on one machine share the weights
    widens: bool = False  #: on a CPU it makes four bytes of every number of two
    measured: bool = False


#: llama.cpp b11549 on x86-64 with AVX2: fitted on ten shapes, see the docs page.
_LLAMA_CPP = Figures(
    process=35 * MIB,
    per_inner=4.0,
    per_width=1.5,
    per_cell=2.5,
    per_word=440.0,
    per_slot=MIB // 2,
    slot_word=4.0,
    pooled_word=8.0,  # computed, and kept
    copies=frozenset({"Q4_0", "Q4_K", "IQ4_NL", "MXFP4"}),
    maps=True,
    measured=True,
)
#: An engine without an entry runs what the template says: nothing is known of its memory.
ENGINES: Mapping[str, Figures] = {
    "llama_cpp": _LLAMA_CPP,
    "vllm": Figures(process=2 * GIB, share=0.05),
    "transformers": Figures(process=GIB, share=0.05, widens=True),
}


@dataclass(frozen=True, slots=True)
class Load:
    """How a model is to be served."""

    engine: str
    context: int  #: tokens per request
    slots: int  #: requests at once
    precision: Precision = ""  #: of weights whose header is not known
    on_cpu: bool = False
    nodes: int = 1  #: that one replica computes on


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes that one replica needs; of one over several nodes, on each of them."""

    weights: int
    kv_cache: int
    compute: int
    overhead: int
    #: Pages of the file whose content was copied: they show in a process's size, yet give way to others.
    yielding: int = 0
    shared: int = 0  #: of the weights: replicas on one machine hold them once

    @property
    def total(self) -> int:
        """What must be there."""
        return self.weights + self.kv_cache + self.compute + self.overhead

    @property
    def resident(self) -> int:
        """What the process's resident size shows when every slot was full once."""
        return self.total + self.yielding


def estimate(shape: Shape, load: Load) -> Estimate | None:
    """The memory of one replica; None when nothing is known of the engine or of the weights.

    Over several nodes it is that of each: layers are taken to be shared out evenly, and with them the
    weights and the KV cache; the program itself and what a batch needs is on every node.
    """
    figures = ENGINES.get(load.engine)
    if figures is None:
        return None
    wide = figures.widens and load.on_cpu
    weights = -(-_weights(shape, load.precision, wide=wide) // load.nodes)
    if not weights:
        return None
    context = _padded(load.context)
    batch = min(figures.batch, context * load.slots)
    cache = (4 if wide else 2) * shape.token_numbers * context * load.slots
    activations = 4 * (figures.per_inner * _inner(shape) + figures.per_width * shape.embedding)
    logits = figures.pooled_word * shape.vocabulary if shape.pools else 0.0
    copied = _copied(shape, figures)
    return Estimate(
        weights=weights,
        kv_cache=-(-cache // load.nodes),
        compute=ceil(batch * (activations + figures.per_cell * context + logits)),
        overhead=_overhead(shape, load, figures, weights),
        yielding=copied,
        # A copy is each process's own.
        shared=weights - copied if figures.maps else 0,
    )


def _weights(shape: Shape, precision: Precision, *, wide: bool) -> int:
    if shape.weight_bytes:
        halves = sum(size for kind, size in shape.weights.items() if kind in _HALVES)
        return shape.weight_bytes + (halves if wide else 0)
    widened = wide and PRECISION_BYTES[precision] == 2.0
    return ceil(shape.parameters * (4.0 if widened else PRECISION_BYTES[precision]))


def _padded(context: int) -> int:
    return max(1, -(-context // CONTEXT_STEP)) * CONTEXT_STEP


def _inner(shape: Shape) -> int:
    """Width of the feed-forward part; where it is not told, what most models have."""
    return shape.feed_forward or 3 * shape.embedding


def _copied(shape: Shape, figures: Figures) -> int:
    return sum(
        amount - shape.tables.get(kind, 0)
        for kind, amount in shape.weights.items()
        if kind in figures.copies
    )


def _overhead(shape: Shape, load: Load, figures: Figures, weights: int) -> int:
    slot = figures.per_slot + figures.slot_word * shape.vocabulary
    words = figures.per_word * shape.vocabulary
    return ceil(figures.process + figures.share * weights + words + slot * load.slots)


# ---- does it fit, and what would ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Room:
    """Memory that one replica could have on a node."""

    node: str
    most: int  #: bytes that there are
    free: int  #: bytes that are free now


@dataclass(frozen=True, slots=True)
class Fit:
    """The answer for one model under one load."""

    estimate: Estimate
    #: The largest there is, and never more than the limit; of a replica over n nodes, the n-th largest.
    room: Room | None
    limit: int | None  #: memory limit of a replica
    node: str  #: where it fits; "" = nowhere
    replicas: int  #: how many fit into what is free now
    context: int  #: most tokens per request with the slots asked for; 0 = not even the fewest
    slots: int  #: most slots with the context asked for; 0 = not even one

    @property
    def fits(self) -> bool:
        """Is there a node that is large enough?"""
        return bool(self.node)


def rooms(nodes: Sequence[Node], gpus: int, part: int | None = None) -> tuple[Room, ...]:
    """What nodes have for one replica that asks for so many GPUs: GPU memory, without any the node's own.

    `part`: bytes of one GPU, which is then all that it may use, in place of whole ones.
    """
    if part is not None:
        return tuple(room for node in nodes if (room := _part_of_one(node, part)) is not None)
    if gpus <= 0:
        return tuple(Room(node.name, node.memory, node.memory_free) for node in nodes)
    found: list[Room] = []
    for node in nodes:
        largest = sorted(node.accelerators, key=lambda gpu: gpu.memory, reverse=True)[:gpus]
        if len(largest) == gpus:
            most = sum(gpu.memory for gpu in largest)
            found.append(Room(node.name, most, sum(map(_free, largest))))
    return tuple(found)


def _part_of_one(node: Node, part: int) -> Room | None:
    able = [gpu for gpu in node.accelerators if gpu.memory >= part]
    return Room(node.name, part, min(part, max(map(_free, able)))) if able else None


def _free(gpu: Accelerator) -> int:
    return gpu.memory if gpu.memory_free is None else gpu.memory_free


def fits(shape: Shape, load: Load, places: Sequence[Room], limit: int | None = None) -> Fit | None:
    """Where the model fits, and the largest context, slots and replicas that do; None = not known.

    `limit` is the replica's own memory limit in bytes; a node's memory counts up to it.
    """
    needed = estimate(shape, load)
    if needed is None:
        return None
    bounded = [_within(place, limit) for place in places]
    # As many nodes are needed as a replica is on: of these the smallest counts.
    largest_first = sorted(bounded, key=lambda place: place.most, reverse=True)
    most = largest_first[load.nodes - 1] if len(largest_first) >= load.nodes else None
    has = most.most if most is not None else 0
    roomy = [place for place in bounded if place.most >= needed.total]
    # The one with most room now; how large it is counts when none has enough.
    chosen = max(roomy, key=lambda place: (place.free, place.most), default=None)
    if len(roomy) < load.nodes:
        chosen = None
    each = [_replicas(needed, place.free) for place in places if place.most >= needed.total]
    return Fit(
        estimate=needed,
        room=most,
        limit=limit,
        node=chosen.node if chosen is not None else "",
        replicas=_together(each, load.nodes) if chosen is not None else 0,
        context=_largest_context(shape, load, has),
        slots=_largest_slots(shape, load, has),
    )


def _within(place: Room, limit: int | None) -> Room:
    if limit is None or limit >= place.most:
        return place
    return Room(place.node, limit, min(limit, place.free))


def _replicas(needed: Estimate, free: int) -> int:
    """How many share a machine's free memory; mapped weights lie in it once."""
    if free < needed.total:
        return 0
    return 1 + (free - needed.total) // max(1, needed.total - needed.shared)


def _together(each: Sequence[int], nodes: int) -> int:
    """How many replicas there is room for, each on so many different nodes, of which each takes so many."""
    return _last(lambda count: sum(min(one, count) for one in each) >= nodes * count, sum(each))


def _largest_context(shape: Shape, load: Load, has: int) -> int:
    pages = min(shape.context or LONGEST, LONGEST) // CONTEXT_STEP

    def fit(count: int) -> bool:
        return _total(shape, load, context=count * CONTEXT_STEP) <= has

    return _last(fit, max(1, pages)) * CONTEXT_STEP


def _largest_slots(shape: Shape, load: Load, has: int) -> int:
    return _last(lambda count: _total(shape, load, slots=count) <= has, MOST_SLOTS)


def _total(shape: Shape, load: Load, *, context: int = 0, slots: int = 0) -> int:
    tried = replace(load, context=context or load.context, slots=slots or load.slots)
    found = estimate(shape, tried)
    return found.total if found is not None else 0


def _last(holds: Callable[[int], bool], most: int) -> int:
    """The largest of 1..most for which it holds, 0 for none; it holds up to some number and not beyond."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def refusal(fit: Fit, load: Load) -> str:
    """Why it does not fit, in numbers, and what would."""
    needed = fit.estimate
    parts = (
        f"weights {human_bytes(needed.weights)}, KV cache {human_bytes(needed.kv_cache)} for "
        f"{load.slots} x {load.context} tokens, the rest {human_bytes(needed.compute + needed.overhead)}"
    )
    one = "One replica" if load.nodes == 1 else f"Each of a replica's {load.nodes} nodes"
    return (
        f"{one} needs about {human_bytes(needed.total)} of memory ({parts}), "
        f"{_has(fit, load)}.{_assumed(load)} {_advice(fit, load)}"
    )


def shortage(fit: Fit, load: Load) -> Mapping[str, str]:
    """The numbers of `refusal` by name, as people read them."""
    needed = fit.estimate
    several = {"nodes": str(load.nodes)} if load.nodes > 1 else {}
    return several | {
        "needed": human_bytes(needed.total),
        "has": human_bytes(fit.room.most if fit.room is not None else 0),
        "weights": human_bytes(needed.weights),
        "cache": human_bytes(needed.kv_cache),
        "rest": human_bytes(needed.compute + needed.overhead),
        "slots": str(load.slots),
        "context": str(load.context),
        "advice": " or ".join(_would(fit, load)),
    }


def _assumed(load: Load) -> str:
    """What the sum takes for granted, where it does."""
    if load.nodes == 1:
        return ""
    return " Weights and KV cache are taken to be shared out evenly over the nodes."


def _has(fit: Fit, load: Load) -> str:
    if fit.room is None and load.nodes > 1:
        return f"and not {load.nodes} nodes have any of the kind it asks for"
    if fit.room is None:
        return "and no node has any of the kind it asks for"
    if fit.limit is not None and fit.limit == fit.room.most:
        return f"its memory limit is {human_bytes(fit.limit)}"
    largest = "the largest node"
    if load.nodes > 1:
        largest = f"of the {load.nodes} largest nodes the smallest"
    return f"{largest} [{fit.room.node}] has {human_bytes(fit.room.most)}"


def _advice(fit: Fit, load: Load) -> str:
    """What to change so that it fits."""
    would = _would(fit, load)
    limited = fit.limit is not None and fit.room is not None and fit.limit == fit.room.most
    larger = (
        f"raise the limit to {human_bytes(_rounded(fit.estimate.total))}"
        if limited
        else "add a larger machine"
    )
    if would:
        return f"What fits: {' or '.join(would)}; else {larger}."
    return f"No context or number of slots fits: take a smaller model or precision, or {larger}."


def _would(fit: Fit, load: Load) -> list[str]:
    return [
        *([f"{load.slots} x {fit.context} tokens"] if 0 < fit.context < load.context else []),
        *([f"{fit.slots} x {load.context} tokens"] if 0 < fit.slots < load.slots else []),
    ]


def _rounded(amount: int) -> int:
    """Up to whole steps of 64 MiB, so that the advice is not short by a rounding."""
    return -(-amount // (64 * MIB)) * 64 * MIB
