"""TypeScript: signed calls by the vendor's generic client, ZStack by fetch, models by `openai`."""

from pierhead.core.reference import Style
from pierhead.web.samples import python
from pierhead.web.samples.calls import Call
from pierhead.web.samples.layout import Part, filled, text
from pierhead.web.samples.literals import TYPESCRIPT

SIGNED = "@alicloud/openapi-client@0.4.15 @alicloud/tea-util@1.4.9"
OPENAI = "openai@6.49.0"
_UNIT = "  "


def code(call: Call) -> str:
    """The program that makes a call."""
    makers = {Style.ZSTACK: _zstack, Style.OPENAI: _openai}
    return makers.get(call.operation.style, _signed)(call)


def _signed(call: Call) -> str:
    parts = [Part(TYPESCRIPT.node(dict(call.query)), "query: ")] if call.query else []
    if call.body is not None:
        parts.append(Part(TYPESCRIPT.node(dict(call.body)), "body: "))
    request = TYPESCRIPT.grouped(("new $OpenApi.OpenApiRequest({", "})"), tuple(parts))
    rpc = call.operation.style is Style.RPC
    return filled(
        _SIGNED,
        title=call.title,
        package=SIGNED,
        region=_quoted(call.origin.region),
        host=_quoted(call.host),
        protocol=call.protocol,
        action=call.operation.id,
        version=call.operation.version,
        path=_quoted(call.path),
        method=call.operation.method,
        style="RPC" if rpc else "ROA",
        body_type="formData" if rpc else "json",
        request=text(request, _UNIT, 1, len("const request = ")),
    )


def _zstack(call: Call) -> str:
    arguments = [Part(TYPESCRIPT.node(call.operation.method))]
    arguments.append(Part(TYPESCRIPT.node(call.target.removeprefix("/zstack"))))
    if call.logs_in:
        arguments.append(Part("session"))
    elif call.body is not None:
        arguments.append(Part('""'))
    if call.body is not None:
        arguments.append(Part(TYPESCRIPT.node(dict(call.body))))
    made = TYPESCRIPT.called(("call(", ")"), tuple(arguments))
    depth = 2 if call.logs_in else 1
    return filled(
        _ZSTACK if call.logs_in else _OPEN,
        title=call.title,
        server=_quoted(f"{call.server}/zstack"),
        call=text(made, _UNIT, depth, len("let answer = await ")),
        keyword="const" if call.operation.synchronous else "let",
        wait="" if call.operation.synchronous else _WAIT,
    )


def _openai(call: Call) -> str:
    method = python.METHODS.get(call.below_service_url)
    stream = call.body is not None and call.body.get("stream") is True
    parts = [] if call.body is None else [Part(TYPESCRIPT.node(dict(call.body)))]
    if method is None:
        parts = [
            Part(TYPESCRIPT.node(call.below_service_url)),
            *(Part(TYPESCRIPT.grouped(("{", "}"), (Part(one.node, "body: "),))) for one in parts),
        ]
        method = call.operation.method.lower()
    made = TYPESCRIPT.called((f"client.{method}(", ")"), tuple(parts))
    return filled(
        _OPENAI,
        title=call.title,
        package=OPENAI,
        url=_quoted(call.service_url),
        call=text(made, _UNIT, 1, len("const answer = await ")),
        shown=_STREAM if stream else "  console.log(JSON.stringify(answer, null, 2));\n",
    )


def _quoted(value: str) -> str:
    return text(TYPESCRIPT.node(value), _UNIT)


_END = """
main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
"""
_SIGNED = (
    """// @title@: npm install @package@
import OpenApi, * as $OpenApi from "@alicloud/openapi-client";
import * as $Util from "@alicloud/tea-util";

async function main(): Promise<void> {
  const client = new OpenApi(new $OpenApi.Config({
    accessKeyId: process.env.PIERHEAD_ACCESS_KEY_ID,
    accessKeySecret: process.env.PIERHEAD_ACCESS_KEY_SECRET,
    securityToken: process.env.PIERHEAD_SECURITY_TOKEN,
    regionId: @region@,
    endpoint: @host@,
    protocol: "@protocol@",
  }));
  const params = new $OpenApi.Params({
    action: "@action@",
    version: "@version@",
    protocol: "@protocol@",
    pathname: @path@,
    method: "@method@",
    authType: "AK",
    style: "@style@",
    reqBodyType: "@body_type@",
    bodyType: "json",
  });
  const request = @request@;
  const answer = await client.callApi(params, request, new $Util.RuntimeOptions({}));
  console.log(JSON.stringify(answer.body, null, 2));
}
"""
    + _END
)
_CALL = """
const server = @server@;

async function call(method: string, path: string, session = "", body?: object) {
  const answer = await fetch(path.startsWith("http") ? path : server + path, {
    method,
    headers: {
      "Content-Type": "application/json",
      ...(session && { Authorization: `OAuth ${session}` }),
    },
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
  return { status: answer.status, body: (await answer.json()) as any };
}
"""
_ZSTACK = (
    """// @title@: nothing to install.
import { createHash } from "node:crypto";
"""
    + _CALL
    + """
async function main(): Promise<void> {
  const password = process.env.PIERHEAD_PASSWORD ?? "";
  const account = {
    accountName: process.env.PIERHEAD_ACCOUNT ?? "admin",
    password: createHash("sha512").update(password).digest("hex"),
  };
  const login = await call("PUT", "/v1/accounts/login", "", { logInByAccount: account });
  const session = login.body.inventory.uuid;
  try {
    @keyword@ answer = await @call@;
@wait@    console.log(JSON.stringify(answer.body, null, 2));
  } finally {
    await call("DELETE", `/v1/accounts/sessions/${session}`);
  }
}
"""
    + _END
)
_WAIT = """    const job = answer.body.location;
    while (answer.status === 202) { // work that goes on
      await new Promise((resolve) => setTimeout(resolve, 1000));
      answer = await call("GET", job);
    }
"""
_OPEN = (
    """// @title@: nothing to install, no login.
"""
    + _CALL.lstrip()
    + """
async function main(): Promise<void> {
  const answer = await @call@;
  console.log(JSON.stringify(answer.body, null, 2));
}
"""
    + _END
)
_OPENAI = (
    """// @title@: npm install @package@
import OpenAI from "openai";

async function main(): Promise<void> {
  const client = new OpenAI({
    baseURL: @url@,
    apiKey: process.env.PIERHEAD_TOKEN,
  });
  const answer = await @call@;
@shown@}
"""
    + _END
)
_STREAM = """  for await (const chunk of answer) {
    console.log(JSON.stringify(chunk));
  }
"""
