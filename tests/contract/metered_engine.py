"""A double of an engine that counts to the token what it wrote, and clients of it that leave when they like.

Real engines tell the usage of an answer, but not what they wrote of one that nobody stayed for. This one
keeps a record of each request, and goes no further than it is told, so that what a client that left can
have had is exactly what was written.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random
from typing import Any

from contract.gateway_harness import CHUNKED_HEAD, Reader, Request, Writer, piece, plain
from pierhead.core.usage import Usage

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
EMBEDDINGS, RESPONSES, MESSAGES = "/v1/embeddings", "/v1/responses", "/v1/messages"
PATHS = (CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, MESSAGES)
STREAMING = (CHAT, COMPLETIONS, RESPONSES, MESSAGES)
DONE = b"data: [DONE]\n\n"
LAST = b": that is all\n\n"  #: a comment behind the usage: a client sees it, and nothing counts it


class Manner(Enum):
    """How a client behaves."""

    STAYS = auto()  #: to the end of the answer
    EARLY = auto()  #: leaves once the engine has the request, before the head
    MIDST = auto()  #: leaves after so many events
    LATE = auto()  #: leaves after the usage, before the end


@dataclass
class Wish:
    """One request, and what is to become of it."""

    number: int
    path: str
    manner: Manner
    words: int  #: of the prompt; a token each
    tokens: int  #: to be written, of each choice
    choices: int = 1
    stream: bool = False
    included: bool = False  #: the client asks for the usage by itself
    status: int = 200
    stop_at: int = 0  #: events after which a client leaves in the midst

    @property
    def text(self) -> str:
        """Its prompt."""
        return " ".join(["word"] * self.words)

    @property
    def body(self) -> bytes:
        """As the client sends it."""
        text = self.text
        document: dict[str, Any] = {"model": "foo", "user": str(self.number)}
        asked = {
            CHAT: {"messages": [{"role": "user", "content": text}]},
            COMPLETIONS: {"prompt": text},
            EMBEDDINGS: {"input": text},
            RESPONSES: {"input": text},
            MESSAGES: {"messages": [{"role": "user", "content": text}]},
        }[self.path]
        if self.path != EMBEDDINGS:
            document |= {"max_tokens": self.tokens, "stream": self.stream}
        if self.choices > 1:
            document["n"] = self.choices
        if self.included:
            document["stream_options"] = {"include_usage": True}
        return json.dumps(document | asked).encode()


@dataclass
class Record:
    """What the engine did for one request."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    head: bool = False
    events: int = 0  #: that were written, of whatever kind, but for the usage's and the end's
    tokens: int = 0  #: that were written
    told: bool = False  #: the usage was written
    left: bool = False  #: it saw that nobody listens any more

    def counted(self, wish: Wish) -> Usage:
        """What a gateway can know of it, which is what it has to count.

        - The engine told the usage: exactly that, however the client left.
        - It did not, and there was a head: the events that were written, marked as a guess. The prompt is
          what the engine told of it at the beginning, as Anthropic's protocol does, else guessed by its text.
        - There was no head: the prompt is guessed by its text, for the engine did work on it. What writes
          no text is not counted: nobody knows that it was begun.
        - An answer that is an error has no tokens.
        """
        if self.told:
            return Usage(1, wish.words, self.tokens)
        if wish.status != 200:
            return Usage(1)
        guess = max(1, len(wish.text) // 4) + (4 if wish.path in {CHAT, MESSAGES} else 0)
        if self.head:
            prompt = wish.words if wish.path == MESSAGES else guess
            return Usage(1, prompt, self.events, 1)
        return Usage() if wish.path == EMBEDDINGS else Usage(1, guess, 0, 1)


def wishes(count: int, rng: Random) -> list[Wish]:
    """So many requests, of all kinds mixed."""
    return [_wish(number, rng) for number in range(count)]


def _wish(number: int, rng: Random) -> Wish:
    manner = rng.choices(list(Manner), (60, 10, 20, 10))[0]
    streams = manner in {Manner.MIDST, Manner.LATE} or rng.random() < 0.5
    path = rng.choice(STREAMING if streams else PATHS)
    wish = Wish(number, path, manner, rng.randint(1, 40), rng.randint(2, 24), stream=streams)
    if path in {CHAT, COMPLETIONS}:
        wish.choices = rng.choice((1, 1, 1, 3))
        wish.included = streams and rng.random() < 0.5
    if manner is Manner.STAYS:
        wish.status = rng.choices((200, 400, 500), (94, 3, 3))[0]
    if manner is Manner.MIDST:
        wish.stop_at = rng.randint(1, wish.tokens * wish.choices - 1)
    return wish


class MeteredEngine:
    """Answers wishes by their number, and keeps a record of each."""

    def __init__(self, asked: list[Wish]) -> None:
        self.wishes = asked
        self.records = [Record() for _ in asked]

    async def play(self, request: Request, reader: Reader, writer: Writer) -> bool:
        """What the harness's `Engine` does with a request."""
        document = json.loads(request.body)
        number = int(document["user"])
        wish, record = self.wishes[number], self.records[number]
        assert not record.asked.is_set(), "asked twice"
        record.asked.set()
        if wish.manner is Manner.EARLY:
            return await self._silence(record, reader)
        if wish.status != 200:
            writer.write(plain(wish.status, b'{"error":{"message":"no","code":1}}'))
            return True
        if not wish.stream:
            record.tokens = 0 if wish.path == EMBEDDINGS else wish.tokens * wish.choices
            record.told = True
            writer.write(plain(200, json.dumps(_whole(wish, record.tokens)).encode()))
            return True
        told = document.get("stream_options", {}).get("include_usage") is True
        return await self._stream(wish, record, reader, writer, told=told)

    async def _stream(
        self, wish: Wish, record: Record, reader: Reader, writer: Writer, *, told: bool
    ) -> bool:
        writer.write(CHUNKED_HEAD)
        record.head = True
        for event, is_token in _events(wish):
            if wish.manner is Manner.MIDST and record.events == wish.stop_at:
                return await self._silence(record, reader)
            writer.write(piece(event))
            record.events += 1
            record.tokens += is_token
            await writer.drain()
            await asyncio.sleep(0)  # others' answers come in between
        last = _usage_event(wish, record.tokens)
        if told or wish.path in {RESPONSES, MESSAGES}:
            record.told = True
            writer.write(piece(last))
        if wish.manner is not Manner.STAYS:
            writer.write(piece(LAST))
            return await self._silence(record, reader)
        if wish.path in {CHAT, COMPLETIONS}:
            writer.write(piece(DONE))
        writer.write(b"0\r\n\r\n")
        return True

    async def _silence(self, record: Record, reader: Reader) -> bool:
        """Nothing more, until the connection is lost."""
        try:
            await reader.read(1)
        finally:
            record.left = True
        return False


def _whole(wish: Wish, written: int) -> dict[str, Any]:
    if wish.path == EMBEDDINGS:
        return {"data": [{}], "usage": {"prompt_tokens": wish.words, "total_tokens": wish.words}}
    if wish.path in {RESPONSES, MESSAGES}:
        return {"usage": {"input_tokens": wish.words, "output_tokens": written}}
    usage = {"prompt_tokens": wish.words, "completion_tokens": written}
    return {"choices": [{}] * wish.choices, "usage": usage}


def _events(wish: Wish) -> Iterator[tuple[bytes, bool]]:
    """All events of a stream but the last ones; which of them are tokens."""
    if wish.path == MESSAGES:
        usage = {"input_tokens": wish.words, "output_tokens": 1}
        yield _named({"type": "message_start", "message": {"usage": usage}}), False
    for number in range(wish.tokens * wish.choices):
        yield _token(wish.path, number % wish.choices), True


def _token(path: str, choice: int) -> bytes:
    if path == RESPONSES:
        return _named({"type": "response.output_text.delta", "delta": " word"})
    if path == MESSAGES:
        return _named({"type": "content_block_delta", "delta": {"text": " word"}})
    part = {"text": " word"} if path == COMPLETIONS else {"delta": {"content": " word"}}
    return f"data: {json.dumps({'choices': [{'index': choice, **part}]})}\n\n".encode()


def _usage_event(wish: Wish, written: int) -> bytes:
    if wish.path == RESPONSES:
        usage = {"input_tokens": wish.words, "output_tokens": written}
        return _named({"type": "response.completed", "response": {"usage": usage}})
    if wish.path == MESSAGES:
        return _named({"type": "message_delta", "usage": {"output_tokens": written}})
    usage = {"prompt_tokens": wish.words, "completion_tokens": written}
    return f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n".encode()


def _named(document: dict[str, Any]) -> bytes:
    return f"event: {document['type']}\ndata: {json.dumps(document)}\n\n".encode()
