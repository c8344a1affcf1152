"""The page about samples: how to ask for them, and one call in every language as it is generated."""

from collections.abc import Iterator

from pierhead.bootstrap.samples import find
from pierhead.web.samples.calls import Origin
from pierhead.web.samples.making import LANGUAGES, made

_ORIGIN = Origin("http://127.0.0.1:8080", "http://127.0.0.1:8081", "local")
_VALUES = {
    "ServiceName": "first",
    "AppType": "LLM",
    "ServiceSpec": "smollm2_135m_q4",
    "Replicas": 1,
}
#: Language -> (title, word of the fence).
_SHOWN = {
    "python": ("Python", "python"),
    "typescript": ("TypeScript", "typescript"),
    "java": ("Java", "java"),
    "go": ("Go", "go"),
    "php": ("PHP", "php"),
    "csharp": ("C#", "csharp"),
    "curl": ("curl", "sh"),
}


def page() -> str:
    """The page."""
    return "\n".join([_HEAD, *_samples()])


def _samples() -> Iterator[str]:
    operation = find("eas", "CreateAppService")
    for language in LANGUAGES:
        title, fence = _SHOWN[language]
        code = made(operation, _VALUES, _ORIGIN, language).code.rstrip()
        yield f"### {title}\n\n```{fence}\n{code}\n```\n"


_HEAD = """# Use code samples

Pierhead writes the code of any call of its APIs: PAI-EAS, ZStack AIOS, RAM, STS, its own operations, and the
OpenAI-compatible endpoints of a service. The API explorer of the console shows it beside the form;
`pierhead sample` writes it without a server, a key or a network.

```console
$ pierhead sample --list
$ pierhead sample CreateAppService --language curl
$ pierhead sample CreateAppService --param ServiceName=first --param AppType=LLM --param ServiceSpec=smollm2_135m_q4 --param Replicas=1
$ pierhead sample AddModel --product zstack --params model.json --language typescript
$ pierhead sample CreateAppService --generic
```

Without parameters a sample shows the documented example. `--params` takes a JSON file with all of them by
name, `--param` one; lists and objects are JSON. The endpoint is that of the platform in `--data-dir` if one was
started there, or `--endpoint`.

## Credentials

No sample holds a secret; each takes what it needs from its environment.

| API | Variables |
|---|---|
| EAS, RAM, STS, our own | `PIERHEAD_ACCESS_KEY_ID`, `PIERHEAD_ACCESS_KEY_SECRET`; with temporary keys `PIERHEAD_SECURITY_TOKEN` |
| ZStack | `PIERHEAD_PASSWORD`, and `PIERHEAD_ACCOUNT` if it is not `admin` |
| a service, through the gateway | `PIERHEAD_TOKEN`: one of the service's tokens |

Passwords, tokens and keys among the parameters are shown by their names in angle brackets. The scripts for
curl sign anew each time they run, so they do not expire; while `openssl` computes the signature, the secret is
among its arguments, where other users of the same machine may see it.

## Languages

| Language | Signed calls | ZStack | OpenAI-compatible | Checked by |
|---|---|---|---|---|
| `python` | the vendor's typed client; its generic one with `--generic` and for what the typed one does not know | standard library | `openai` | running every sample |
| `typescript` | the vendor's generic client | `fetch` | `openai` | running every sample |
| `curl` | signs with `openssl` | logs in, and out again | token | running every sample |
| `java`, `go`, `php`, `csharp` | the vendor's generic client | plain HTTP | plain HTTP | a parser: they are not run here |

## Over HTTP

`POST /api/product/makeCode` answers like the vendor's API explorer. It takes no credentials and gives none.

```console
$ curl -s http://127.0.0.1:8080/api/product/makeCode -d '{"product": "eas", "apiName": "CreateAppService", "language": "python", "params": "{\\"ServiceName\\": \\"first\\"}"}'
```

`callType` is `typed` or `generic`, `params` is a JSON text; without `language` there is one sample of each,
without `params` the documented example. The answer is `{"code": 0, "message": "", "data": {"demoSdk":
{"python": "..."}, "callType": {"python": "typed"}}}`, or `code` 1 with a message.

## One call in every language
"""
