"""C#: signed calls by the vendor's generic client, everything else by HttpClient."""

from dataclasses import replace

from pierhead.web.samples.calls import Call
from pierhead.web.samples.layout import Group, Part, filled, text
from pierhead.web.samples.literals import CSHARP
from pierhead.web.samples.programs import Forms, Language

_UNIT = "    "
_LANGUAGE = Language(CSHARP, _UNIT)
_QUERY = replace(CSHARP, map=("new Dictionary<string, string> { ", " }"))


def code(call: Call) -> str:
    """The program that makes a call."""
    return _LANGUAGE.code(call, _signed, Forms(_ZSTACK, _OPEN, _OPENAI))


def _signed(call: Call) -> str:
    parts: list[Part] = []
    if call.query:
        parts.append(Part(_QUERY.node(dict(call.query)), "Query = "))
    if call.body is not None:
        parts.append(Part(CSHARP.node(dict(call.body)), "Body = "))
    request = (
        Group("new OpenApiRequest { ", tuple(parts), " }") if parts else "new OpenApiRequest()"
    )
    return filled(
        _SIGNED,
        title=call.title,
        **_LANGUAGE.words(call),
        request=text(request, _UNIT, 0, len("var request = ")),
    )


_SIGNED = """// @title@: dotnet add package AlibabaCloud.OpenApiClient. Checked for syntax.
using System;
using System.Collections.Generic;
using System.Text.Json;
using AlibabaCloud.OpenApiClient;
using AlibabaCloud.OpenApiClient.Models;
using AlibabaCloud.TeaUtil.Models;

var client = new Client(new Config
{
    AccessKeyId = Environment.GetEnvironmentVariable("PIERHEAD_ACCESS_KEY_ID"),
    AccessKeySecret = Environment.GetEnvironmentVariable("PIERHEAD_ACCESS_KEY_SECRET"),
    SecurityToken = Environment.GetEnvironmentVariable("PIERHEAD_SECURITY_TOKEN"),
    RegionId = @region@,
    Endpoint = @host@,
    Protocol = @protocol@,
});
var parameters = new Params
{
    Action = @action@,
    Version = @version@,
    Protocol = @protocol@,
    Pathname = @path@,
    Method = @method@,
    AuthType = "AK",
    Style = @style@,
    ReqBodyType = @body_type@,
    BodyType = "json",
};
var request = @request@;
var answer = client.CallApi(parameters, request, new RuntimeOptions());
Console.WriteLine(JsonSerializer.Serialize(answer["body"]));
"""
_HEAD = """// @title@: nothing to install. Checked for syntax.
using System;
using System.Net.Http;
using System.Text;
"""
_SEND = """
string Send(string method, string url, string body = "", string authorization = "")
{
    using var client = new HttpClient();
    using var request = new HttpRequestMessage(new HttpMethod(method), url);
    request.Content = new StringContent(body, Encoding.UTF8, "application/json");
    if (authorization != "")
    {
        request.Headers.TryAddWithoutValidation("Authorization", authorization);
    }
    using var answer = client.Send(request);
    var content = answer.Content.ReadAsStringAsync().Result;
    if (!answer.IsSuccessStatusCode)
    {
        throw new InvalidOperationException($"{(int)answer.StatusCode}: {content}");
    }
    return content;
}
"""
_ZSTACK = (
    _HEAD
    + """using System.Security.Cryptography;
using System.Text.Json;

var server = @server@;
var password = Encoding.UTF8.GetBytes(Environment.GetEnvironmentVariable("PIERHEAD_PASSWORD"));
var account = Environment.GetEnvironmentVariable("PIERHEAD_ACCOUNT") ?? "admin";
var hash = Convert.ToHexString(SHA512.HashData(password)).ToLowerInvariant();
var wish = new { logInByAccount = new { accountName = account, password = hash } };
var login = Send("PUT", server + "/v1/accounts/login", JsonSerializer.Serialize(wish));
var inventory = JsonDocument.Parse(login).RootElement.GetProperty("inventory");
var session = inventory.GetProperty("uuid").GetString();
try
{
    Console.WriteLine(Send(@method@, server + @target@, @body@, $"OAuth {session}"));
}
finally
{
    Send("DELETE", $"{server}/v1/accounts/sessions/{session}");
}
"""
    + _SEND
)
_OPEN = (
    _HEAD
    + """
var server = @server@;
Console.WriteLine(Send(@method@, server + @target@, @body@));
"""
    + _SEND
)
_OPENAI = (
    _HEAD
    + """
var authorization = "Bearer " + Environment.GetEnvironmentVariable("PIERHEAD_TOKEN");
Console.WriteLine(Send(@method@, @url@, @body@, authorization));
"""
    + _SEND
)
