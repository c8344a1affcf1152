"""Everything that openai-python's typed clients ask for, of a real model, at both of its addresses."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any, cast

import openai
import pytest
import requests
from clients import Json, PythonSdk
from documents import app, document
from lifecycle import Service
from running_platform import Platform, until
from test_endpoint_tokens import client as account

LLM, ECHO, OTHER = "typed_llm", "typed_echo", "typed_other"
SAID = "The capital of France is Paris."
MESSAGES: Any = [
    {"role": "user", "content": "What is the capital of France? Answer briefly."},
]
QUESTION: Any = {"model": LLM, "messages": MESSAGES, "temperature": 0, "max_tokens": 16}
#: A model of any size calls for a name that it may not know: the id of a thing that nobody stored.
NOBODYS = "resp_0123456789"


@pytest.fixture(scope="module")
def llm(eas: PythonSdk) -> Service:
    """A real model."""
    eas("CreateAppService", body=app(LLM))
    service = Service(eas, LLM)
    service.until("Running")
    return service


@pytest.fixture(scope="module")
def token(llm: Service) -> str:
    return llm.describe()["AccessToken"]


@pytest.fixture(scope="module")
def echo(eas: PythonSdk, token: str) -> Service:
    """A service that the model's token opens as well, and beside it one that it does not open."""
    eas("CreateService", body={**document(ECHO), "token": token})
    eas("CreateService", body=document(OTHER))
    for name in (ECHO, OTHER):
        Service(eas, name).until("Running")
    return Service(eas, ECHO)


@pytest.fixture(params=["shared", "own"])
def base(request: pytest.FixtureRequest, platform: Platform) -> str:
    """Both addresses of the model: the gateway's /v1, where its name is asked for, and its own."""
    own = f"{platform.gateway}/api/predict/{LLM}/v1"
    return own if request.param == "own" else f"{platform.gateway}/v1"


@pytest.fixture
def client(base: str, token: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=base, api_key=token, max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture
def shared(platform: Platform, llm: Service) -> Iterator[openai.OpenAI]:
    """At the gateway's /v1 alone."""
    key, base = llm.describe()["AccessToken"], f"{platform.gateway}/v1"
    with openai.OpenAI(base_url=base, api_key=key, max_retries=0, timeout=60) as client:
        yield client


# ---- chat ------------------------------------------------------------------------------------


def test_chat_whole(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**QUESTION)
    assert answer.object == "chat.completion"
    assert (answer.model, answer.choices[0].message.content) == (LLM, SAID)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_chat_streamed_tells_usage_only_to_who_asks(client: openai.OpenAI) -> None:
    for asked in (False, True):
        more: Any = {"stream_options": {"include_usage": True}} if asked else {}
        with client.chat.completions.create(**QUESTION, **more, stream=True) as stream:
            chunks = list(stream)
        said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert said == SAID
        assert {chunk.model for chunk in chunks} == {LLM}
        told = [chunk.usage for chunk in chunks if chunk.usage]
        assert len(told) == asked
        assert sum(not chunk.choices for chunk in chunks) == asked


def test_chat_by_the_stream_helper(client: openai.OpenAI) -> None:
    for more in ({}, {"stream_options": {"include_usage": True}}):
        with client.chat.completions.stream(**QUESTION, **cast(Any, more)) as stream:
            kinds = {event.type for event in stream}
            whole = stream.get_final_completion()
        assert {"chunk", "content.delta", "content.done"} <= kinds
        assert whole.choices[0].message.content == SAID
        assert (whole.usage is not None) == bool(more)


def test_chat_by_the_raw_and_the_streaming_response(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(**QUESTION)
    assert raw.status_code == 200
    assert raw.request_id and raw.request_id == raw.headers["X-Request-Id"]
    assert raw.parse().choices[0].message.content == SAID
    with client.chat.completions.with_streaming_response.create(**QUESTION) as reply:
        assert reply.headers["Content-Type"].startswith("application/json")
        assert json.loads(b"".join(reply.iter_bytes()))["model"] == LLM
    with client.chat.completions.with_streaming_response.create(**QUESTION, stream=True) as reply:
        assert reply.headers["Content-Type"].startswith("text/event-stream")
        lines = [line for line in reply.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"


def test_chat_by_the_async_client(base: str, token: str) -> None:
    async def ask() -> None:
        async with openai.AsyncOpenAI(base_url=base, api_key=token, max_retries=0) as client:
            whole = [client.chat.completions.create(**QUESTION) for _ in range(8)]
            answers = await asyncio.gather(*whole)
            assert [answer.choices[0].message.content for answer in answers] == [SAID] * 8
            assert len({answer._request_id for answer in answers}) == 8  # pyright: ignore[reportPrivateUsage]
            async with client.chat.completions.stream(**QUESTION) as stream:
                final = await stream.get_final_completion()
            assert final.choices[0].message.content == SAID
            assert LLM in [model.id async for model in client.models.list()]

    asyncio.run(ask())


def test_chat_with_several_choices_and_their_logprobs(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**QUESTION, n=2, logprobs=True, top_logprobs=2)
    assert [choice.index for choice in answer.choices] == [0, 1]
    for choice in answer.choices:
        assert choice.message.content == SAID
        assert choice.logprobs and choice.logprobs.content
        tokens = choice.logprobs.content
        assert "".join(token.token for token in tokens).startswith(SAID)
        assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in tokens)


def test_chat_in_a_given_format(client: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    }
    wanted: Any = {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": schema},
    }
    answer = client.chat.completions.create(
        **{**QUESTION, "max_tokens": 64}, response_format=wanted
    )
    assert json.loads(answer.choices[0].message.content or "")["city"] in {"Paris", "Rome"}


# ---- other typed clients ---------------------------------------------------------------------


def test_completions(client: openai.OpenAI) -> None:
    asked: Any = {"model": LLM, "prompt": "The capital of France is", "temperature": 0}
    whole = client.completions.create(**asked, max_tokens=4)
    assert (whole.object, whole.model) == ("text_completion", LLM)
    assert whole.choices[0].text.startswith(" Paris")
    with client.completions.create(**asked, max_tokens=4, stream=True) as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert not any(chunk.usage for chunk in chunks if not chunk.choices)
    several = client.completions.create(**{**asked, "prompt": ["One two", "A B"]}, max_tokens=2)
    assert sorted(choice.index for choice in several.choices) == [0, 1]


def test_responses(client: openai.OpenAI) -> None:
    # Its answer is longer than the limit, and without chance: a drawn one ends where it likes.
    asked: Any = {"model": LLM, "input": "Count from one to twenty.", "temperature": 0}
    asked["max_output_tokens"] = 8
    whole = client.responses.create(**asked)
    assert (whole.object, whole.model, whole.status) == ("response", LLM, "completed")
    assert whole.output_text
    assert whole.usage is not None and whole.usage.output_tokens == 8
    with client.responses.create(**asked, stream=True) as stream:
        events = list(stream)
    assert [events[0].type, events[-1].type] == ["response.created", "response.completed"]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(deltas) > 1
    assert events[-1].type == "response.completed"
    assert "".join(deltas) == events[-1].response.output_text
    assert events[-1].response.usage is not None


def test_messages_of_the_other_protocol(client: openai.OpenAI) -> None:
    """`/v1/messages`, as Anthropic's clients ask for it."""
    asked = {"model": LLM, "messages": MESSAGES, "max_tokens": 16, "temperature": 0}
    whole = cast(Json, client.post("/messages", body=asked, cast_to=object))
    assert (whole["type"], whole["model"], whole["content"][0]["text"]) == ("message", LLM, SAID)
    counted = client.post("/messages/count_tokens", body=asked, cast_to=object)
    used = whole["usage"]
    assert cast(Json, counted)["input_tokens"] == (
        used["input_tokens"] + used["cache_read_input_tokens"]
    )


def test_what_clients_are_told_is_what_is_counted(
    platform: Platform, eas: PythonSdk, llm: Service
) -> None:
    """Every typed call once, with a token of its own: the sums of what was told are on its account."""
    root = account(platform, platform.credentials)
    made = root.own("AddServiceToken", ServiceName=LLM, TokenName="counted")["Token"]["AccessToken"]
    read = wrote = calls = 0
    base, asked = f"{platform.gateway}/v1", {"model": LLM, "max_output_tokens": 8, "input": "Hi"}
    with openai.OpenAI(base_url=base, api_key=made, max_retries=0) as client:
        until(lambda: _opens(client), 5, "the new token opens")
        chat: Any = client.chat.completions
        ask: Any = client.completions.create
        with_usage: Any = {"stream": True, "stream_options": {"include_usage": True}}
        for told in (
            chat.create(**QUESTION).usage,
            list(chat.create(**QUESTION, **with_usage))[-1].usage,
            ask(model=LLM, prompt="One two three", max_tokens=5).usage,
        ):
            calls += 1
            read, wrote = read + told.prompt_tokens, wrote + told.completion_tokens
        # Nobody is told, and it is counted all the same: the same question has the same answer.
        again = chat.create(**QUESTION).usage
        assert not [chunk for chunk in chat.create(**QUESTION, stream=True) if chunk.usage]
        calls, read = calls + 2, read + 2 * again.prompt_tokens
        wrote += 2 * again.completion_tokens
        responses: Any = client.responses
        for told in (
            responses.create(**asked).usage,
            list(responses.create(**asked, stream=True))[-1].response.usage,
        ):
            calls += 1
            read, wrote = read + told.input_tokens, wrote + told.output_tokens
        message: Any = {"model": LLM, "messages": MESSAGES, "max_tokens": 16}
        for _ in range(2):  # the second time most of it is remembered, and counted as well
            used = cast(Json, client.post("/messages", body=message, cast_to=object))["usage"]
            read += used["input_tokens"] + used["cache_read_input_tokens"]
            wrote, calls = wrote + used["output_tokens"], calls + 1
    expected = {"PromptTokens": read, "CompletionTokens": wrote, "Requests": calls}
    until(
        lambda: expected.items() <= _usage(root, "counted").items(),
        10,
        f"{expected} are on the account",
    )
    assert _usage(root, "counted")["EstimatedRequests"] == 0


def _opens(client: openai.OpenAI) -> bool:
    try:
        return bool(client.models.list().data)
    except openai.AuthenticationError:
        return False


def _usage(root: Any, token: str) -> Json:
    usages = root.own("GetServiceUsage", ServiceName=LLM)["Usages"]["Usage"]
    return next((one for one in usages if one["TokenName"] == token), {})


# ---- models ----------------------------------------------------------------------------------


def test_models_are_those_that_the_token_opens(shared: openai.OpenAI, echo: Service) -> None:
    listed = shared.models.list()
    assert [model.id for model in listed] == [ECHO, LLM]
    assert {(model.object, model.owned_by) for model in listed} == {("model", "pierhead")}
    assert all(abs(time.time() - model.created) < 3600 for model in listed)
    assert shared.models.retrieve(LLM).id == LLM
    assert shared.models.retrieve(echo.name).id == ECHO
    for hidden in (OTHER, "gpt-4"):
        with pytest.raises(openai.NotFoundError) as missing:
            shared.models.retrieve(hidden)
        assert missing.value.code == "model_not_found"
    own = shared.with_options(base_url=f"{str(shared.base_url)[:-3]}api/predict/{LLM}/v1")
    assert [model.id for model in own.models.list()] == [LLM]


# ---- errors ----------------------------------------------------------------------------------


def test_errors_are_the_exceptions_of_the_client(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(**{**QUESTION, "model": "gpt-4"})
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    assert missing.value.type == "invalid_request_error"
    stranger = client.with_options(api_key="wrong")
    for stream in (False, True):
        with pytest.raises(openai.AuthenticationError) as denied:
            stranger.chat.completions.create(**QUESTION, stream=stream)
        assert denied.value.code == "invalid_api_key"
        assert denied.value.request_id
    with pytest.raises(openai.BadRequestError) as bad:  # the engine's own words
        client.chat.completions.create(**{**QUESTION, "temperature": "hot"})
    assert "temperature" in bad.value.message
    with pytest.raises(openai.BadRequestError) as long:
        client.chat.completions.create(
            **{**QUESTION, "messages": [{"role": "user", "content": "word " * 5000}]}
        )
    assert "context" in long.value.message
    ids = {error.value.request_id for error in (missing, denied, bad, long)}
    assert len(ids) == 4 and all(ids)


def test_a_body_that_names_no_model_is_told_so(shared: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as nameless:
        shared.post("/chat/completions", body={"messages": MESSAGES}, cast_to=object)
    assert (nameless.value.code, nameless.value.param) == ("model_required", "model")


def test_a_spent_token_is_the_rate_limit_error(platform: Platform, client: openai.OpenAI) -> None:
    root = account(platform, platform.credentials)
    name = f"once-{len(str(client.base_url))}"
    made = root.own("AddServiceToken", ServiceName=LLM, TokenName=name, RequestsPerMinute="1")
    spent = client.with_options(api_key=made["Token"]["AccessToken"])
    until(lambda: _opens(spent), 5, "the new token opens")
    with pytest.raises(openai.RateLimitError) as over:
        for _ in range(3):  # listing models may count as one, or not
            spent.chat.completions.create(**QUESTION)
    assert over.value.code == "rate_limit_exceeded"
    assert 1 <= int(over.value.response.headers["Retry-After"]) <= 61
    assert over.value.request_id


def test_what_the_model_cannot_do_is_refused_at_once(client: openai.OpenAI) -> None:
    """No client is left waiting, and each gets its own exception with words in it."""
    calls: list[Any] = [
        lambda: client.embeddings.create(model=LLM, input="x"),  # it was not made for that
        lambda: client.images.generate(model=LLM, prompt="x"),
        lambda: client.audio.speech.create(model=LLM, voice="alloy", input="x"),
        lambda: client.audio.transcriptions.create(model=LLM, file=("a.wav", b"RIFF")),
        lambda: client.moderations.create(model=LLM, input="x"),
        lambda: client.responses.retrieve(NOBODYS),
        lambda: client.responses.cancel(NOBODYS),
        client.files.list,
        client.batches.list,
    ]
    for call in calls:
        began = time.monotonic()
        with pytest.raises(openai.APIStatusError) as refused:
            call()
        assert time.monotonic() - began < 10
        error = refused.value
        assert error.status_code in {400, 404, 501}, error
        assert error.body and error.message and error.request_id


def test_a_path_that_no_body_leads_to_names_what_is_served(shared: openai.OpenAI) -> None:
    """Without a body there is no model to find a service by: to ask for one would lead nowhere."""
    for call in (
        shared.files.list,
        shared.batches.list,
        lambda: shared.responses.retrieve(NOBODYS),
        lambda: shared.responses.delete(NOBODYS),
        lambda: shared.get("/nothing", cast_to=object),
    ):
        with pytest.raises(openai.NotFoundError) as missing:
            call()
        assert missing.value.code == "path_not_found"
        assert "/v1/chat/completions" in missing.value.message


# ---- request ids and shapes ------------------------------------------------------------------


def test_a_request_id_goes_through_to_the_engine_and_back(
    platform: Platform, shared: openai.OpenAI, echo: Service
) -> None:
    own = "order-4711/typed"
    answer = shared.chat.completions.create(**QUESTION, extra_headers={"X-Request-Id": own})
    assert answer._request_id == own  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(openai.NotFoundError) as missing:
        shared.chat.completions.create(
            **{**QUESTION, "model": "nobody"}, extra_headers={"X-Request-Id": f"{own}/missing"}
        )
    assert missing.value.request_id == f"{own}/missing"
    assert cast(Json, missing.value.response.json())["request_id"] == f"{own}/missing"
    headers = {"Authorization": echo.describe()["AccessToken"]}
    url = f"{platform.gateway}/api/predict/{ECHO}"
    seen = requests.post(url, headers={**headers, "X-Request-Id": f"{own}/echo"}, timeout=10)
    assert seen.json()["request_id"] == seen.headers["X-Request-Id"] == f"{own}/echo"
    made = requests.post(url, headers=headers, timeout=10)
    assert made.json()["request_id"] == made.headers["X-Request-Id"]
    foul = requests.post(url, headers={**headers, "X-Request-Id": "a b"}, timeout=10)
    assert foul.json()["request_id"] == foul.headers["X-Request-Id"] != "a b"
    ids = (own, f"{own}/missing", f"{own}/echo", made.headers["X-Request-Id"])
    for one, service, status in zip(ids, (LLM, "", ECHO, ECHO), (200, 404, 200, 200), strict=True):
        line = until(lambda one=one: _access_line(platform, one), 5, f"{one} is in the access log")
        assert (line["service"], line["status"]) == (service, status)


def _access_line(platform: Platform, request_id: str) -> Json | None:
    for line in platform.log.splitlines():
        if f'"{request_id}"' in line and '"event": "request"' in line:
            return json.loads(line)
    return None


def test_errors_have_the_shape_of_their_path(platform: Platform, echo: Service) -> None:
    key = {"Authorization": f"Bearer {echo.describe()['AccessToken']}"}
    places = [
        ("/v1/chat/completions", {}, 401, True),
        ("/v1/chat/completions", key, 400, True),
        (f"/api/predict/{LLM}/v1/chat/completions", {}, 401, True),
        ("/api/predict/nobody/v1/chat/completions", key, 404, True),
        (f"/api/predict/{ECHO}", {}, 401, False),
        (f"/api/predict/{ECHO}/sub/v1/x", {}, 401, False),
        ("/api/predict/nobody", key, 404, False),
        ("/nowhere", key, 404, False),
    ]
    for path, headers, status, openai_shape in places:
        answer = requests.post(f"{platform.gateway}{path}", headers=headers, timeout=10)
        assert answer.status_code == status, (path, answer.text)
        assert answer.headers["Content-Type"].startswith("application/json")
        told = answer.json()
        assert told["request_id"] == answer.headers["X-Request-Id"]
        wanted = {"message", "type", "code"} | ({"param"} if openai_shape else set())
        assert set(told["error"]) == wanted, path
        assert all(isinstance(told["error"][name], str) for name in ("message", "type", "code"))
