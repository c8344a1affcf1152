"""Go: signed calls by the vendor's generic client, everything else by net/http. Laid out as gofmt does."""

from collections.abc import Iterable, Mapping

from pierhead.web.samples.calls import Call
from pierhead.web.samples.layout import Group, Part, filled, text
from pierhead.web.samples.literals import GO
from pierhead.web.samples.programs import Forms, Language

_UNIT = "\t"
_LANGUAGE = Language(GO, _UNIT)
#: Fields of the client's structs, and which word of the call each is, or the expression.
_CONFIG = (
    ("AccessKeyId", 'os.Getenv("PIERHEAD_ACCESS_KEY_ID")'),
    ("AccessKeySecret", 'os.Getenv("PIERHEAD_ACCESS_KEY_SECRET")'),
    ("SecurityToken", 'os.Getenv("PIERHEAD_SECURITY_TOKEN")'),
    ("RegionId", "region"),
    ("Endpoint", "host"),
    ("Protocol", "protocol"),
)
_PARAMS = (
    ("Action", "action"),
    ("Version", "version"),
    ("Protocol", "protocol"),
    ("Pathname", "path"),
    ("Method", "method"),
    ("AuthType", '"AK"'),
    ("Style", "style"),
    ("ReqBodyType", "body_type"),
    ("BodyType", '"json"'),
)


def code(call: Call) -> str:
    """The program that makes a call."""
    return _LANGUAGE.code(call, _signed, Forms(_ZSTACK, _OPEN, _OPENAI))


def _signed(call: Call) -> str:
    words = _LANGUAGE.words(call)
    return filled(
        _SIGNED,
        title=call.title,
        config=_struct("&openapi.Config", _CONFIG, words),
        params=_struct("&openapi.Params", _PARAMS, words),
        request=_request(call),
    )


def _struct(name: str, fields: Iterable[tuple[str, str]], words: Mapping[str, str]) -> str:
    parts = tuple(Part(f"tea.String({words.get(word, word)})", f"{key}: ") for key, word in fields)
    return text(Group(f"{name}{{", parts, "}", aligned=True, broken=True), _UNIT, 1)


def _request(call: Call) -> str:
    parts: list[Part] = []
    if call.query:
        query = tuple(
            Part(f"tea.String({_LANGUAGE.quoted(v)})", f"{_LANGUAGE.quoted(k)}: ")
            for k, v in call.query
        )
        made = Group("map[string]*string{", query, "}", aligned=True)
        parts.append(Part(made, "Query: "))
    if call.body is not None:
        parts.append(Part(GO.node(dict(call.body)), "Body: "))
    return text(Group("&openapi.OpenApiRequest{", tuple(parts), "}", aligned=True), _UNIT, 1, 12)


_SIGNED = """// @title@: go get github.com/alibabacloud-go/darabonba-openapi/v2. Checked for syntax.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	util "github.com/alibabacloud-go/tea-utils/v2/service"
	"github.com/alibabacloud-go/tea/tea"
)

func main() {
	client, err := openapi.NewClient(@config@)
	if err != nil {
		panic(err)
	}
	params := @params@
	request := @request@
	answer, err := client.CallApi(params, request, &util.RuntimeOptions{})
	if err != nil {
		panic(err)
	}
	shown, err := json.MarshalIndent(answer["body"], "", "  ")
	if err != nil {
		panic(err)
	}
	fmt.Println(string(shown))
}
"""
_SEND = """
func send(method, url, body, authorization string) []byte {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		panic(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		panic(err)
	}
	if answer.StatusCode >= 400 {
		panic(answer.Status + ": " + string(content))
	}
	return content
}
"""
_ZSTACK = (
    """// @title@: nothing to install. Checked for syntax.
package main

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

const server = @server@

func main() {
	hash := sha512.Sum512([]byte(os.Getenv("PIERHEAD_PASSWORD")))
	account := os.Getenv("PIERHEAD_ACCOUNT")
	if account == "" {
		account = "admin"
	}
	wish, err := json.Marshal(map[string]interface{}{"logInByAccount": map[string]string{
		"accountName": account,
		"password":    hex.EncodeToString(hash[:]),
	}})
	if err != nil {
		panic(err)
	}
	var login struct{ Inventory struct{ Uuid string } }
	answer := send("PUT", server+"/v1/accounts/login", string(wish), "")
	if err := json.Unmarshal(answer, &login); err != nil {
		panic(err)
	}
	session := login.Inventory.Uuid
	defer send("DELETE", server+"/v1/accounts/sessions/"+session, "", "")
	fmt.Println(string(send(@method@, server+@target@, @body@, "OAuth "+session)))
}
"""
    + _SEND
)
_PLAIN = """// @title@: nothing to install. Checked for syntax.
package main

import (
	"fmt"
	"io"
	"net/http"
"""
_OPEN = (
    _PLAIN
    + """	"strings"
)

const server = @server@

func main() {
	fmt.Println(string(send(@method@, server+@target@, @body@, "")))
}
"""
    + _SEND
)
_OPENAI = (
    _PLAIN
    + """	"os"
	"strings"
)

func main() {
	authorization := "Bearer " + os.Getenv("PIERHEAD_TOKEN")
	fmt.Println(string(send(@method@, @url@, @body@, authorization)))
}
"""
    + _SEND
)
