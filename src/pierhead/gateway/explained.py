"""The data plane in neutral words: what the gateway passes to a service, as clients of OpenAI call it."""

from collections.abc import Mapping
from typing import Any

from pierhead.core import examples
from pierhead.core.history import with_history
from pierhead.core.reference import Authorization, Operation, Parameter, Place, Style

PRODUCT, VERSION = "openai", "v1"
#: What every request may be refused with.
CODES: Mapping[str, tuple[int, str]] = {
    "invalid_api_key": (401, "The access token is missing or wrong."),
    "service_not_found": (404, "The service does not exist."),
    "model_not_found": (404, "The service has no such model."),
    "path_not_found": (404, "Nothing is served at this path."),
    "path_not_served": (404, "The engine of the service is called at other paths."),
    "model_required": (400, "Below /v1 the body names the service as its model."),
    "request_timeout": (408, "The request took longer than it may."),
    "body_too_large": (413, "The body is larger than the limit."),
    "insufficient_quota": (429, "The tokens of the month are used up."),
    "rate_limit_exceeded": (429, "A limit of the token or the service is reached."),
    "concurrency": (429, "The token has as many requests at work as it may have."),
    "queue_full": (450, "Every waiting place of the service is taken."),
    "queue_timeout": (429, "No slot came free in time."),
    "bad_upstream": (502, "The replica broke off, or gave no answer."),
    "upstream_timeout": (504, "The replica took longer than it may."),
}
_ROOT = "/api/predict/{ServiceName}"
_ERRORS = tuple(CODES)
#: What examples have besides what is required.
_USUAL = frozenset({"max_tokens", "max_output_tokens", "temperature", "input"})
_SERVICE = Parameter("ServiceName", "string", Place.PATH, required=True, example="foo")
_MODEL = Parameter("model", "string", required=True, example="foo")
_CREATED = 1_795_375_642


def _text(name: str, example: str, *, required: bool = False) -> Parameter:
    return Parameter(name, "string", required=required, example=example)


def _whole(name: str, example: int, low: int = 0) -> Parameter:
    return Parameter(name, "integer", minimum=low, example=example)


def _number(name: str, example: float, high: float) -> Parameter:
    return Parameter(name, "number", minimum=0, maximum=high, example=example)


def _texts(name: str, example: str, **more: Any) -> Parameter:
    return Parameter(name, "array", items=_text("", example), **more)


def _object(name: str, *fields: Parameter) -> Parameter:
    return Parameter(name, "object", fields=fields)


def _list(name: str, *fields: Parameter, required: bool = False) -> Parameter:
    return Parameter(name, "array", required=required, items=_object("", *fields))


_ROLE = Parameter(
    "role", "string", required=True, values=("user", "system", "assistant", "tool"), open=True
)
_CONTENT = Parameter(
    "content",
    "any",
    required=True,
    example="What is a pier head?",
    type_text="string, or a list of parts",
)
_SAID = _text("content", "The end of a pier that reaches furthest into the water.")
_MESSAGES = _list("messages", _ROLE, _CONTENT, required=True)
_STREAM = Parameter("stream", "boolean", default=False)
_SEED = Parameter("seed", "integer", example=7)
_SAMPLING = (
    _STREAM,
    _number("temperature", 0.7, 2),
    _number("top_p", 0.95, 1),
)
_STOP = Parameter("stop", "any", type_text="string, or a list of up to 4", example="###")
_TOOLS = Parameter("tools", "array", items=Parameter("", "map"), example=[])
_FORMAT = Parameter("response_format", "map", example={})
_STREAM_OPTIONS = Parameter(
    "stream_options", "object", fields=(Parameter("include_usage", "boolean"),), example={}
)
_USAGE = _object(
    "usage",
    _whole("prompt_tokens", 14),
    _whole("completion_tokens", 15),
    _whole("total_tokens", 29),
)
_HEAD = (_text("id", "chatcmpl-40325405"), _whole("created", _CREATED), _text("model", "foo"))
_CHOICE = (_whole("index", 0), _text("finish_reason", "stop"))


def operations() -> tuple[Operation, ...]:
    """The endpoints, each below a service's own address."""
    return tuple(with_history(examples.exemplified(one)) for one in _told())


def find(_product: str, name: str) -> Operation | None:
    """One endpoint by its name, as it is spelled."""
    return next((one for one in operations() if one.id == name), None)


def codes() -> Mapping[str, tuple[int, str]]:
    """Code -> (HTTP status, what it means)."""
    return CODES


def _told() -> tuple[Operation, ...]:
    card = (
        _text("id", "foo"),
        _text("object", "model"),
        _whole("created", _CREATED),
        _text("owned_by", "pierhead"),
    )
    return (
        _endpoint(
            "ListModels", "GET", "/v1/models", (), (_text("object", "list"), _list("data", *card))
        ),
        _endpoint("CreateChatCompletion", "POST", "/v1/chat/completions", _CHAT, _CHAT_ANSWER),
        _endpoint("CreateCompletion", "POST", "/v1/completions", _COMPLETION, _COMPLETION_ANSWER),
        _endpoint("CreateEmbedding", "POST", "/v1/embeddings", _EMBEDDING, _EMBEDDING_ANSWER),
        _endpoint("CreateResponse", "POST", "/v1/responses", _RESPONSE, _RESPONSE_ANSWER),
        _endpoint("CreateMessage", "POST", "/v1/messages", _MESSAGE, _MESSAGE_ANSWER),
        _endpoint("Predict", "POST", "", (_INPUT,), (), document=True),
    )


def _endpoint(
    name: str,
    method: str,
    path: str,
    parameters: tuple[Parameter, ...],
    response: tuple[Parameter, ...],
    *,
    document: bool = False,
) -> Operation:
    shown = (_SERVICE, *(one for one in parameters if one.required or one.name in _USUAL))
    return Operation(
        example=examples.request_of(
            tuple(examples.with_example(one) for one in shown), writes=True
        ),
        product=PRODUCT,
        version=VERSION,
        id=name,
        style=Style.OPENAI,
        method=method,
        path=_ROOT + path,
        group="Inference" if document else "OpenAI-compatible",
        parameters=(_SERVICE, *parameters),
        response=response,
        authorization=Authorization("", "none", "*", (), "inferred"),
        document=document,
        since=VERSION,
        errors=_ERRORS,
    )


_CHAT = (
    _MODEL,
    _MESSAGES,
    _whole("max_tokens", 256, 1),
    *_SAMPLING,
    _STREAM_OPTIONS,
    _STOP,
    _SEED,
    Parameter("n", "integer", minimum=1, default=1),
    _number("presence_penalty", 0, 2),
    _number("frequency_penalty", 0, 2),
    _TOOLS,
    _FORMAT,
)
_CHAT_ANSWER = (
    *_HEAD,
    _text("object", "chat.completion"),
    _list("choices", *_CHOICE, _object("message", _text("role", "assistant"), _SAID)),
    _USAGE,
)
_COMPLETION = (
    _MODEL,
    Parameter("prompt", "any", required=True, type_text="string, or a list", example="A pier is"),
    _whole("max_tokens", 64, 1),
    *_SAMPLING,
    _STOP,
    _SEED,
)
_COMPLETION_ANSWER = (
    _text("id", "cmpl-40325405"),
    *_HEAD[1:],
    _text("object", "text_completion"),
    _list("choices", *_CHOICE, _text("text", " a structure that reaches into the water.")),
    _USAGE,
)
_EMBEDDING = (
    _MODEL,
    _texts("input", "A pier reaches into the water.", required=True),
    Parameter("encoding_format", "string", values=("float", "base64"), default="float"),
)
_EMBEDDING_ANSWER = (
    _text("object", "list"),
    _text("model", "foo"),
    _list(
        "data",
        _text("object", "embedding"),
        _whole("index", 0),
        Parameter("embedding", "array", items=Parameter("", "number"), example=[0.012, -0.034]),
    ),
    _object("usage", _whole("prompt_tokens", 7), _whole("total_tokens", 7)),
)
_RESPONSE = (
    _MODEL,
    Parameter(
        "input", "any", required=True, type_text="string, or a list", example="What is a pier head?"
    ),
    _text("instructions", "Answer in one sentence."),
    _whole("max_output_tokens", 256, 1),
    *_SAMPLING,
)
_RESPONSE_ANSWER = (
    _text("id", "resp_40325405"),
    _text("object", "response"),
    _text("status", "completed"),
    _text("model", "foo"),
    _list(
        "output",
        _text("type", "message"),
        _text("role", "assistant"),
        _list("content", _text("type", "output_text"), _text("text", _SAID.example)),
    ),
    _object("usage", _whole("input_tokens", 14), _whole("output_tokens", 15)),
)
_MESSAGE = (
    _MODEL,
    _list(
        "messages",
        Parameter("role", "string", required=True, values=("user", "assistant")),
        _CONTENT,
        required=True,
    ),
    Parameter("max_tokens", "integer", required=True, minimum=1, example=256),
    _text("system", "Answer in one sentence."),
    *_SAMPLING,
)
_MESSAGE_ANSWER = (
    _text("id", "msg_40325405"),
    _text("type", "message"),
    _text("role", "assistant"),
    _text("model", "foo"),
    _list("content", _text("type", "text"), _text("text", _SAID.example)),
    _text("stop_reason", "end_turn"),
    _object("usage", _whole("input_tokens", 14), _whole("output_tokens", 15)),
)
_INPUT = Parameter("input", "any", example={"text": "What is a pier head?"})
