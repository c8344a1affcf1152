"""The data plane as its official clients use it: `eas-prediction` and `openai`, unmodified."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest
import requests
from clients import Json, PredictClient, PredictException, PythonSdk, StringRequest
from console_browser import Browser, browser
from documents import app, document
from lifecycle import Service, capital
from running_platform import Platform, until
from tenants import account_ram

#: In DIRECT mode the client leaves `http://` out; the library below it takes that, with this warning.
pytestmark = pytest.mark.filterwarnings("ignore:URLs without a scheme:FutureWarning")

QUESTION = {
    "model": "plane_llm",
    "messages": [{"role": "user", "content": "What is the capital of France? Answer briefly."}],
    "temperature": 0,
    "max_tokens": 24,
}


@pytest.fixture(scope="module")
def echo(eas: PythonSdk) -> Service:
    """A service that answers with what it was asked."""
    eas("CreateService", body=document("plane_echo"))
    service = Service(eas, "plane_echo")
    service.until("Running")
    return service


@pytest.fixture(scope="module")
def llm(eas: PythonSdk) -> Service:
    """A real model."""
    eas("CreateAppService", body=app("plane_llm"))
    service = Service(eas, "plane_llm")
    service.until("Running")
    return service


def token(service: Service) -> str:
    return service.describe()["AccessToken"]


@contextmanager
def predictor(
    platform: Platform, path: str, token: str = "", *, kind: str = "", custom_url: str = ""
) -> Iterator[PredictClient]:
    """A client of `eas-prediction`, which would keep its connections and its thread."""
    client = PredictClient(platform.gateway, path, custom_url)
    client.set_endpoint_type(kind)
    client.set_token(token)
    client.init()
    # Its thread fetches the endpoint at once, in the background.
    until(lambda: kind != "DIRECT" or client.endpoint.endpoints, 10, "the endpoints are there")
    try:
        yield client
    finally:
        client.destroy()
        client.connection_pool.clear()
        if kind == "DIRECT":
            client.endpoint.http.clear()


def predicted(client: PredictClient, text: str) -> Any:
    return json.loads(client.predict(StringRequest(text)).response_data)


def test_eas_prediction_calls_a_service(platform: Platform, echo: Service) -> None:
    with predictor(platform, "plane_echo", token(echo)) as client:
        seen = predicted(client, "héllo 组")
    assert (seen["method"], seen["path"], seen["body"]) == ("POST", "/", "héllo 组")
    assert seen["authorization"] is None, "the client's token reached the engine"


def test_eas_prediction_calls_a_sub_path(platform: Platform, echo: Service, llm: Service) -> None:
    with predictor(platform, "plane_echo/a/b", token(echo)) as client:
        assert predicted(client, "x")["path"] == "/a/b"
    with predictor(platform, "plane_llm/v1/chat/completions", token(llm)) as client:
        answer = predicted(client, json.dumps(QUESTION))
    assert "Paris" in answer["choices"][0]["message"]["content"]


def test_eas_prediction_finds_the_gateway_in_direct_mode(
    platform: Platform, echo: Service, llm: Service
) -> None:
    with predictor(platform, "plane_echo", token(echo), kind="DIRECT") as client:
        assert client.endpoint.get() == platform.gateway.removeprefix("http://")
        assert predicted(client, "direct")["body"] == "direct"
    with predictor(platform, "plane_llm/v1/chat/completions", token(llm), kind="DIRECT") as client:
        answer = predicted(client, json.dumps(QUESTION))
    assert "Paris" in answer["choices"][0]["message"]["content"]


def test_eas_prediction_sends_a_plain_token_to_a_custom_url(
    platform: Platform, echo: Service
) -> None:
    url = f"{platform.gateway}/api/predict/plane_echo/custom"
    with predictor(platform, "plane_echo", token(echo), custom_url=url) as client:
        assert predicted(client, "x")["path"] == "/custom"


@pytest.mark.parametrize("kind", ["", "DIRECT"])
def test_eas_prediction_is_refused_with_its_own_exception(
    platform: Platform, echo: Service, kind: str
) -> None:
    for path, secret, code in (
        ("plane_echo", "wrong", 401),
        ("plane_echo", "", 401),
        ("nobody_has_this", token(echo), 404),
    ):
        with (
            predictor(platform, path, secret, kind=kind) as client,
            pytest.raises(PredictException) as caught,
        ):
            client.predict(StringRequest("x"))
        assert caught.value.code == code
        assert json.loads(caught.value.message)["error"]["code"]


def test_any_method_and_query_reach_the_service_as_they_are(
    platform: Platform, echo: Service
) -> None:
    url = f"{platform.gateway}/api/predict/plane_echo"
    for method in ("GET", "PUT", "DELETE"):
        answer = requests.request(
            method, f"{url}/p%2Fq?a=1&b=%20", headers={"Authorization": token(echo)}, timeout=10
        )
        seen = answer.json()
        assert (seen["method"], seen["path"]) == (method, "/p%2Fq?a=1&b=%20")


def test_openai_answers_whole_and_streamed(llm: Service) -> None:
    with llm.openai() as client:
        assert "Paris" in capital(client, "plane_llm")
        parts: list[str] = []
        with client.chat.completions.create(
            **QUESTION, stream=True, stream_options={"include_usage": True}
        ) as stream:
            for chunk in stream:
                if chunk.choices:
                    parts.append(chunk.choices[0].delta.content or "")
                    assert chunk.model == "plane_llm"
                usage = chunk.usage
    assert "Paris" in "".join(parts)
    assert len([part for part in parts if part]) > 3, "the answer came in one piece"
    assert usage is not None
    assert usage.completion_tokens > 3


def test_openai_lists_the_models(platform: Platform, llm: Service, echo: Service) -> None:
    with llm.openai() as client:
        assert [model.id for model in client.models.list()] == ["plane_llm"]
        shared = client.with_options(base_url=f"{platform.gateway}/v1")
        assert [model.id for model in shared.models.list()] == ["plane_llm"], (
            "a foreign model shows"
        )
        assert "Paris" in capital(shared, "plane_llm")
        with pytest.raises(openai.NotFoundError):
            capital(shared, "plane_echo")  # exists, and another token opens it


def test_openai_is_refused_with_its_own_exceptions(platform: Platform, llm: Service) -> None:
    with llm.openai() as client:
        shared = client.with_options(base_url=f"{platform.gateway}/v1")
        for reached in (client, shared):
            with pytest.raises(openai.NotFoundError) as missing:
                capital(reached, "gpt-4")
            assert missing.value.status_code == 404
            assert missing.value.code == "model_not_found"
            assert "gpt-4" in missing.value.message
            for wrong in ("wrong", llm.describe()["AccessToken"] + "x"):
                with pytest.raises(openai.AuthenticationError) as denied:
                    capital(reached.with_options(api_key=wrong), "plane_llm")
                assert denied.value.status_code == 401
        with pytest.raises(openai.NotFoundError):
            capital(
                client.with_options(base_url=f"{platform.gateway}/api/predict/nobody/v1"), "nobody"
            )


def test_a_stopped_service_has_no_healthy_upstream_until_it_starts(
    platform: Platform, eas: PythonSdk
) -> None:
    eas("CreateService", body=document("plane_stopped"))
    service = Service(eas, "plane_stopped")
    service.until("Running")
    service.change("StopService", "Stopping")
    service.until("Stopped")
    call = _caller(platform, service)
    answer = call()
    assert (answer.status_code, answer.text) == (503, "no healthy upstream")
    with pytest.raises(openai.InternalServerError), service.openai() as client:
        capital(client, "plane_stopped")
    service.change("StartService", "Starting", "Waiting")
    service.until("Running")
    until(lambda: call().status_code == 200, 5, "the gateway routes to it")
    service.delete()
    until(lambda: call().status_code == 404, 5, "the gateway forgot it")


def _caller(platform: Platform, service: Service) -> Any:
    url = f"{platform.gateway}/api/predict/{service.name}"
    headers = {"Authorization": token(service)}
    return lambda: requests.get(url, headers=headers, timeout=10)


def test_the_first_request_after_running_is_answered(platform: Platform, eas: PythonSdk) -> None:
    """Running means that the gateway answers, not that it will soon."""
    for turn in range(5):
        service = Service(eas, f"plane_first{turn}")
        eas("CreateService", body=document(service.name))
        service.until("Running")
        answer: Json = _caller(platform, service)().json()
        assert answer["env"]["SERVICE_NAME"] == service.name


def test_the_console_speaks_to_a_service(platform: Platform, echo: Service, llm: Service) -> None:
    chat = "/console/api/chat"
    with browser(platform) as page:
        asked = {**QUESTION, "stream": True}
        answer = page.post(f"{chat}/plane_llm/v1/chat/completions", json=asked, stream=True)
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        events = [line.removeprefix(b"data: ") for line in answer.iter_lines() if line]
        assert events.pop() == b"[DONE]"
        told = [json.loads(event)["choices"] for event in events]
        words = [choices[0]["delta"].get("content") or "" for choices in told if choices]
        assert "Paris" in "".join(words) and len(words) > 2
        models = page.get(f"{chat}/plane_llm/v1/models").json()
        assert "plane_llm" in [one["id"] for one in models["data"]]

        seen = page.post(f"{chat}/plane_echo/a%20b?x=%E7%BB%84", data="你好".encode()).json()
        assert (seen["path"], seen["body"]) == ("/a%20b?x=%E7%BB%84", "你好")
        assert seen["authorization"] is None, "the token reached the engine"

        unknown = page.post(f"{chat}/nobody/v1/chat/completions", json=asked)
        assert (unknown.status_code, unknown.json()["Code"]) == (404, "NotFound")
        forged = page.post(f"{chat}/plane_echo/", headers={"X-Pierhead-Csrf": "x"})
        assert (forged.status_code, forged.json()["RequestId"] != "") == (403, True)

    account = account_ram(platform)
    account("CreateUser", UserName="plane-guest")
    made = account("CreateAccessKey", UserName="plane-guest")["AccessKey"]
    keys = {name: made[name] for name in ("AccessKeyId", "AccessKeySecret")}
    with Browser(platform, **keys) as guest:
        refused = guest.post(f"{chat}/plane_echo/", data="x")
        assert (refused.status_code, refused.json()["Code"]) == (403, "NoPermission")
        assert refused.json()["Action"] == "pierhead:GetServiceToken"
    account("DeleteAccessKey", UserName="plane-guest", UserAccessKeyId=made["AccessKeyId"])
    account("DeleteUser", UserName="plane-guest")
