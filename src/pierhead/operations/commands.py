"""What a replica of a registered template executes: its own command, else its framework's launcher. Pure."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pierhead.core.registry import RegisteredTemplate
from pierhead.core.templates import Probe

#: What only a shell understands where it stands unquoted; `$` and backtick also in double quotes.
_ACTIVE = frozenset("|&;<>()$`*?~\n")
_ACTIVE_IN_QUOTES = frozenset("$`")
#: First words that no program answers to.
_SHELL_WORDS = frozenset(
    {".", "cd", "exec", "export", "for", "if", "set", "source", "ulimit", "umask", "while"}
)
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_ANY_ANSWER = Probe()


@dataclass(frozen=True, slots=True)
class Command:
    """How an engine is started; neither argv nor script = there is no command."""

    engine: str = "custom"
    argv: tuple[str, ...] = ()
    script: str = ""  #: a text for a shell
    readiness: Probe = _ANY_ANSWER  #: unless the template says how to ask


@dataclass(frozen=True, slots=True)
class _Launcher:
    argv: tuple[str, ...]
    health: str
    engine: str = "custom"


_ADDRESS = ("--host", "{host}", "--port", "{port}")
_BENTO = _Launcher(("bentoml", "serve", ".", *_ADDRESS), "/readyz")
_TRANSFORMERS = _Launcher(("transformers", "serve", "{model_dir}", *_ADDRESS), "/health")
_BY_FRAMEWORK: Mapping[str, _Launcher] = {
    "vLLM": _Launcher(
        ("vllm", "serve", "{model_dir}", *_ADDRESS, "--served-model-name", "{service}"), "/health"
    ),
    "llama.cpp": _Launcher((), "/health", "llama_cpp"),
    "Transformers": _TRANSFORMERS,
    "sentence_transformers": _Launcher(
        (
            *("infinity_emb", "v2", "--model-id", "{model_dir}", *_ADDRESS),
            *("--served-model-name", "{service}"),
        ),
        "/health",
    ),
    "Ollama": _Launcher(
        ("env", "OLLAMA_HOST={host}:{port}", "OLLAMA_MODELS={model_dir}", "ollama", "serve"), "/"
    ),
    "BentoML": _BENTO,
}
_BY_SOURCE: Mapping[str, _Launcher] = {"Bentoml": _BENTO, "HuggingFace": _TRANSFORMERS}


def command(template: RegisteredTemplate, service: str) -> Command:
    """How replicas of `template` are started under the service name `service`."""
    launcher = _BY_FRAMEWORK.get(template.framework)
    own = _own(template)
    if own is not None:
        # A program of one's own may know no health page: below 500 is enough of an answer.
        path = launcher.health if launcher else "/"
        return Command(argv=own[0], script=own[1], readiness=Probe(kind="auto", path=path))
    launcher = launcher or _BY_SOURCE.get(template.source)
    if launcher is None:
        return Command()
    if launcher.engine != "custom":
        return Command(launcher.engine, readiness=Probe(kind="completion", path="/v1/completions"))
    argv = tuple(argument.replace("{service}", service) for argument in launcher.argv)
    return Command(argv=argv, readiness=Probe(kind="http-any", path=launcher.health))


def is_own(template: RegisteredTemplate) -> bool:
    """Does the template say itself what is executed? Else its framework or source does."""
    return _own(template) is not None


def flags(parameters: Mapping[str, str]) -> tuple[str, ...]:
    """`{"max-len": "8", "-q": ""}` -> `--max-len 8 -q`."""
    found: list[str] = []
    for key, value in parameters.items():
        found.append(key if key.startswith("-") else f"--{key}")
        if value:
            found.append(value)
    return tuple(found)


def split(text: str) -> tuple[tuple[str, ...], str]:
    """A command line as (argv, ""), or as ((), text) when only a shell can make sense of it."""
    line = text.strip()
    try:
        words = tuple(shlex.split(line))
    except ValueError:
        return (), text
    if not words:
        return (), ""
    only_shell = words[0] in _SHELL_WORDS or _ASSIGNMENT.match(words[0]) or _is_active(line)
    return ((), text) if only_shell else (words, "")


def _own(template: RegisteredTemplate) -> tuple[tuple[str, ...], str] | None:
    """The template's own command, as `split` gives it; None when it has none."""
    if template.start_command.strip():
        return split(template.start_command)
    entry, arguments = _listed(template.container_command), _listed(template.container_args)
    texts = [template.container_command or "", template.container_args or ""]
    if not "".join(texts).strip():
        return None
    if entry is not None and arguments is not None:
        return (*entry, *arguments), ""
    joined = [
        text if words is None else shlex.join(words)
        for text, words in zip(texts, (entry, arguments), strict=True)
    ]
    return (), " ".join(text for text in joined if text)


def _listed(text: str | None) -> tuple[str, ...] | None:
    """Words of an entry point or its arguments: a JSON list of texts, else split like a shell does.

    None when only a shell can make sense of the text.
    """
    bare = (text or "").strip()
    if not bare:
        return ()
    if bare.startswith("["):
        try:
            found: Any = json.loads(bare)
        except ValueError:
            found = None
        if isinstance(found, list):
            return tuple(map(_word, cast("Sequence[Any]", found)))
    argv, script = split(bare)
    return None if script else argv


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _is_active(line: str) -> bool:
    """Does it hold something, outside quotes, that a shell would act on?"""
    quote = ""
    previous = " "
    letters = iter(line)
    for letter in letters:
        if letter == "\\" and quote != "'":
            next(letters, "")
        elif quote:
            if letter == quote:
                quote = ""
            elif quote == '"' and letter in _ACTIVE_IN_QUOTES:
                return True
        elif letter in "\"'":
            quote = letter
        elif letter in _ACTIVE or (letter == "#" and previous.isspace()):
            return True
        previous = letter
    return False
