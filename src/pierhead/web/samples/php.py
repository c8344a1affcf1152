"""PHP: signed calls by the vendor's generic client, everything else by curl."""

from pierhead.web.samples.calls import Call
from pierhead.web.samples.layout import Group, Part, filled, text
from pierhead.web.samples.literals import PHP
from pierhead.web.samples.programs import Forms, Language

_UNIT = "    "
_LANGUAGE = Language(PHP, _UNIT)
#: Fields of the client's parameters, and which word of the call each is, or the literal.
_PARAMS = (
    ("action", "action"),
    ("version", "version"),
    ("protocol", "protocol"),
    ("pathname", "path"),
    ("method", "method"),
    ("authType", "'AK'"),
    ("style", "style"),
    ("reqBodyType", "body_type"),
    ("bodyType", "'json'"),
)


def code(call: Call) -> str:
    """The program that makes a call."""
    return _LANGUAGE.code(call, _signed, Forms(_ZSTACK, _OPEN, _OPENAI))


def _signed(call: Call) -> str:
    words = _LANGUAGE.words(call)
    params = tuple(Part(words.get(word, word), f"'{name}' => ") for name, word in _PARAMS)
    request: list[Part] = []
    if call.query:
        request.append(Part(PHP.node(dict(call.query)), "'query' => "))
    if call.body is not None:
        request.append(Part(PHP.node(dict(call.body)), "'body' => "))
    return filled(
        _SIGNED,
        title=call.title,
        region=words["region"],
        host=words["host"],
        protocol=words["protocol"],
        params=text(PHP.listed(params), _UNIT),
        request=text(
            Group("[", tuple(request), "]"), _UNIT, 0, len("$request = new OpenApiRequest();")
        ),
    )


_SIGNED = """<?php
// @title@: composer require darabonba/openapi. Checked for syntax.

require 'vendor/autoload.php';

use AlibabaCloud\\Tea\\Utils\\Utils\\RuntimeOptions;
use Darabonba\\OpenApi\\Models\\Config;
use Darabonba\\OpenApi\\Models\\OpenApiRequest;
use Darabonba\\OpenApi\\Models\\Params;
use Darabonba\\OpenApi\\OpenApiClient;

$client = new OpenApiClient(new Config([
    'accessKeyId' => getenv('PIERHEAD_ACCESS_KEY_ID'),
    'accessKeySecret' => getenv('PIERHEAD_ACCESS_KEY_SECRET'),
    'securityToken' => getenv('PIERHEAD_SECURITY_TOKEN') ?: null,
    'regionId' => @region@,
    'endpoint' => @host@,
    'protocol' => @protocol@,
]));
$params = new Params(@params@);
$request = new OpenApiRequest(@request@);
$answer = $client->callApi($params, $request, new RuntimeOptions([]));
echo json_encode($answer['body'], JSON_PRETTY_PRINT | JSON_UNESCAPED_UNICODE), PHP_EOL;
"""
_SEND = """
function send($method, $url, $body = '', $authorization = '')
{
    $headers = ['Content-Type: application/json'];
    if ($authorization !== '') {
        $headers[] = "Authorization: $authorization";
    }
    $curl = curl_init($url);
    curl_setopt_array($curl, [
        CURLOPT_CUSTOMREQUEST => $method,
        CURLOPT_POSTFIELDS => $body,
        CURLOPT_HTTPHEADER => $headers,
        CURLOPT_RETURNTRANSFER => true,
    ]);
    $answer = curl_exec($curl);
    $status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
    if ($answer === false || $status >= 400) {
        throw new RuntimeException("$status: $answer");
    }
    return $answer;
}
"""
_ZSTACK = (
    """<?php
// @title@: nothing to install. Checked for syntax.
"""
    + _SEND
    + """
$server = @server@;
$login = send('PUT', "$server/v1/accounts/login", json_encode(['logInByAccount' => [
    'accountName' => getenv('PIERHEAD_ACCOUNT') ?: 'admin',
    'password' => hash('sha512', getenv('PIERHEAD_PASSWORD')),
]]));
$session = json_decode($login, true)['inventory']['uuid'];
try {
    echo send(@method@, $server . @target@, @body@, "OAuth $session"), PHP_EOL;
} finally {
    send('DELETE', "$server/v1/accounts/sessions/$session");
}
"""
)
_OPEN = (
    """<?php
// @title@: nothing to install. Checked for syntax.
"""
    + _SEND
    + """
$server = @server@;
echo send(@method@, $server . @target@, @body@), PHP_EOL;
"""
)
_OPENAI = (
    """<?php
// @title@: nothing to install. Checked for syntax.
"""
    + _SEND
    + """
$authorization = 'Bearer ' . getenv('PIERHEAD_TOKEN');
echo send(@method@, @url@, @body@, $authorization), PHP_EOL;
"""
)
