"""A replica over several nodes: which parts make one, what stands against it, and what it counts for."""

from dataclasses import replace
from typing import Any

import pytest

from builders import a_replica, a_service, a_template, a_version
from pierhead.core import capacity, lifecycle, spans
from pierhead.core.choice import Offer, choose
from pierhead.core.errors import Conflict, Invalid, Missing
from pierhead.core.placement import unplaceable
from pierhead.core.quota_sizes import of_node, of_replica
from pierhead.core.quotas import Amount
from pierhead.core.replicas import Accelerator, Node, RuntimeInfo
from pierhead.core.resources import GIB, Resources
from pierhead.core.services import Hold, Seen
from pierhead.core.sizing import Load, Shape, estimate, fits, refusal, rooms, shortage
from pierhead.core.templates import AUTO, Template
from pierhead.engines import registry
from pierhead.operations import spreading
from pierhead.operations.spreading import Part, Spread
from pierhead.operations.wishes import DeployWish

WIDE = Template("large", "vllm", nodes=2, resources=Resources(4, 8 * GIB, 2))
SHAPE = Shape(
    layers=32,
    heads=32,
    kv_heads=(8,),
    key_size=128,
    value_size=128,
    embedding=4096,
    vocabulary=32000,
    context=8192,
    parameters=8_000_000_000,
)


def part(**fields: Any) -> Part:
    usual: dict[str, Any] = {"template": "t", "wish": DeployWish("p", cpu=2), "said": {"cpuNum": 2}}
    return Part(**usual | fields)


def asked(*parts: Part, **fields: Any) -> Spread:
    whole: dict[str, Any] = {"name": "large", **fields}
    return Spread(parts, **whole)


def gpus(name: str, count: int, memory: int = 16 * GIB, **fields: Any) -> Node:
    found = tuple(
        Accelerator(f"{name}-{at}", "s", "NVIDIA", "T4", memory, "7.5") for at in range(count)
    )
    facts: dict[str, Any] = {"cpu": 8, "memory": 64 * GIB, "memory_free": 64 * GIB}
    return Node(name, gpus=count, accelerators=found, **(facts | fields))


# ---- parts ----------------------------------------------------------------------------------------


def test_the_parts_come_to_one_deployment_of_the_first_node() -> None:
    told = asked(
        part(rank=1, tensor=2, said={}),
        part(rank=0, tensor=2, initial=True, wish=DeployWish("lead", cpu=2, image="repo/vllm:1")),
        part(rank=2, wish=DeployWish("third"), said={"cpuNum": 2}),
        description="three",
        in_turn=True,
        without_effect=("rootDiskSize",),
    )
    assert spreading.wish(told) == DeployWish(
        "large",
        "three",
        cpu=2,
        image="repo/vllm:1",
        nodes=3,
        tensor=2,
        in_turn=True,
        without_effect=("rootDiskSize",),
    )


@pytest.mark.parametrize(
    ("parts", "first"),
    [
        ([part(), part()], 0),
        ([part(), part(initial=True)], 1),
        ([part(initial=False), part(initial=True), part()], 1),
        ([part(initial=True), part(initial=False)], 0),
        ([part(rank=1), part(rank=0)], 1),
        ([part(rank=1, initial=False), part(rank=0)], 1),
    ],
)
def test_what_is_not_said_of_ranks_follows_where_it_is_clear(parts: list[Part], first: int) -> None:
    marked = [
        replace(each, wish=DeployWish(env, image=f"i{env}"), said={})
        for each, env in zip(parts, "abc", strict=False)
    ]
    assert spreading.wish(asked(*marked)).image == f"i{'abc'[first]}"


@pytest.mark.parametrize(
    ("parts", "field", "words"),
    [
        ([part()], "modelServices", "DeployModelService is for one node"),
        ([part()] * 65, "modelServices", "2 to 64"),
        ([part(rank=0), part(rank=0)], "modelServices[1].nodeRank", "0 is another node's"),
        ([part(rank=0), part(rank=2)], "modelServices[1].nodeRank", "from 0 to 1"),
        ([part(initial=True), part(initial=True)], "modelServices[1].isInitialNode", "one node"),
        (
            [part(rank=0), part(rank=1, initial=True)],
            "modelServices[1].isInitialNode",
            "the rank 1",
        ),
        ([part(rank=0, initial=False), part(rank=1)], "modelServices[0].isInitialNode", "rank 0"),
        ([part(initial=False), part()], "modelServices[0].isInitialNode", "rank 0"),
        ([part(tensor=2), part(tensor=4)], "modelServices[1].tensorParallelSize", "4 beside 2"),
        ([part(tensor=0), part()], "modelServices[0].tensorParallelSize", "1 or more"),
        ([part(), part(said={"cpuNum": 4})], "modelServices[1].cpuNum", "the node of rank 0"),
        (
            [part(), part(said={"dockerImage": "x"})],
            "modelServices[1].dockerImage",
            "run the same",
        ),
        ([part(said={"tagUuids": ["x"]}), part()], "modelServices[0].tagUuids", "one group"),
        ([part(), part(said={"resourceUuid": "x"})], "modelServices[1].resourceUuid", "one group"),
    ],
)
def test_parts_that_make_no_replica_are_refused_by_field(
    parts: list[Part], field: str, words: str
) -> None:
    with pytest.raises(Invalid) as caught:
        spreading.wish(asked(*parts))
    assert (caught.value.field, words in caught.value.message) == (field, True)


def test_a_rank_that_is_given_for_some_nodes_is_missing_for_the_others() -> None:
    with pytest.raises(Missing) as caught:
        spreading.wish(asked(part(rank=0), part()))
    assert caught.value.field == "modelServices[1].nodeRank"


def test_a_parts_own_description_is_told_to_have_no_effect() -> None:
    (notice,) = spreading.wish(asked(part(described=True), part())).told
    assert (notice.reason, "description has no effect" in notice.message) == (
        "ParameterHasNoEffect",
        True,
    )
    assert spreading.wish(asked(part(), part())).told == ()


def test_no_more_gpus_than_a_node_has() -> None:
    info = RuntimeInfo("kubernetes", (gpus("a", 2), gpus("b", 4)), "")
    spreading.demand_gpus(DeployWish(tensor=4), info)
    spreading.demand_gpus(DeployWish(), info)
    spreading.demand_gpus(DeployWish(tensor=8), replace(info, nodes=()))
    with pytest.raises(Invalid, match=r"from 1 to 4") as caught:
        spreading.demand_gpus(DeployWish(tensor=5), info)
    assert caught.value.field == "tensorParallelSize"


# ---- templates ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"engine": "custom"}, "modelServices"),
        ({"engine": "llama_cpp"}, "modelServices"),
        ({"resources": Resources(gpu=0)}, "tensorParallelSize"),
        ({"resources": Resources(gpu=1, gpu_memory=GIB)}, "tensorParallelSize"),
        ({"flags": ("--tensor-parallel-size", "4")}, "startupParameters"),
        ({"flags": ("--tensor_parallel_size=4",)}, "startupParameters"),
        ({"flags": ("-tp", "1")}, "startupParameters"),
        ({"flags": ("--tensor-p=1",)}, "startupParameters"),
        ({"flags": ("--pipeline-parallel-size", "4")}, "startupParameters"),
        ({"flags": ("-pp=1",)}, "startupParameters"),
        ({"flags": ("--distributed-executor-backend", "mp")}, "startupParameters"),
        ({"flags": ("-tp", "2", "-tp")}, "startupParameters"),
        ({"flags": ("--api-key", "x")}, "startupParameters"),
        ({"flags": ("--por", "9")}, "startupParameters"),
        ({"flags": ("--ho=::",)}, "startupParameters"),
        ({"flags": ("--data-parallel-size", "4")}, "startupParameters"),
        ({"flags": ("--data_parallel_size=1",)}, "startupParameters"),
        ({"flags": ("-dp", "4")}, "startupParameters"),
        ({"flags": ("--nnodes", "2")}, "startupParameters"),
        ({"flags": ("-n4",)}, "startupParameters"),
        ({"flags": ("-r=1",)}, "startupParameters"),
        ({"flags": ("--headless",)}, "startupParameters"),
        ({"flags": ("--config", "/files/all.yaml")}, "startupParameters"),
        ({"flags": ("--served_model_name=x",)}, "startupParameters"),
    ],
)
def test_a_template_that_cannot_be_on_several_nodes(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        spans.demand(replace(WIDE, **fields))
    assert caught.value.field == field
    alone = replace(WIDE, **fields, nodes=1)
    spans.demand(alone)  # of one node nothing is asked


def test_a_template_that_can() -> None:
    spans.demand(WIDE)
    spans.demand(replace(WIDE, engine=AUTO))
    same = (
        "--tensor-parallel-size=2",
        "-pp",
        "2",
        "--max-model-len",
        "8192",
        "--trust-remote-code",
    )
    spans.demand(replace(WIDE, flags=(*same, "--distributed-executor-backend=ray")))


def test_a_service_keeps_the_nodes_of_its_replicas() -> None:
    wide = a_service(current=a_version(template=WIDE))
    narrow = a_version(template=replace(WIDE, nodes=1))
    with pytest.raises(Conflict, match=r"replicas of 2 node\(s\)"):
        lifecycle.upgrade(wide, narrow, 1.0)
    with pytest.raises(Conflict, match=r"replicas of 1 node\(s\)"):
        lifecycle.upgrade(a_service(), a_version(template=WIDE), 1.0)
    with pytest.raises(Invalid, match="tensorParallelSize"):
        off = replace(WIDE, resources=Resources(gpu=0))
        lifecycle.upgrade(wide, a_version(template=off), 1.0)
    more = replace(WIDE, resources=Resources(gpu=4))
    assert lifecycle.upgrade(wide, a_version(template=more), 1.0).current.template == more


def test_only_an_engine_that_computes_on_several_nodes_is_chosen() -> None:
    offers = {name: Offer(engine.capabilities) for name, engine in registry("python").items()}
    left_open = replace(WIDE, engine=AUTO)
    chosen = choose(left_open, replace(SHAPE, format="safetensors"), offers)
    assert not isinstance(chosen, Hold)
    assert chosen.engine == "vllm"
    none = choose(left_open, replace(SHAPE, format="gguf"), offers)
    assert isinstance(none, Hold)
    assert "llama_cpp (it computes on one node only)" in none.message
    assert "vllm (it reads safetensors, the weights are gguf)" in none.message


def test_an_image_of_its_own_is_taken_to_have_the_engine() -> None:
    offers = {
        name: Offer(engine.capabilities, "it is not installed")
        for name, engine in registry("python").items()
    }
    assert isinstance(choose(WIDE, SHAPE, offers), Hold)
    assert not isinstance(choose(replace(WIDE, images={"": "repo/vllm:1"}), SHAPE, offers), Hold)


# ---- places, amounts, memory ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "missing"),
    [
        ([gpus("a", 2), gpus("b", 2)], ""),
        ([gpus("a", 2), gpus("b", 1)], "2 nodes with 2 GPU, 4 cores, 8.0 GiB memory each wanted, 1 fits"),
        ([gpus("a", 0), gpus("b", 1)], "2 GPU wanted, a has 0"),
        ([gpus("a", 2), gpus("b", 2, memory=1, cpu=2)], "2 nodes with 2 GPU, 4 cores, 8.0 GiB memory each wanted, 1 fits"),
    ],
)  # fmt: skip
def test_a_replica_needs_as_many_nodes_as_it_is_on(nodes: list[Node], missing: str) -> None:
    hold = unplaceable(WIDE.resources, nodes, count=WIDE.nodes)
    if not missing:
        assert hold is None
        return
    assert hold is not None
    assert (hold.reason, hold.facts["missing"]) == ("Unschedulable", missing)
    assert (hold.progressing, hold.permanent, hold.placement) == (True, False, True)


def test_a_replica_counts_for_all_its_nodes() -> None:
    assert of_node(WIDE) == Amount(4.0, 8 * GIB, 2.0, 1)
    assert of_replica(WIDE) == Amount(8.0, 16 * GIB, 4.0, 1)
    assert of_replica(a_template(nodes=1)) == of_node(a_template(nodes=1))


def test_each_machine_holds_its_own_share_of_a_replica() -> None:
    service = a_service(current=a_version(template=WIDE))
    seen = Seen(replicas=(a_replica(node="a", members=("b",)), a_replica(id="r2", node="b")))
    found = [(service, seen)]
    assert capacity.held(found, "a") == of_node(WIDE)
    assert capacity.held(found, "b") == of_node(WIDE).times(2)
    assert capacity.held(found, "c") == Amount()
    assert capacity.held(found) == of_replica(WIDE).times(2)
    assert len(capacity.replicas(found, "b")) == 2


def test_layers_are_shared_out_over_the_nodes() -> None:
    alone, shared = (estimate(SHAPE, Load("vllm", 4096, 8, nodes=nodes)) for nodes in (1, 4))
    assert alone is not None
    assert shared is not None
    assert shared.weights == alone.weights // 4
    assert shared.kv_cache == alone.kv_cache // 4
    assert shared.compute == alone.compute
    assert alone.overhead > shared.overhead > alone.overhead - alone.weights * 0.05


def test_a_model_fits_where_so_many_nodes_hold_their_shares() -> None:
    load = Load("vllm", 2048, 4, nodes=2)
    one = estimate(SHAPE, load)
    assert one is not None
    roomy, tight = gpus("a", 1, one.total), gpus("b", 1, one.total - 1)
    both = fits(SHAPE, load, rooms([roomy, replace(roomy, name="c"), tight], 1))
    assert both is not None
    assert (both.fits, both.replicas) == (True, 1)
    short = fits(SHAPE, load, rooms([roomy, tight], 1))
    assert short is not None
    assert (short.fits, short.replicas, short.room and short.room.node) == (False, 0, "b")
    said = refusal(short, load)
    assert "Each of a replica's 2 nodes needs about" in said
    assert "of the 2 largest nodes the smallest [b] has" in said
    assert "taken to be shared out evenly over the nodes" in said
    assert shortage(short, load)["nodes"] == "2"
    lone = fits(SHAPE, load, rooms([roomy], 1))
    assert lone is not None
    assert "and not 2 nodes have any of the kind" in refusal(lone, load)


@pytest.mark.parametrize(
    ("room", "replicas"), [((1, 1, 1), 1), ((2, 2), 2), ((4, 1), 1), ((2, 1, 1), 2), ((3, 3, 3), 4)]
)
def test_replicas_take_different_nodes_each(room: tuple[int, ...], replicas: int) -> None:
    load = Load("vllm", 2048, 4, nodes=2)
    one = estimate(SHAPE, load)
    assert one is not None
    nodes = [gpus(f"n{at}", 1, one.total * count) for at, count in enumerate(room)]
    found = fits(SHAPE, load, rooms(nodes, 1))
    assert found is not None
    assert found.replicas == replicas
