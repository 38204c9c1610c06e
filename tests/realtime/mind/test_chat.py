"""A mind at an OpenAI-compatible endpoint, over real HTTP."""

import asyncio
import json
import socket
from collections.abc import Sequence
from contextlib import aclosing

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from realtime.mind import Chat, ChatConfig, Message, MindError, TextDelta, Thought, Tool, ToolCall
from tests.chat_stub import Script, Step, chat_stub

HI = (Message("system", "Be brief."), Message("user", "Hi!"))


async def replied(
    script: Script, messages: Sequence[Message] = HI, tools: Sequence[Tool] = ()
) -> tuple[list[Thought], dict[str, object]]:
    with chat_stub(script) as stub:
        chat = Chat(ChatConfig(stub.url, "stub"))
        try:
            return [thought async for thought in chat.reply(messages, tools)], stub.asked[0]
        finally:
            await chat.close()


def saying(*steps: Step) -> Script:
    return lambda _: list(steps)


async def test_text_comes_as_it_is_written_and_the_request_is_that_of_the_api() -> None:
    with chat_stub(saying("Hel", "lo ", "there.")) as stub:
        chat = Chat(ChatConfig(stub.url, "stub", key="sk-1", options={"temperature": 0.2, "max_tokens": 50}))
        thoughts = [thought async for thought in chat.reply(HI, ())]
        await chat.close()
    assert thoughts == [TextDelta("Hel"), TextDelta("lo "), TextDelta("there.")]
    assert stub.headers[0]["authorization"] == "Bearer sk-1"
    assert stub.asked == [
        {
            "model": "stub",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi!"}],
            "stream": True,
            "temperature": 0.2,
            "max_tokens": 50,
        }
    ]


async def test_the_first_words_do_not_wait_for_the_last() -> None:
    with chat_stub(saying("First. ", 30.0, "Never.")) as stub:
        chat = Chat(ChatConfig(stub.url, "stub"))
        async with aclosing(chat.reply(HI, ())) as thoughts:
            assert await anext(thoughts) == TextDelta("First. ")
        # Who stops reading stops the writing, too.
        assert await asyncio.to_thread(stub.answered.wait, 10)
        await chat.close()
    assert stub.broken_off == 1


async def test_tools_are_passed_on_and_their_calls_put_together() -> None:
    def call(index: int, **function: str) -> dict[str, object]:
        return {"tool_calls": [{"index": index, "id": f"call-{index}", "function": function}]}

    weather = Tool("weather", "Tells the weather.", {"type": "object", "properties": {"city": {}}})
    thoughts, asked = await replied(
        saying(
            "Let me see.",
            call(0, name="weather", arguments=""),
            call(0, arguments='{"city":'),
            call(1, name="time"),
            call(0, arguments=' "Bonn"}'),
        ),
        tools=[weather],
    )
    assert thoughts == [
        TextDelta("Let me see."),
        ToolCall("call-0", "weather", '{"city": "Bonn"}'),
        ToolCall("call-1", "time", "{}"),
    ]
    assert asked["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "Tells the weather.",
                "parameters": {"type": "object", "properties": {"city": {}}},
            },
        }
    ]


async def test_calls_have_ids_of_their_own_whatever_the_server_gives_them() -> None:
    earlier = (
        Message("user", "How warm is it?"),
        Message("assistant", "", (ToolCall("call_0", "weather", "{}"),)),
        Message("tool", "20 degrees", tool_call_id="call_0"),
    )
    calls = [
        {"index": n, "id": id_, "function": {"name": "f"}} for n, id_ in enumerate(["call_0", None, "a", "a"])
    ]
    thoughts, _ = await replied(saying({"tool_calls": calls}), earlier)
    ids = [thought.id for thought in thoughts if isinstance(thought, ToolCall)]
    assert len({"call_0", "", *ids}) == 6
    assert ids[2] == "a"


@pytest.mark.parametrize("arguments", ["", " ", "null", "{}"])
async def test_a_tool_without_arguments_is_called_with_none(arguments: str) -> None:
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": arguments}}
    thoughts, _ = await replied(saying({"tool_calls": [call]}))
    assert thoughts == [ToolCall("c", "f", "{}")]


@pytest.mark.parametrize("arguments", ['{"city": "Bo', "Bonn", "[]", '{"a": 1}{"a": 1}'])
async def test_a_call_that_cannot_be_understood_is_none_and_neither_are_those_beside_it(
    arguments: str,
) -> None:
    calls = [
        {"index": n, "id": f"c{n}", "function": {"name": "f", "arguments": arguments * n}} for n in (0, 1)
    ]
    with chat_stub(saying("Well. ", {"tool_calls": calls})) as stub:
        chat = Chat(ChatConfig(stub.url, "stub"))
        reply = chat.reply(HI, ())
        assert await anext(reply) == TextDelta("Well. ")
        with pytest.raises(MindError, match="called 'f' with what is no JSON object"):
            await anext(reply)
        await chat.close()


async def test_of_several_replies_the_first_is_spoken() -> None:
    def chunk(*choices: tuple[int, str]) -> bytes:
        parts = [f'{{"index": {index}, "delta": {{"content": "{text}"}}}}' for index, text in choices]
        return f'data: {{"choices": [{", ".join(parts)}]}}\n\n'.encode()

    end = b'data: {"choices": [{"finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
    said = [chunk((1, "No")), chunk((0, "Yes")), chunk((1, " way"), (0, " please")), end]
    thoughts, _ = await replied(saying(*said))
    assert thoughts == [TextDelta("Yes"), TextDelta(" please")]


def event(choices: object, **fields: object) -> bytes:
    return b"data: " + json.dumps({"choices": choices, **fields}).encode() + b"\n\n"


WELL, STOP, DONE = (
    event([{"delta": {"content": "Well."}}]),
    event([{"delta": {}, "finish_reason": "stop"}]),
    b"data: [DONE]\n\n",
)


@pytest.mark.parametrize(
    "stream",
    [
        [WELL, DONE],
        [WELL, event([{"index": None, "delta": None, "finish_reason": "stop"}])],
        [WELL, STOP, event(None, usage={"total_tokens": 3}), DONE],
        [WELL, event([{"message": {"content": "Well."}, "finish_reason": "stop"}]), DONE],
        [b"data: [DO", b"NE]\n"],
    ],
    ids=["done is the end", "null for no delta", "null for no choices", "all of it once more", "nothing"],
)
async def test_an_end_is_an_end_however_it_is_worded(stream: list[Step]) -> None:
    thoughts, _ = await replied(saying(*stream))
    assert thoughts == [TextDelta("Well.")] * (stream[0] is WELL)


async def test_content_may_come_in_parts_of_which_text_is_spoken() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "All "},
        {"type": "text", "text": "right."},
    ]
    thoughts, _ = await replied(saying({"content": parts}, " Yes."))
    assert thoughts == [TextDelta("All right."), TextDelta(" Yes.")]


@pytest.mark.parametrize("indent", [None, 2])
async def test_a_server_that_does_not_stream_is_understood_too(indent: int | None) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    message = {"role": "assistant", "content": "<think>Hm.</think>\n\nLet me look.", "tool_calls": [call]}
    body = {"object": "chat.completion", "choices": [{"index": 0, "message": message}]}
    whole = json.dumps(body, indent=indent)
    thoughts, _ = await replied(lambda _: Response(f"\n{whole}\n", media_type="application/json"))
    assert thoughts == [TextDelta("Let me look."), ToolCall("c", "look", "{}")]


@pytest.mark.parametrize(
    "pieces",
    [
        [("a", "look", '{"n":1}'), ("b", "look", '{"n":2}')],
        [("a", "look", '{"n":'), (None, None, "1}"), ("b", "look", '{"n"'), (None, None, ":2}")],
        [("a", None, None), (None, "look", '{"n":1}'), ("b", "look", '{"n":2}')],
        [("a", "look", '{"n":'), ("a", "look", "1}"), ("b", "look", '{"n":2}')],
    ],
)
@pytest.mark.parametrize("index", [{}, {"index": None}, {"index": 0}])
async def test_calls_that_do_not_say_which_they_are_stay_apart(
    pieces: list[tuple[str | None, str | None, str | None]], index: dict[str, int | None]
) -> None:
    deltas = [
        {"tool_calls": [{**index, "id": id_, "function": {"name": name, "arguments": arguments}}]}
        for id_, name, arguments in pieces
    ]
    thoughts, _ = await replied(saying(*deltas))
    assert thoughts == [ToolCall("a", "look", '{"n":1}'), ToolCall("b", "look", '{"n":2}')]


async def test_calls_with_neither_number_nor_id_stay_apart() -> None:
    calls = [{"function": {"name": name, "arguments": "{}"}} for name in ("look", "look", "listen")]
    thoughts, _ = await replied(saying({"tool_calls": calls}))
    named = [thought for thought in thoughts if isinstance(thought, ToolCall)]
    assert [call.name for call in named] == ["look", "look", "listen"]
    assert len({call.id for call in named}) == 3


async def test_an_id_that_is_another_in_each_piece_makes_no_other_call() -> None:
    pieces = [
        {"index": 0, "id": f"random-{n}", "function": {"name": None if n else "look", "arguments": arguments}}
        for n, arguments in enumerate(['{"n"', ":1", "}"])
    ]
    thoughts, _ = await replied(saying(*({"tool_calls": [piece]} for piece in pieces)))
    assert thoughts == [ToolCall("random-0", "look", '{"n":1}')]


async def test_calls_and_results_are_part_of_the_history() -> None:
    history = [
        Message("user", "How warm is it?"),
        Message("assistant", "", (ToolCall("c1", "weather", "{}"),)),
        Message("tool", "20 degrees", tool_call_id="c1"),
    ]
    _, asked = await replied(saying("Warm."), history)
    assert asked["messages"] == [
        {"role": "user", "content": "How warm is it?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "content": "20 degrees", "tool_call_id": "c1"},
    ]


async def test_what_a_model_thinks_is_not_told() -> None:
    thoughts, _ = await replied(
        saying({"reasoning_content": "Hm."}, "<thi", "nk>Greet.</thi", "nk>\n\n", "Hello!", {"content": None})
    )
    assert thoughts == [TextDelta("Hello!")]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (lambda _: JSONResponse({"error": {"message": "no credit"}}, 429), "answered 429: .*no credit"),
        (lambda _: PlainTextResponse("x" * 100_000, 500), "answered 500: x{300}$"),
        (saying(b'data: {"choices": [{"delta": {"content": "Half"}}]}\n\n'), "broke off"),
        (saying(b'data: {"error": {"message": "overloaded"}}\n\n'), "failed: .*overloaded"),
        (saying(b"data: {nonsense\n\n"), "no part of a reply: {nonsense"),
        (lambda _: JSONResponse({"error": {"message": "overloaded"}}), "failed: .*overloaded"),
        (lambda _: PlainTextResponse('{"choices": [{"message"'), "no part of a reply: "),
        (lambda _: PlainTextResponse('{"a": "' + "x" * 2_000_000), "more than 1048576 bytes"),
        (saying(b'data: {"choices": [{"finish_reason": "content_filter"}]}\n\n'), "content_filter"),
        (
            saying(
                b'data: {"choices": [{"delta": {"content": "<think>Hm"}}]}\n\n',
                b'data: {"choices": [{"finish_reason": "length"}]}\n\n',
            ),
            "nothing when it reached its limit",
        ),
        (saying(*[b"data: " + b"x" * 65_536] * 20), "more than 1048576 bytes"),
        (
            saying({"tool_calls": [{"index": n, "function": {"name": "f"}} for n in range(40)]}),
            "more than 32 tools",
        ),
    ],
)
async def test_what_goes_wrong_is_said(script: Script, reason: str) -> None:
    with pytest.raises(MindError, match=reason):
        await replied(script)


async def test_a_client_is_told_neither_where_the_mind_is_nor_what_it_says_of_its_owner() -> None:
    said = {"error": {"message": "Incorrect API key provided: sk-1234"}}
    with chat_stub(lambda _: JSONResponse(said, 401)) as stub:
        chat = Chat(ChatConfig(stub.url, "stub"))
        with pytest.raises(MindError) as failed:
            await anext(chat.reply(HI, ()))
        await chat.close()
    error = failed.value
    assert error.reason == "the language model answered 401"
    assert error.brief == f"stub at {stub.url} answered 401"
    assert "sk-1234" in str(error)


async def test_a_mind_that_is_not_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        chat = Chat(ChatConfig(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", "stub"))
        with pytest.raises(MindError, match=r"stub at http://127.* cannot be reached"):
            await anext(chat.reply(HI, ()))
        await chat.close()


async def test_a_mind_that_falls_silent() -> None:
    with chat_stub(saying("Well, ", 30.0)) as stub:
        chat = Chat(ChatConfig(stub.url, "stub", silence_seconds=0.2))
        reply = chat.reply(HI, ())
        assert await anext(reply) == TextDelta("Well, ")
        with pytest.raises(MindError, match="in time"):
            await anext(reply)
        await chat.close()


def test_its_key_is_in_no_log() -> None:
    assert "sk-1" not in repr(ChatConfig("http://127.0.0.1", "stub", key="sk-1"))
