"""Any server with OpenAI's ``/chat/completions`` as a mind: replies are streamed as they are written."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import httpx
import orjson
from pydantic import BaseModel, ValidationError

from engine.origin import trace_headers
from engine.urls import without_secrets
from realtime.mind.base import Message, MindError, TextDelta, Thought, Tool, ToolCall
from realtime.mind.thinking import ThinkingFilter

_CONNECT_SECONDS = 5.0
_SHOWN = 300  # characters of what the other server says of an error
_MAX_LINE = 1 << 20  # bytes of one event; a token takes some hundred
_MAX_CALLS = 32
_DONE = b"[DONE]"


@dataclass(frozen=True, slots=True)
class ChatConfig:
    """Where the mind is, such as ``url`` https://api.openai.com/v1, and what it is called there.

    ``options`` go into each request as they are ("temperature", "max_tokens", ...). It must begin to answer, and
    go on, within ``silence_seconds``.
    """

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    options: Mapping[str, object] = field(default_factory=dict)
    silence_seconds: float = 30.0


class Chat:
    """Replies of a language model at an OpenAI-compatible endpoint, for conversations of one event loop.

    What a model thinks before it answers (``<think>`` or a field of its own) is left out.
    """

    def __init__(self, config: ChatConfig) -> None:
        self._config = config
        self._client = httpx.AsyncClient(
            base_url=config.url,
            headers={"Authorization": f"Bearer {config.key}"} if config.key else {},
            timeout=httpx.Timeout(config.silence_seconds, connect=_CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
        )

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[Tool]
    ) -> AsyncGenerator[Thought, None]:
        """The reply as it is written; see :meth:`Mind.reply`. Calls of tools come at its end."""
        asked: dict[str, object] = {
            **self._config.options,
            "model": self._config.model,
            "messages": [_message(message) for message in messages],
            "stream": True,
        }
        if tools:
            asked["tools"] = [_tool(tool) for tool in tools]
        thinking, calls, finish = ThinkingFilter(), _Calls(), None
        wrote = streamed = False
        try:
            async with self._client.stream(
                "POST", "chat/completions", json=asked, headers=trace_headers()
            ) as response:
                if not response.is_success:
                    said = (await _beginning(response)).decode(errors="replace")
                    raise self._error(f"answered {response.status_code}", said)
                async with aclosing(_events(response)) as events:
                    async for data in events:
                        if data == _DONE:
                            finish = finish or "stop"  # some servers say nothing else of the end
                            break
                        for choice in self._chunk(data).choices or []:
                            if choice.index:
                                continue  # of several replies, one is spoken
                            finish = choice.finish_reason or finish
                            piece = choice.delta
                            if piece is None and choice.message is not None and not streamed:
                                piece, finish = choice.message, finish or "stop"
                            if piece is None:
                                continue
                            streamed = True
                            if text := thinking.push(piece.text):
                                wrote = True
                                yield TextDelta(text)
                            calls.add(piece.tool_calls or [])
        except httpx.TimeoutException as error:
            raise self._error(f"did not answer in time ({type(error).__name__})") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._error("cannot be reached", why=str(error) or type(error).__name__) from error
        except (_TooLong, _TooManyCalls) as error:
            raise self._error(str(error)) from error
        if text := thinking.end():
            wrote = True
            yield TextDelta(text)
        if finish is None:
            raise self._error("broke off its reply")
        if finish == "content_filter":
            raise self._error("withheld its reply (content_filter)")
        try:
            called = calls.all({call.id for message in messages for call in message.tool_calls})
        except _BadArguments as error:
            raise self._error(str(error)) from None
        if finish == "length" and not (wrote or called):
            raise self._error("had written nothing when it reached its limit of tokens")
        for call in called:
            yield call

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    def _chunk(self, data: bytes) -> "_Chunk":
        try:
            chunk = _Chunk.model_validate_json(data)
        except ValidationError:
            said = data[:_SHOWN].decode(errors="replace")
            raise self._error("sent what is no part of a reply", said) from None
        if chunk.error is not None:
            raise self._error("failed", orjson.dumps(chunk.error).decode()[:_SHOWN])
        return chunk

    def _error(self, what: str, said: str = "", *, why: str = "") -> MindError:
        brief = f"{self._config.model} at {without_secrets(self._config.url)} {what}"
        return MindError(f"the language model {what}", f"{brief}: {why}" if why else brief, said)


class _Function(BaseModel):
    name: str | None = None
    arguments: str | None = None


class _CallDelta(BaseModel):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Part(BaseModel):
    type: str | None = None
    text: str | None = None


class _Delta(BaseModel):
    content: str | list[_Part] | None = None
    tool_calls: list[_CallDelta] | None = None

    @property
    def text(self) -> str:
        """What may be spoken: of the parts that it may come in, some are thoughts."""
        if isinstance(self.content, list):
            return "".join(part.text or "" for part in self.content if part.type == "text")
        return self.content or ""


class _Choice(BaseModel):
    """Of a reply: ``delta`` is its next piece; ``message`` is all of it, from a server that does not stream."""

    index: int | None = None
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(BaseModel):
    choices: list[_Choice] | None = None
    error: Any = None


class _TooLong(Exception):
    pass


class _TooManyCalls(Exception):
    pass


class _BadArguments(Exception):
    pass


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class _Calls:
    """Calls of tools, each of which comes in pieces that name its number.

    Some servers leave the number out, or give the same one to all calls of a reply: then a piece with a name and
    another id begins another call. An id alone does not: other servers invent one for each piece.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._numbered: dict[int, _Call] = {}

    def add(self, deltas: Sequence[_CallDelta]) -> None:
        for delta in deltas:
            function = delta.function or _Function()
            call = self._begun(delta.index, delta.id, function.name)
            call.id = call.id or delta.id or ""
            call.name = call.name or function.name or ""
            call.arguments.append(function.arguments or "")

    def _begun(self, index: int | None, id_: str | None, name: str | None) -> _Call:
        """The call that a piece belongs to."""
        last = self._calls[-1] if self._calls else None
        call = last if index is None else self._numbered.get(index)
        another = call and call.name and name and (id_ != call.id if id_ else index is None)
        if call is None or another:
            if len(self._calls) == _MAX_CALLS:
                raise _TooManyCalls(f"calls more than {_MAX_CALLS} tools at once")
            self._calls.append(call := _Call())
            if index is not None:
                self._numbered[index] = call
        return call

    def all(self, known: set[str]) -> list[ToolCall]:
        """Those that name a tool, in order. Raises :class:`_BadArguments`.

        Some servers give no id, or the same one to each reply's first call, but a result has to name its call: an
        id that is ``known`` already becomes another.
        """
        found: dict[str, ToolCall] = {}
        for call in self._calls:
            if call.name:
                id_ = call.id
                if not id_ or id_ in known or id_ in found:
                    id_ = f"call_{token_hex(12)}"
                found[id_] = ToolCall(id_, call.name, _arguments(call.name, "".join(call.arguments)))
        return list(found.values())


def _arguments(name: str, text: str) -> str:
    """The JSON object that a tool is called with.

    Whatever else it is, no tool can do anything with it, and many servers refuse each later request that has it
    in its history. Raises :class:`_BadArguments`.
    """
    try:
        if (value := orjson.loads(text.strip() or "{}")) is None:
            return "{}"
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise _BadArguments(f"called {name[:64]!r} with what is no JSON object")
    return text.strip() or "{}"


async def _events(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The data of server-sent events, up to ``[DONE]``. Of the format we need no more than its data lines.

    The body of a server that does not stream is a JSON object, and one event.
    """
    rest = b""
    async for piece in response.aiter_bytes():
        rest += piece
        lines: list[bytes] = []
        if not _is_object(rest):
            *lines, rest = rest.split(b"\n")
        if len(rest) > _MAX_LINE:
            raise _TooLong(f"sent an event of more than {_MAX_LINE} bytes")
        for line in lines:
            if data := _data(line):
                yield data
                if data == _DONE:
                    return
    if data := rest if _is_object(rest) else _data(rest):
        yield data


def _is_object(text: bytes) -> bool:
    return text.lstrip().startswith(b"{")


def _data(line: bytes) -> bytes:
    return line[5:].strip() if line.startswith(b"data:") else b""


async def _beginning(response: httpx.Response) -> bytes:
    """As much of an error's body as is shown."""
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) >= _SHOWN:
            break
    return body[:_SHOWN]


def _message(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        fields["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
        fields["content"] = message.content or None
    if message.tool_call_id is not None:
        fields["tool_call_id"] = message.tool_call_id
    return fields


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}
