"""What the programs of all languages have in common for which there is no client but the generic one.

A signed call goes through the vendor's generic client; whatever else is called by what the language
brings along: below /zstack with a login, or without one, and at the gateway with a token.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pierhead.core.reference import Style
from pierhead.web.samples.calls import Call
from pierhead.web.samples.layout import filled, text
from pierhead.web.samples.literals import Spelling, json_text


@dataclass(frozen=True, slots=True)
class Forms:
    """Programs with places for a call's title, method and body, and where it goes."""

    zstack: str  #: logs in first; places `server` and `target`
    open: str  #: needs no login; the same places
    openai: str  #: place `url`


@dataclass(frozen=True, slots=True)
class Language:
    """How a language writes values, and steps of indentation."""

    spelling: Spelling
    unit: str

    def quoted(self, value: str) -> str:
        """A text as a literal."""
        return text(self.spelling.node(value), self.unit)

    def code(self, call: Call, signed: Callable[[Call], str], forms: Forms) -> str:
        """The program that makes a call; `signed` makes those of the generic client."""
        style = call.operation.style
        if style in {Style.ROA, Style.RPC}:
            return signed(call)
        common = {
            "title": call.title,
            "method": self.quoted(call.operation.method),
            "body": self.quoted("" if call.body is None else json_text(call.body)),
        }
        if style is Style.OPENAI:
            return filled(forms.openai, url=self.quoted(call.server + call.target), **common)
        server, target = f"{call.server}/zstack", call.target.removeprefix("/zstack")
        form = forms.zstack if call.logs_in else forms.open
        return filled(form, server=self.quoted(server), target=self.quoted(target), **common)

    def words(self, call: Call) -> Mapping[str, str]:
        """What the generic client has to know of a signed call besides its values, as literals."""
        rpc = call.operation.style is Style.RPC
        plain = {
            "region": call.origin.region,
            "host": call.host,
            "protocol": call.protocol,
            "action": call.operation.id,
            "version": call.operation.version,
            "path": call.path,
            "method": call.operation.method,
            "style": "RPC" if rpc else "ROA",
            "body_type": "formData" if rpc else "json",
        }
        return {name: self.quoted(value) for name, value in plain.items()}
