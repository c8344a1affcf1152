"""Python: signed calls by the vendor's clients, ZStack by the standard library, models by `openai`."""

from pierhead.core.reference import Style
from pierhead.web.samples import python_signed
from pierhead.web.samples.calls import Call
from pierhead.web.samples.layout import Part, filled, text
from pierhead.web.samples.literals import PYTHON

OPENAI = "openai==3.54.0"
_UNIT = "    "
#: Path below /v1 -> method of the client.
METHODS = {
    "/chat/completions": "chat.completions.create",
    "/completions": "completions.create",
    "/embeddings": "embeddings.create",
    "/responses": "responses.create",
    "/models": "models.list",
}


def code(call: Call, *, typed: bool) -> str:
    """The program that makes a call.

    typed: by the typed client, if there is one that knows the call.
    """
    if call.operation.style is Style.ZSTACK:
        return _zstack(call)
    if call.operation.style is Style.OPENAI:
        return _openai(call)
    if typed and python_signed.typed_knows(call):
        return python_signed.typed(call)
    return python_signed.generic(call)


def _zstack(call: Call) -> str:
    arguments = [Part(PYTHON.node(call.operation.method)), Part(PYTHON.node(_below(call)))]
    if call.body is not None:
        arguments.append(Part(PYTHON.node(dict(call.body))))
    if call.logs_in:
        arguments.append(Part('f"OAuth {session}"', "Authorization="))
    made = PYTHON.grouped(("call(", ")"), tuple(arguments))
    return filled(
        _ZSTACK if call.logs_in else _OPEN,
        title=call.title,
        server=_quoted(f"{call.server}/zstack"),
        call=text(made, _UNIT, int(call.logs_in), len("answer = ")),
        status="_" if call.operation.synchronous else "status",
        time="" if call.operation.synchronous else "import time\n",
        wait="" if call.operation.synchronous else _WAIT,
    )


def _below(call: Call) -> str:
    return call.target.removeprefix("/zstack")


def _openai(call: Call) -> str:
    method = METHODS.get(call.below_service_url)
    stream = call.body is not None and call.body.get("stream") is True
    fields = dict(call.body or {})
    if method is None:
        parts = [Part(PYTHON.node(call.below_service_url)), Part("object", "cast_to=")]
        parts += [Part(PYTHON.node(fields), "body=")] if call.body is not None else []
        made = PYTHON.grouped((f"client.{call.operation.method.lower()}(", ")"), tuple(parts))
    else:
        parts = [Part(PYTHON.node(value), f"{name}=") for name, value in fields.items()]
        made = PYTHON.grouped((f"client.{method}(", ")"), tuple(parts))
    shown = _SHOWN["any" if method is None else "stream" if stream else "one"]
    return filled(
        _OPENAI,
        title=call.title,
        package=OPENAI,
        json="import json\n" if method is None else "",
        url=_quoted(call.service_url),
        call=text(made, _UNIT, 0, len("answer = ")),
        shown=shown,
    )


def _quoted(value: str) -> str:
    return text(PYTHON.node(value), _UNIT)


_SHOWN = {
    "any": "print(json.dumps(answer, indent=2, ensure_ascii=False))",
    "one": "print(answer.model_dump_json(indent=2))",
    "stream": "for chunk in answer:\n    print(chunk.model_dump_json())",
}
_OPENAI = '''"""@title@: pip install @package@"""

@json@import os

from openai import OpenAI

client = OpenAI(
    base_url=@url@,
    api_key=os.environ["PIERHEAD_TOKEN"],
)
answer = @call@
@shown@
'''
_CALL = '''
SERVER = @server@


def call(method, path, body=None, **headers):
    """The answer's status and JSON."""
    data = None if body is None else json.dumps(body).encode()
    headers["Content-Type"] = "application/json"
    url = path if path.startswith("http") else SERVER + path
    request = Request(url, data=data, headers=headers, method=method)
    try:
        with urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        raise RuntimeError(f"{error.code}: {error.read().decode()}") from error

'''
_ZSTACK = (
    '''"""@title@: nothing to install."""

import hashlib
import json
import os
@time@from urllib.error import HTTPError
from urllib.request import Request, urlopen
'''
    + _CALL
    + """
password = hashlib.sha512(os.environ["PIERHEAD_PASSWORD"].encode()).hexdigest()
account = {"accountName": os.environ.get("PIERHEAD_ACCOUNT", "admin"), "password": password}
_, login = call("PUT", "/v1/accounts/login", {"logInByAccount": account})
session = login["inventory"]["uuid"]
try:
    @status@, answer = @call@
@wait@    print(json.dumps(answer, indent=2, ensure_ascii=False))
finally:
    call("DELETE", f"/v1/accounts/sessions/{session}")
"""
)
_WAIT = """    job = answer.get("location")
    while status == 202:  # work that goes on
        time.sleep(1)
        status, answer = call("GET", job)
"""
_OPEN = (
    '''"""@title@: nothing to install, no login."""

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen
'''
    + _CALL
    + """
_, answer = @call@
print(json.dumps(answer, indent=2, ensure_ascii=False))
"""
)
