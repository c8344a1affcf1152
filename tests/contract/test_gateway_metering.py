"""Counting by itself: what requests ask for, what answers tell, and that no byte of an answer changes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.gateway import metering
from pierhead.gateway.asking import Asked
from pierhead.gateway.headers import told_by
from pierhead.gateway.metering import Count, Counted

CHAT = b"/v1/chat/completions"
STREAM = [(b"Content-Type", b"text/event-stream; charset=utf-8")]
JSON = [(b"content-type", b"application/json")]


def counting(asked: Asked, status: int, raw: list[tuple[bytes, bytes]], *, told: bool) -> Count:
    """What counts an answer with these headers."""
    found = told_by(raw)
    return metering.counting(asked, status, found.kind, coded=found.coded, told=told)


def asked(path: bytes = CHAT, **fields: Any) -> Asked:
    return Asked("POST", path, json.dumps(fields).encode())


def event(document: Any, end: str = "\n\n") -> bytes:
    text = document if isinstance(document, str) else json.dumps(document)
    return f"data: {text}{end}".encode()


def word(text: str = "word") -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}}]}


def usage(prompt: int, completion: int) -> dict[str, int]:
    total = prompt + completion
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}


def extra(prompt: int = 7, completion: int = 3) -> dict[str, Any]:
    return {"choices": [], "usage": usage(prompt, completion)}


def run(count: Count, parts: list[bytes], *, whole: bool = True) -> bytes:
    passed = [count.passed(part, last=False) for part in parts]
    return b"".join([*passed, count.passed(b"", last=True)] if whole else passed)


def of(document: Any, request: Asked | None = None) -> Counted:
    body = json.dumps(document).encode()
    count = counting(request or asked(), 200, JSON, told=False)
    assert run(count, [body[:5], body[5:]]) == body
    return count.counted


# ---- what a request asks for -----------------------------------------------------------------------

TRUE = '"include_usage":true'


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ('{"stream":true}', f'{{"stream":true,"stream_options":{{{TRUE}}}}}'),
        (
            '{ "stream" : true , "x":1.10 }',
            f'{{ "stream" : true , "x":1.10,"stream_options":{{{TRUE}}} }}',
        ),
        ('{"stream":true,"stream_options":null}', f'{{"stream":true,"stream_options":{{{TRUE}}}}}'),
        ('{"stream_options":{},"stream":true}', f'{{"stream_options":{{{TRUE}}},"stream":true}}'),
        (
            '{"stream_options":{"a":1},"stream":true}',
            f'{{"stream_options":{{"a":1,{TRUE}}},"stream":true}}',
        ),
        (
            '{"stream_options":{"include_usage": false},"stream":true}',
            '{"stream_options":{"include_usage": true},"stream":true}',
        ),
        ('{"ä":"😀","stream":true}', f'{{"ä":"😀","stream":true,"stream_options":{{{TRUE}}}}}'),
        ('{"stream":true,"stream_options":{"include_usage":true}}', None),
        ('{"stream":true,"stream_options":7}', None),
        ('{"stream":false}', None),
        ('{"stream":1}', None),
        ('{"x":{"stream":true}}', None),
        ('{"stream":true', None),
        ('{"stream":true}x', None),
        ("[]", None),
        ("", None),
    ],
)
def test_the_usage_of_a_stream_is_asked_for_and_nothing_else_changed(
    body: str, sent: str | None
) -> None:
    told = Asked("POST", CHAT, body.encode()).telling()
    assert (None if told is None else told.decode()) == sent
    assert Asked("POST", b"/v1/embeddings", body.encode()).telling() is None
    assert Asked("GET", CHAT, body.encode()).telling() is None


texts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.text(), texts, max_size=4), st.booleans())
def test_an_engine_reads_the_same_request_but_for_that_wish(
    rest: dict[str, Any], ascii_only: bool
) -> None:
    fields = {**rest, "stream": True}
    fields.pop("stream_options", None)
    body = json.dumps(fields, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    told = Asked("POST", CHAT, body).telling()
    assert told is not None
    assert json.loads(told) == {**fields, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    ("path", "fields", "more"),
    [
        (CHAT, {"max_tokens": 5}, 10 + 5),
        (CHAT, {"max_tokens": 5, "max_completion_tokens": 9}, 10 + 9),
        (CHAT, {"max_tokens": 5, "n": 3}, 10 + 15),
        (CHAT, {"max_tokens": 0}, 10 + 1),
        (CHAT, {"max_tokens": 2.0}, 10 + 2),
        (CHAT, {"max_tokens": -1}, None),
        (CHAT, {"max_tokens": 1e400}, None),
        (CHAT, {"max_tokens": "5"}, None),
        (CHAT, {"max_tokens": True}, None),
        (CHAT, {"max_tokens": 5, "n_predict": None}, None),
        (CHAT, {}, None),
        (CHAT, {"max_tokens": 5, "messages": [{"type": "image_url"}]}, None),
        (CHAT, {"max_tokens": 5, "messages": [{"type": "input_audio"}]}, None),
        (b"/v1/completions", {"max_tokens": 5, "prompt": ["a", "b", "c"]}, 3 * 15),
        (b"/v1/completions", {"max_tokens": 5, "prompt": [1, 2, 3]}, 15),
        (b"/v1/completions", {"max_tokens": 5, "prompt": [[1], [2]]}, 30),
        (b"/completion", {"n_predict": 4}, 14),
        (b"/v1/responses", {"max_output_tokens": 4}, 14),
        (b"/v1/embeddings", {"input": "x"}, 10),
        (b"/v1/embeddings", {"input": ["x", "y"]}, 20),
        (b"/anything", {"max_tokens": 5}, None),
    ],
)
def test_the_most_that_a_request_may_take(path: bytes, fields: Any, more: int | None) -> None:
    request = asked(path, **fields)
    assert request.bound(10) == (None if more is None else len(request.body) + more)


def test_a_bound_is_not_to_be_fooled() -> None:
    twice = Asked("POST", CHAT, b'{"max_tokens":900,"max_tokens":1}')
    assert twice.bound(0) == len(twice.body) + 900, "engines may take the first or the last"
    hidden = Asked("POST", CHAT, rb'{"max_tokens":1,"messages":[{"type":"\u0069mage_url"}]}')
    assert hidden.bound(0) is None
    wide = Asked("POST", CHAT, '{"max_tokens":1,"prompt":"組"}'.encode("utf-16-le"))
    assert wide.bound(0) is None, "its bytes are fewer than those of its text"
    assert Asked("GET", CHAT, b"").bound(0) is None


# ---- what an answer tells --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "counted"),
    [
        ({"choices": [{}], "usage": usage(7, 3)}, Counted(7, 3)),
        ({"data": [], "usage": {"prompt_tokens": 7, "total_tokens": 7}}, Counted(7, 0)),
        ({"results": [], "usage": {"total_tokens": 9}}, Counted(9, 0)),
        (
            {"usage": {"input_tokens": 1, "output_tokens": 3, "cache_read_input_tokens": 30}},
            Counted(31, 3),
        ),
        ({"tokens_evaluated": 7, "tokens_predicted": 3}, Counted(7, 3)),
        ([{"tokens_evaluated": 7, "tokens_predicted": 3}] * 2, Counted(14, 6)),
        ({"error": {"message": "no"}}, Counted()),
        ({"usage": None}, Counted()),
        ({"usage": {"prompt_tokens": -4, "completion_tokens": True}}, Counted()),
        ({"usage": {"prompt_tokens": 1e99, "completion_tokens": 3}}, Counted(0, 3)),
        ({"choices": [{"message": {"content": '"usage":{"prompt_tokens":9}'}}]}, Counted()),
        ("text", Counted()),
    ],
)
def test_a_whole_answer_tells_its_usage(document: Any, counted: Counted) -> None:
    assert of(document) == counted


def test_of_several_answers_llama_cpp_tells_the_first_alone() -> None:
    document = {"choices": [{}, {}], "usage": usage(5, 3), "timings": {}}
    two = asked(b"/v1/completions", prompt=["a", "b"], max_tokens=3)
    assert of(document, two) == Counted(10, 6, guessed=True)
    assert of({**document, "timings": None} | {"choices": [{}]}) == Counted(5, 3)


@pytest.mark.parametrize("at_the_end", [True, False])
def test_a_huge_answer_is_not_kept(at_the_end: bool) -> None:
    """Its usage is at one of its ends, and what only looks like one is in a string."""
    data = {"data": ['\\"usage\\":{"prompt_tokens":5}' * 40_000]}
    told = {"usage": {"prompt_tokens": 70_000, "total_tokens": 70_000}}
    document = {**data, **told} if at_the_end else {**told, **data}
    body = json.dumps(document).encode()
    count = counting(asked(b"/v1/embeddings"), 200, JSON, told=False)
    parts = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
    assert run(count, parts) == body
    assert count.counted == Counted(70_000, 0)


def test_what_cannot_be_read_is_guessed_by_its_size() -> None:
    coded = [*JSON, (b"Content-Encoding", b"gzip")]
    for status, guessed in ((200, True), (400, False)):
        count = counting(asked(), status, coded, told=False)
        assert run(count, [b"x" * 400]) == b"x" * 400
        assert (count.counted.guessed, count.counted.completion) == (guessed, 100 * guessed)
    assert counting(asked(b"/echo"), 200, coded, told=False).counted == Counted()


# ---- streams ----------------------------------------------------------------------------------------


GUESS = asked(stream=True).guess


def stream(*, told: bool = False, request: Asked | None = None) -> Count:
    return counting(request or asked(stream=True), 200, STREAM, told=told)


words = st.lists(st.text(max_size=9), max_size=6)


@given(words, st.sampled_from(["\n\n", "\r\n\r\n"]), st.integers(1, 90), st.booleans())
def test_the_event_we_asked_for_is_taken_out_however_the_stream_is_cut(
    said: list[str], end: str, size: int, told: bool
) -> None:
    before = b": a comment\n\n" + b"".join(event(word(text), end) for text in said)
    after = event("[DONE]", end)
    all_of_it = before + event(extra(), end) + after
    parts = [all_of_it[at : at + size] for at in range(0, len(all_of_it), size)]
    count = stream(told=told)
    passed = [count.passed(part, last=False) for part in parts]
    if not told:
        assert passed == parts, "nothing is held back"
    rest = count.passed(b"", last=True)
    assert b"".join(passed) + rest == (before + after if told else all_of_it)
    assert count.counted == Counted(7, 3)


@pytest.mark.parametrize(
    "tail",
    [
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage(7, 3)},
        {"choices": [], "usage": None},
        {"choices": []},
        {"error": {"message": "no"}},
    ],
)
def test_an_event_with_anything_else_in_it_stays(tail: Any) -> None:
    said = event(word()) + event(tail) + event("[DONE]")
    count = stream(told=True)
    assert run(count, [said]) == said
    expected = Counted(7, 3) if tail.get("usage") else Counted(GUESS, 2, guessed=True)
    assert count.counted == expected


def test_a_broken_stream_goes_on_to_its_last_byte() -> None:
    said = event(word()) + b'data: {"choices":[],"usage":{"prompt_'
    count = stream(told=True)
    assert run(count, [said[:30], said[30:]]) == said
    assert count.counted == Counted(GUESS, 1, guessed=True)


def test_a_huge_event_is_not_held_back_for_ever() -> None:
    count = stream(told=True)
    piece = b"x" * 40_000
    assert count.passed(b'data: {"choices":[{"text":"', last=False) == b""
    assert count.passed(piece, last=False) == b""
    assert len(count.passed(piece, last=False)) > 80_000
    assert count.passed(b'"}]}\n\n' + event(extra()), last=False) == b'"}]}\n\n'
    assert count.counted == Counted(7, 3)


def test_a_client_that_leaves_early_is_counted_by_events() -> None:
    count = stream()
    run(count, [event(word())] * 5, whole=False)
    assert count.counted == Counted(GUESS, 5, guessed=True)
    run(count, [event(extra(7, 6))], whole=False)
    assert count.counted == Counted(7, 6), "the usage came before it left"
    run(count, [event("[DONE]")], whole=False)
    assert count.ended


def test_llama_cpp_tells_the_usage_of_each_answer() -> None:
    each = {"choices": [], "usage": usage(31, 3), "timings": {}}
    request = asked(stream=True, n=2)
    count = stream(request=request)
    run(count, [event(word()), event(each)], whole=False)
    assert count.counted == Counted(15, 3, guessed=True)
    run(count, [event(word()), event({**each, "usage": usage(31, 4)}), event("[DONE]")])
    assert count.counted == Counted(31, 7), "the prompt is read once"


def test_llama_cpps_own_protocol() -> None:
    def native(written: int, *, stop: bool) -> bytes:
        document = {
            "content": "x",
            "stop": stop,
            "tokens_predicted": written,
            "tokens_evaluated": 7,
        }
        return event(json.dumps(document, separators=(",", ":")))

    count = stream(request=asked(b"/completion", stream=True))
    run(count, [native(1, stop=False), native(2, stop=False)], whole=False)
    assert count.counted == Counted(7, 2, guessed=True)
    run(count, [native(3, stop=True)])
    assert count.counted == Counted(7, 3)


def test_the_other_protocols() -> None:
    count = stream(request=asked(b"/v1/messages", stream=True))
    start = {
        "type": "message_start",
        "message": {"usage": {"input_tokens": 31, "output_tokens": 0}},
    }
    run(count, [b"event: message_start\n" + event(start), event({"type": "x"})], whole=False)
    assert count.counted == Counted(31, 2, guessed=True)
    run(count, [event({"type": "message_delta", "usage": {"output_tokens": 3}})])
    assert count.counted == Counted(31, 3)
    count = stream(request=asked(b"/v1/responses", stream=True))
    done = {"response": {"usage": {"input_tokens": 5, "output_tokens": 2}}}
    run(count, [event({"type": "response.completed", **done})])
    assert count.counted == Counted(5, 2)


def test_a_stream_that_is_no_model_has_no_tokens() -> None:
    count = stream(request=asked(b"/clock"))
    run(count, [event({"time": 1})] * 9)
    assert count.counted == Counted()
