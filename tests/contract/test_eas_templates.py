"""Registered templates behind the EAS door: what a spec means, and how the other door's services look."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from registry_world import BEN, Play, World, play

from builders import ACCOUNT, ROOT
from pierhead.core.errors import Invalid, NotFound
from pierhead.core.ids import fixed_id
from pierhead.core.mounts import FolderSource, OssSource
from pierhead.core.principals import Principal
from pierhead.core.registry import ArchitectureImage, DeleteMode, Extras
from pierhead.core.resources import GIB, MIB
from pierhead.core.services import Change, Intake, Service
from pierhead.dialects.eas.app import Call
from pierhead.dialects.eas.catalog import load
from pierhead.dialects.eas.handlers import Handlers
from pierhead.operations import deployments, services, templates
from pierhead.operations.deployments import DeployWish, GroupChanges
from pierhead.operations.services import GROUP

__all__ = ["play"]

Run = Callable[[Play], None]
ZONE = fixed_id("zone", "local")
OPERATIONS = {operation.id: operation for operation in load().operations}
APP = {"AppType": "LLM", "AppVersion": "v1", "Replicas": 1}
PAGE = {"PageNumber": 1, "PageSize": 100}


async def call(
    world: World,
    operation: str,
    name: str = "",
    *,
    body: dict[str, Any] | None = None,
    query: dict[str, Any] | None = None,
    actor: Principal = ROOT,
) -> dict[str, Any]:
    """One call as the EAS app hands it to its handler."""
    asked = Call(
        operation=OPERATIONS[operation],
        path={"ClusterId": "local", "ServiceName": name},
        query=query or {},
        body=body or {},
        unknown=(),
        principal=actor,
        request_id="R",
        base_url="",
    )
    return await Handlers(world.platform).table()[operation](asked)


async def stored(world: World, name: str) -> Service:
    return (await services.find(world.platform, name))[0]


async def deployed(world: World, extras: Extras = Extras(), **fields: Any) -> Service:  # noqa: B008
    template = fields.pop("template", None) or await world.template()
    wish = DeployWish(**{"name": "Chat Model", "zone": ZONE, **fields})
    return await deployments.deploy(world.platform, ROOT, template.uuid, wish, extras)


async def config(world: World, name: str) -> dict[str, Any]:
    return json.loads((await call(world, "DescribeService", name))["ServiceConfig"])


async def reasons(world: World, service: Service) -> list[str]:
    return [event.reason for event in await world.events(service)]


def test_an_app_service_from_a_registered_template(play: Run) -> None:
    async def scene(world: World) -> None:
        model = await world.model(install_path="w")
        template = await world.template(
            name="Chat-Model", models=(model.uuid,), environment={"A": "1"}, yaml="odd: 1"
        )
        for name, spec in (("by_name", "Chat-Model"), ("by_uuid", template.uuid)):
            body = {**APP, "ServiceName": name, "ServiceSpec": spec}
            await call(world, "CreateAppService", body=body)
            made = await stored(world, name)
            assert (made.registration.template, made.registration.model) == (
                template.uuid,
                model.uuid,
            )
            assert made.registration.kind == "Container"
            assert made.current.template.env == {"A": "1"}
            assert made.current.weights == FolderSource(f"{world.folder}/models/w")
            assert "YamlKeyUnknown" in await reasons(world, made)
            shown = await call(world, "DescribeService", name)
            assert (shown["AppSpecName"], shown["Cpu"], shown["Memory"]) == (spec, 2, 1024)
            assert shown["Image"] == "pierhead/Chat-Model"

    play(scene)


def test_config_goes_before_the_templates_model(play: Run) -> None:
    async def scene(world: World) -> None:
        model = await world.model(install_path="w")
        await world.template(name="mine", models=(model.uuid,))
        weights = {"ModelStorage": "oss", "OssPath": "oss://bucket/llama/"}
        body = {**APP, "ServiceName": "svc", "ServiceSpec": "mine", "Config": weights}
        await call(world, "CreateAppService", body=body)
        assert (await stored(world, "svc")).current.weights == OssSource("bucket", "llama/")

    play(scene)


def test_a_built_in_spec_is_registered_too(play: Run) -> None:
    async def scene(world: World) -> None:
        body = {**APP, "ServiceName": "svc", "ServiceSpec": "smollm2_135m_q4"}
        await call(world, "CreateAppService", body=body)
        made = await stored(world, "svc")
        assert made.registration.template == fixed_id("spec", "smollm2_135m_q4")
        assert await templates.find(world.platform, ROOT, made.registration.template)
        assert (await config(world, "svc"))["containers"] == [{"image": "pierhead/smollm2_135m_q4"}]

    play(scene)


def test_an_unknown_spec_is_refused_with_the_known_ones(play: Run) -> None:
    async def scene(world: World) -> None:
        await world.template(BEN, name="hidden")
        for number in range(40):
            await world.template(name=f"template-{number}")
        body = {**APP, "ServiceName": "svc", "ServiceSpec": "nothing"}
        with pytest.raises(Invalid) as caught:
            await call(world, "CreateAppService", body=body)
        assert caught.value.field == "ServiceSpec"
        assert "smollm2_135m_q4" in caught.value.message
        assert "template-39" in caught.value.message
        assert len(caught.value.message) < 2000
        with pytest.raises(Invalid):
            await call(
                world,
                "CreateAppService",
                body={**body, "ServiceSpec": "hidden"},
                actor=replace(BEN, id="x"),
            )

    play(scene)


def test_a_service_json_may_name_a_registered_template(play: Run) -> None:
    async def scene(world: World) -> None:
        template = await world.template(name="mine", environment={"A": "1"}, request_memory=2048)
        for name, image in (
            ("one", "pierhead/mine"),
            ("two", f"pierhead/{template.uuid}"),
            ("three", "mine"),
        ):
            document = {
                "metadata": {"name": name, "instance": 2, "cpu": 1},
                "containers": [{"image": image, "env": [{"name": "B", "value": "2"}]}],
            }
            await call(world, "CreateService", body=document)
            made = await stored(world, name)
            assert made.registration.template == ""
            assert made.current.template.env == {"A": "1", "B": "2"}
            assert made.current.template.command == ("python3", "server.py")
            assert made.current.template.resources.memory == 2 * GIB
            assert await config(world, name) == document

    play(scene)


def test_a_well_known_image_beside_a_command_is_no_template(play: Run) -> None:
    async def scene(world: World) -> None:
        await world.template(name="python", environment={"EVIL": "1"})
        document = {
            "metadata": {"name": "svc"},
            "containers": [{"image": "python:3.11", "script": "python app.py"}],
        }
        await call(world, "CreateService", body=document)
        assert (await stored(world, "svc")).current.template.env == {}

    play(scene)


def test_an_own_command_takes_the_place_of_a_templates_script(play: Run) -> None:
    async def scene(world: World) -> None:
        await world.template(name="mine", start_command="a | b", startup_parameters={"x": "1"})
        document = {
            "metadata": {"name": "svc"},
            "containers": [{"image": "pierhead/mine", "script": "python app.py"}],
        }
        await call(world, "CreateService", body=document)
        made = (await stored(world, "svc")).current.template
        assert (made.command, made.script, made.flags) == (("python", "app.py"), "", ())

    play(scene)


def test_how_the_other_doors_service_looks(play: Run) -> None:
    async def scene(world: World) -> None:
        template = await world.template(
            images=(ArchitectureImage("", "X86_64", "vllm:1"),), request_memory=1536
        )
        extras = Extras(system_tags=("ai::replicas::2", "ai::gpus::1"), user_tags=("team=blue",))
        made = await deployed(
            world, extras, template=template, environment={"A": "1"}, workspace="w", cpu=3
        )
        shown = await call(world, "DescribeService", made.name)
        assert shown["ServiceId"] == shown["ServiceUid"] == f"eas-m-{made.id[:18]}"
        assert shown["ServiceName"] == made.name
        assert shown["AccessToken"] == made.token
        assert (shown["Cpu"], shown["Memory"], shown["Gpu"]) == (3, 1536, 1)
        assert (shown["TotalInstance"], shown["WorkspaceId"]) == (2, "w")
        assert shown["Labels"] == [{"LabelKey": "team", "LabelValue": "blue"}]
        assert (shown["Image"], shown["Source"], shown["AppSpecName"]) == ("vllm:1", "", "")
        assert json.loads(shown["ServiceConfig"]) == {
            "metadata": {
                "name": made.name,
                "instance": 2,
                "workspace_id": "w",
                "cpu": 3,
                "memory": 1536,
                "gpu": 1,
            },
            "containers": [
                {
                    "image": f"pierhead/{template.uuid}",
                    "env": [{"name": "A", "value": "1"}],
                }
            ],
        }
        listed = await call(world, "ListServices", query=PAGE)
        assert [item["ServiceName"] for item in listed["Services"]] == [made.name]

    play(scene)


def test_it_is_found_by_its_service_id(play: Run) -> None:
    async def scene(world: World) -> None:
        made = await deployed(world)
        await deployed(world)
        for uid in (f"eas-m-{made.id[:18]}", f"eas-m-{made.id}"):
            assert (await call(world, "DescribeService", uid))["ServiceName"] == made.name
            listed = await call(world, "ListServices", query={**PAGE, "ServiceUid": uid})
            assert [item["ServiceName"] for item in listed["Services"]] == [made.name]
        for uid in (f"eas-m-{made.id[:17]}", f"eas-m-{'0' * 18}", "eas-m-none"):
            with pytest.raises(NotFound) as caught:
                await call(world, "DescribeService", uid)
            assert "id:" not in caught.value.message
            listed = await call(world, "ListServices", query={**PAGE, "ServiceUid": uid})
            assert listed["TotalCount"] == 0
        # A service that is called like another one's id does not stand in for it.
        body = {**APP, "ServiceName": made.id[:18], "ServiceSpec": "smollm2_135m_q4"}
        await call(world, "CreateAppService", body=body)
        shown = await call(world, "DescribeService", f"eas-m-{made.id[:18]}")
        assert shown["ServiceName"] == made.name

    play(scene)


def test_an_app_update_of_the_other_doors_service(play: Run) -> None:
    async def scene(world: World) -> None:
        other = await world.template(
            name="other", start_command="other", startup_parameters={"q": ""}
        )
        made = await deployed(world, environment={"A": "1"})
        await call(world, "UpdateAppService", made.name, body={"Replicas": 3, "AppType": "LLM"})
        scaled = await world.now(made)
        assert (scaled.replicas, scaled.change, scaled.latest) == (3, Change.SCALE, 1)
        assert "ParameterWithoutEffect" in await reasons(world, made)
        await call(world, "UpdateAppService", made.name, body={"ServiceSpec": "other"})
        now = await world.now(made)
        assert (now.latest, now.replicas, now.origin) == (2, 3, GROUP)
        assert now.current.template.command == ("other",)
        assert now.registration.template == other.uuid
        assert now.registration.title == "Chat Model"
        change = GroupChanges(startup_parameters={"r": "1"})
        rolled = await deployments.update(world.platform, ROOT, made.id, change)
        assert rolled.current.template.flags == ("--q", "--r", "1")
        weights = {"ModelStorage": "oss", "OssPath": "oss://bucket/llama/"}
        await call(world, "UpdateAppService", made.name, body={"Config": weights})
        now = await world.now(made)
        assert (now.current.weights, now.latest) == (OssSource("bucket", "llama/"), 4)
        await call(world, "UpdateAppService", made.name, body={})
        assert await world.now(made) == now

    play(scene)


def test_a_document_update_of_the_other_doors_service_keeps_its_snapshot(play: Run) -> None:
    async def scene(world: World) -> None:
        template = await world.template(
            yaml="services: [{ports: [3000], livez: /l}]", gpu_capability="7.5"
        )
        made = await deployed(
            world,
            template=template,
            environment={"A": "1", "B": "2"},
            startup_parameters={"x": "1"},
        )
        await templates.update(world.platform, ROOT, template.uuid, {"start_command": "changed"})
        env = [{"name": "B", "value": "3"}]
        patch = {
            "metadata": {"cpu": 4, "memory": 4096},
            "containers": [{"image": f"pierhead/{template.uuid}", "env": env}],
        }
        await call(world, "UpdateService", made.name, body=patch)
        now = await world.now(made)
        old = made.current.template
        resources = replace(old.resources, cpu=4.0, memory=4096 * MIB)
        assert now.current.template == replace(old, env={"B": "3"}, resources=resources)
        assert (now.origin, now.latest) == (GROUP, 2)
        assert now.registration.template == template.uuid
        shown = await config(world, made.name)
        assert shown["containers"] == [{"image": f"pierhead/{template.uuid}", "env": env}]
        # What the registry's door changes next replaces exactly these variables.
        change = GroupChanges(environment={"C": "4"})
        rolled = await deployments.update(world.platform, ROOT, made.id, change)
        assert rolled.current.template.env == {"C": "4"}
        assert rolled.current.template.flags == ("--x", "1")

    play(scene)


def test_what_a_document_says_of_requests_is_shown_and_outlives_the_next_merge(play: Run) -> None:
    """Also of a deployment of the other door, whose document is made up anew at each look."""
    rpc = {"keepalive": 9000, "max_queue_size": 5, "rate_limit": 20}

    async def scene(world: World) -> None:
        made = await deployed(world, Extras(system_tags=("ai::replicas::1",)))
        image = f"pierhead/{(await world.template(name='mine')).uuid}"
        document = {"metadata": {"name": "doc"}, "containers": [{"image": image}]}
        await call(world, "CreateService", body=document)
        for name in (made.name, "doc"):
            await call(world, "UpdateService", name, body={"metadata": {"rpc": rpc}})
            await call(world, "UpdateService", name, body={"metadata": {"memory": 4096}})
            current = (await stored(world, name)).current
            assert (await config(world, name))["metadata"]["rpc"] == rpc
            assert (current.request_timeout, current.intake) == (9.0, Intake(queue=5, rate=20))
            await call(world, "UpdateService", name, body={"metadata": {"rpc": None}})
            assert "rpc" not in (await config(world, name))["metadata"]
            assert (await stored(world, name)).current.intake == Intake()

    play(scene)


def test_a_document_update_that_changes_only_the_count_scales(play: Run) -> None:
    async def scene(world: World) -> None:
        made = await deployed(world, Extras(system_tags=("ai::replicas::1",)))
        await call(world, "UpdateService", made.name, body={"metadata": {"instance": 4}})
        now = await world.now(made)
        assert (now.replicas, now.latest, now.change) == (4, 1, Change.SCALE)

    play(scene)


def test_a_deployment_whose_template_is_gone_can_still_be_changed(play: Run) -> None:
    async def scene(world: World) -> None:
        template = await world.template(name="mine")
        made = await deployed(world, template=template)
        document = {"metadata": {"name": "doc"}, "containers": [{"image": "pierhead/mine"}]}
        await call(world, "CreateService", body=document)
        await call(
            world, "CreateAppService", body={**APP, "ServiceName": "app", "ServiceSpec": "mine"}
        )
        await templates.delete(world.platform, ROOT, template.uuid, DeleteMode.ENFORCING)
        for name in (made.name, "doc", "app"):
            await call(world, "UpdateService", name, body={"metadata": {"cpu": 1}})
            now = await stored(world, name)
            assert now.current.template.command == ("python3", "server.py"), name
            assert (now.current.template.resources.cpu, now.latest) == (1, 2), name
            assert now.registration.template == ""

    play(scene)


def test_a_document_of_ones_own_leaves_the_template(play: Run) -> None:
    async def scene(world: World) -> None:
        await world.template(name="mine")
        await call(
            world, "CreateAppService", body={**APP, "ServiceName": "app", "ServiceSpec": "mine"}
        )
        patch = {"containers": [{"script": "python own.py"}]}
        await call(world, "UpdateService", "app", body=patch)
        now = await stored(world, "app")
        assert (now.registration.template, now.origin) == ("", "eas.service")
        assert now.current.template.command == ("python", "own.py")

    play(scene)


def test_eas_labels_are_user_tags(play: Run) -> None:
    async def scene(world: World) -> None:
        document = {"metadata": {"name": "svc"}, "containers": [{"script": "python app.py"}]}
        labels = {"team": "blue", "bell": "\x07"}
        await call(world, "CreateService", body=document, query={"Labels": labels})
        made = await stored(world, "svc")
        assert made.labels == labels
        tags = await world.db.read(deployments.tags_of.of, made.id)
        assert {tag.tag for tag in tags} == {"team=blue", "ai::serviceName::svc"}
        assert made.caller == ACCOUNT

    play(scene)
