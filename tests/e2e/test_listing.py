"""ListServices and ListServiceInstances: every filter, sorting, paging, and what matches nothing."""

from typing import Any

import pytest
from clients import Json, PythonSdk
from documents import app, document
from lifecycle import Service, refused

ALL = ("lst_alpha", "lst_beta", "lst_delta", "lst_gamma")


@pytest.fixture(scope="module")
def four(eas: PythonSdk) -> dict[str, Json]:
    """Alpha runs in a group, beta is stopped, gamma has failed, delta runs without an owner."""
    owner = {"workspace_id": "w71", "quota_id": "q71"}
    eas(
        "CreateService",
        query={"Labels": {"team": "red", "tier": "gold"}},
        body=document("lst_alpha", group="lst_group", **owner),
    )
    eas(
        "CreateService",
        query={"Labels": {"team": "blue", "tier": "gold"}, "WorkspaceId": "w72"},
        body=document("lst_beta"),
    )
    eas("StopService", "lst_beta")
    eas("CreateAppService", query={"WorkspaceId": "w71"}, body=app("lst_gamma", "chatglm_6b_int8"))
    eas("CreateService", body=document("lst_delta", instance=3))
    states = {"alpha": "Running", "beta": "Stopped", "gamma": "Failed", "delta": "Running"}
    return {
        f"lst_{name}": Service(eas, f"lst_{name}").until(status) for name, status in states.items()
    }


def listed(eas: PythonSdk, **query: Any) -> list[str]:
    """Names in the order given, of the four alone."""
    answer = eas("ListServices", query=query)
    names = [item["ServiceName"] for item in answer["Services"]]
    if len(names) < answer["PageSize"] and answer["PageNumber"] == 1:
        assert answer["TotalCount"] == len(names)
    return [name for name in names if name in ALL]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"Filter": "lst_"}, ALL),
        ({"Filter": "a", "ServiceName": "lst_alpha"}, ("lst_alpha",)),
        ({"Filter": "LST_AL"}, ("lst_alpha",)),
        ({"Filter": "st_gam"}, ("lst_gamma",)),
        ({"Filter": "lst%"}, ()),
        ({"Filter": "lst_ "}, ()),
        ({"ServiceName": "lst_beta"}, ("lst_beta",)),
        ({"ServiceName": "lst_"}, ()),
        ({"ServiceUid": "eas-m-none"}, ()),
        ({"ServiceStatus": "Running", "Filter": "lst_"}, ("lst_alpha", "lst_delta")),
        ({"ServiceStatus": "Stopped", "Filter": "lst_"}, ("lst_beta",)),
        ({"ServiceStatus": "Failed", "Filter": "lst_"}, ("lst_gamma",)),
        ({"ServiceStatus": "Committing"}, ()),
        ({"GroupName": "lst_group"}, ("lst_alpha",)),
        ({"GroupName": "lst_other"}, ()),
        ({"Label": {"team": "red"}}, ("lst_alpha",)),
        ({"Label": {"tier": "gold"}}, ("lst_alpha", "lst_beta")),
        ({"Label": {"tier": "gold", "team": "blue"}}, ("lst_beta",)),
        ({"Label": {"tier": "gold", "team": "green"}}, ()),
        ({"Label": {"team": None}}, ("lst_alpha", "lst_beta")),
        ({"WorkspaceId": "w71"}, ("lst_alpha", "lst_gamma")),
        ({"WorkspaceId": "w72"}, ("lst_beta",)),
        ({"QuotaId": "q71"}, ("lst_alpha",)),
        ({"QuotaId": "q71", "WorkspaceId": "w72"}, ()),
        ({"Gateway": "gw-none"}, ()),
        ({"ParentServiceUid": "eas-m-none"}, ()),
        ({"ResourceName": "eas-r-none"}, ()),
        ({"Role": "Queue"}, ()),
        ({"ServiceType": "Async"}, ()),
        ({"ServiceType": "Standard", "Filter": "lst_"}, ALL),
    ],
)
def test_a_filter_finds_what_it_names(
    eas: PythonSdk, four: dict[str, Json], query: Json, names: tuple[str, ...]
) -> None:
    assert sorted(listed(eas, **query)) == sorted(names)


def test_an_id_finds_its_service(eas: PythonSdk, four: dict[str, Json]) -> None:
    for name, shown in four.items():
        assert listed(eas, ServiceUid=shown["ServiceId"]) == [name]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"TrafficState": "grouping"}, ("lst_alpha",)),
        ({"TrafficState": "standalone"}, ("lst_beta", "lst_delta", "lst_gamma")),
        ({"WorkspaceId": "w71", "IncludeNoWorkspace": "true"}, ("lst_alpha", "lst_delta", "lst_gamma")),
        ({"AutoscalerEnabled": "true"}, ()),
        ({"CronscalerEnabled": "False"}, ALL),
        ({"CallerUid": "nobody"}, ()),
        ({"Accessibility": "PRIVATE"}, ()),
        ({"ResourceId": "eas-r-none"}, ()),
        ({"ResourceAliasName": "none"}, ()),
        ({"ResourceBurstable": "true"}, ()),
    ],
)  # fmt: skip
def test_a_filter_of_newer_clients_finds_what_it_names(
    eas: PythonSdk, four: dict[str, Json], query: dict[str, str], names: tuple[str, ...]
) -> None:
    from alibabacloud_tea_openapi.models import OpenApiRequest, Params
    from darabonba.runtime import RuntimeOptions

    params = Params(
        action="ListServices",
        version="2021-07-01",
        protocol="HTTP",
        pathname="/api/v2/services",
        method="GET",
        auth_type="AK",
        style="ROA",
        req_body_type="json",
        body_type="json",
    )
    answer = eas.client.call_api(
        params, OpenApiRequest(query={"Filter": "lst_", **query}), RuntimeOptions()
    )["body"]
    assert sorted(item["ServiceName"] for item in answer["Services"]) == sorted(names)
    assert answer["TotalCount"] == len(names)


def test_the_order_is_the_one_asked_for(eas: PythonSdk, four: dict[str, Json]) -> None:
    created = ["lst_alpha", "lst_beta", "lst_gamma", "lst_delta"]
    assert listed(eas, Filter="lst_") == created[::-1]
    assert listed(eas, Filter="lst_", Order="asc") == created
    assert listed(eas, Filter="lst_", Sort="CreateTime", Order="ASC") == created
    assert listed(eas, Filter="lst_", Sort="ServiceName", Order="asc") == sorted(created)
    assert listed(eas, Filter="lst_", Sort="ServiceName", Order="desc") == sorted(created)[::-1]
    assert listed(eas, Filter="lst_", Sort="Sunshine") == created[::-1]
    # Stopping beta was the last change of them all... but for delta, which came later.
    assert listed(eas, Filter="lst_", Sort="UpdateTime")[0] == "lst_delta"


def test_pages_hold_each_service_once(eas: PythonSdk, four: dict[str, Json]) -> None:
    found: list[str] = []
    for number in (1, 2, 3):
        answer = eas("ListServices", query={"Filter": "lst_", "PageSize": 2, "PageNumber": number})
        assert (answer["TotalCount"], answer["PageSize"], answer["PageNumber"]) == (4, 2, number)
        found += [item["ServiceName"] for item in answer["Services"]]
    assert sorted(found) == sorted(ALL)
    huge = eas("ListServices", query={"Filter": "lst_", "PageSize": 5000})
    assert (huge["PageSize"], len(huge["Services"])) == (1000, 4)
    for query in ({"PageSize": 0}, {"PageNumber": 0}, {"PageSize": -1}):
        refused(
            lambda query=query: eas("ListServices", query=query), "InvalidParameter", 400, *query
        )
    refused(lambda: eas("ListServices", query={"Order": "up"}), "InvalidParameter", 400, "Order")


def test_a_listed_service_is_the_described_one_without_its_token(
    eas: PythonSdk, four: dict[str, Json]
) -> None:
    for name in ALL:
        (item,) = eas("ListServices", query={"ServiceName": name})["Services"]
        shown = eas("DescribeService", name)
        assert not item.pop("AccessToken", "")
        assert shown.pop("AccessToken")
        shown.pop("RequestId")
        assert item == shown


def test_instances_are_filtered_sorted_and_paged(eas: PythonSdk, four: dict[str, Json]) -> None:
    service = Service(eas, "lst_delta")
    three = service.instances(Order="asc")
    names = [item["InstanceName"] for item in three]
    assert len(set(names)) == 3
    assert [item["StartTime"] for item in three] == sorted(item["StartTime"] for item in three)
    assert [item["InstanceName"] for item in service.instances(Order="desc")] == names[::-1]
    for query, expected in (
        ({"InstanceName": names[1]}, names[1:2]),
        ({"Filter": names[2][-5:]}, names[2:]),
        ({"InstanceIP": "127.0.0.1"}, names),
        ({"InstanceIP": "10.0.0.1"}, []),
        ({"HostIP": "127.0.0.1"}, names),
        ({"InstanceStatus": "Running"}, names),
        ({"InstanceStatus": "Failed"}, []),
        ({"InstanceType": "ecs.g6"}, []),
        ({"IsSpot": False}, names),
        ({"IsSpot": True}, []),
        ({"ResourceType": "PublicResource"}, []),
        ({"Role": "Queue"}, []),
        ({"PageSize": 2, "PageNumber": 2}, names[2:]),
    ):
        found = service.instances(Order="asc", **query)
        assert [item["InstanceName"] for item in found] == expected, query
    refused(
        lambda: eas("DescribeServiceLog", "lst_delta", query={"InstanceName": "nobody"}),
        "InvalidInstance.NotFound",
        404,
    )
