"""Scripts for /bin/sh with curl: they sign or log in each time they run, so none of them expires."""

from pierhead.core.reference import Style
from pierhead.web.samples.calls import Call
from pierhead.web.samples.layout import filled
from pierhead.web.samples.literals import shell


def code(call: Call) -> str:
    """The script of a call."""
    makers = {Style.ZSTACK: _zstack, Style.OPENAI: _openai}
    return makers.get(call.operation.style, _signed)(call)


def _signed(call: Call) -> str:
    body = call.body is not None
    return filled(
        _SIGNED,
        title=call.title,
        server=shell(call.server),
        host=shell(call.host),
        method=call.operation.method,
        path=shell(call.path),
        query=shell(call.query_text),
        body=shell(call.json),
        action=call.operation.id,
        version=call.operation.version,
        content_type='    "content-type:application/json; charset=utf-8" \\\n' if body else "",
        feed="printf '%s' \"$body\" | " if body else "",
        data=" --data-binary @-" if body else "",
        target="$server$path?$query" if call.query else "$server$path",
    )


def _zstack(call: Call) -> str:
    return filled(
        _ZSTACK if call.logs_in else _OPEN,
        title=call.title,
        server=shell(f"{call.server}/zstack"),
        method=call.operation.method,
        target=shell(call.target.removeprefix("/zstack")),
        body=f"body={shell(call.json)}\n" if call.body is not None else "",
        feed="printf '%s' \"$body\" | " if call.body is not None else "",
        data=_JSON if call.body is not None else "",
        wait="" if call.operation.synchronous else _WAIT,
    )


def _openai(call: Call) -> str:
    return filled(
        _OPENAI,
        title=call.title,
        method=call.operation.method,
        url=shell(f"{call.server}{call.target}"),
        body=f"body={shell(call.json)}\n" if call.body is not None else "",
        feed="printf '%s' \"$body\" | " if call.body is not None else "",
        data=_JSON if call.body is not None else "",
    )


_JSON = " \\\n    --header 'Content-Type: application/json' --data-binary @-"

_SIGNED = r"""#!/bin/sh
# @title@: needs curl and openssl. It signs anew each time it runs.
set -eu
: "${PIERHEAD_ACCESS_KEY_ID:?}" "${PIERHEAD_ACCESS_KEY_SECRET:?}"

server=@server@
path=@path@
query=@query@
body=@body@

sha256() { openssl dgst -sha256 -r "$@" | cut -d ' ' -f 1; }

hash=$(printf '%s' "$body" | sha256)
set -- \
@content_type@    host:@host@ \
    x-acs-action:@action@ \
    "x-acs-content-sha256:$hash" \
    "x-acs-date:$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
    ${PIERHEAD_SECURITY_TOKEN:+"x-acs-security-token:$PIERHEAD_SECURITY_TOKEN"} \
    "x-acs-signature-nonce:$(openssl rand -hex 16)" \
    x-acs-version:@version@
signed=
for header; do signed=$signed${signed:+;}${header%%:*}; done
canonical=$(printf '%s\n' "@method@" "$path" "$query" "$@" "" "$signed" "$hash")
string=$(printf 'ACS3-HMAC-SHA256\n%s' "$(printf '%s' "$canonical" | sha256)")
signature=$(printf '%s' "$string" | sha256 -hmac "$PIERHEAD_ACCESS_KEY_SECRET")
authorization="Credential=$PIERHEAD_ACCESS_KEY_ID,SignedHeaders=$signed,Signature=$signature"
for header; do
    set -- "$@" --header "$header"
    shift
done
@feed@curl --silent --show-error --fail-with-body --request @method@ "@target@" "$@" \
    --header "Authorization: ACS3-HMAC-SHA256 $authorization"@data@
echo
"""

_ZSTACK = r"""#!/bin/sh
# @title@: needs curl and openssl. It logs in, and out again at the end.
set -eu
: "${PIERHEAD_PASSWORD:?}"

server=@server@
@body@
call() { curl --silent --show-error --fail-with-body --request "$@"; }

hash=$(printf '%s' "$PIERHEAD_PASSWORD" | openssl dgst -sha512 -r | cut -d ' ' -f 1)
answer=$(
    printf '{"logInByAccount":{"accountName":"%s","password":"%s"}}' \
        "${PIERHEAD_ACCOUNT:-admin}" "$hash" |
        call PUT "$server/v1/accounts/login" \
            --header 'Content-Type: application/json' --data-binary @-
) || { printf '%s\n' "$answer" >&2; exit 1; }
session=$(printf '%s' "$answer" | sed -n 's/.*"uuid" *: *"\([0-9a-f]*\)".*/\1/p')
trap 'call DELETE "$server/v1/accounts/sessions/$session" >/dev/null' EXIT

answer=$(@feed@call @method@ "$server"@target@ \
    --header "Authorization: OAuth $session"@data@) || { printf '%s\n' "$answer"; exit 1; }
@wait@printf '%s\n' "$answer"
"""

_WAIT = r"""location=$(printf '%s' "$answer" | sed -n 's/.*"location" *: *"\([^"]*\)".*/\1/p')
while [ -n "$location" ]; do  # work that goes on: {} until it is done
    sleep 1
    answer=$(call GET "$location" --header "Authorization: OAuth $session") ||
        { printf '%s\n' "$answer"; exit 1; }
    [ "$answer" = '{}' ] || location=
done
"""

_OPEN = r"""#!/bin/sh
# @title@: needs curl, and no login.
set -eu

server=@server@
@body@@feed@curl --silent --show-error --fail-with-body --request @method@ "$server"@target@@data@
echo
"""

_OPENAI = r"""#!/bin/sh
# @title@: needs curl.
set -eu
: "${PIERHEAD_TOKEN:?}"

@body@@feed@curl --silent --show-error --fail-with-body --no-buffer --request @method@ @url@ \
    --header "Authorization: Bearer $PIERHEAD_TOKEN"@data@
echo
"""
