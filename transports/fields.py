"""The fields of a request, checked against a model of them; whatever is wrong is told by name."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import orjson
import ormsgpack
from pydantic import BaseModel, ValidationError

from transports.errors import RequestError, invalid
from transports.msgpack import few_values

MSGPACK = ("application/msgpack", "application/x-msgpack", "application/vnd.msgpack")
JSON = ("application/json",)

LARGE_BYTES = 64 * 1024
"""What is larger is decoded on a thread."""
# No request has more: recordings are large, but each is one value. A decoder holds Python's lock until it is
# done, in a thread, too, which for millions of values is seconds.
MAX_VALUES = 10_000

_Model = TypeVar("_Model", bound=BaseModel)
_Result = TypeVar("_Result")


def given(fields: Mapping[Any, Any], model: type[BaseModel]) -> dict[str, Any]:
    """The known fields that are not null. Of the others there may be any number."""
    return {name: fields[name] for name in model.model_fields if fields.get(name) is not None}


def check(model: type[_Model], fields: Any, where: str = "") -> _Model:
    """The fields as the model has them. Raises :class:`RequestError` that names the first wrong one."""
    if not isinstance(fields, dict):
        raise invalid(where or "body", fields, "a map of request fields")
    try:
        return model.model_validate(given(fields, model))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        # Where a field may be one of several types, pydantic puts the type that it tried into the path.
        path = (part for part in map(str, first["loc"]) if part != "str" and not part.startswith("list["))
        name = ".".join(part for part in (where, *path) if part)
        if first["type"] == "missing":
            raise RequestError(f"{name}: missing; {first['msg'].lower()}", field=name) from None
        raise invalid(name, first["input"], _expectation(first["msg"])) from None


def decode(body: bytes, content_type: str, kinds: tuple[str, ...] = (*JSON, *MSGPACK)) -> Any:
    """The JSON or msgpack of a body. Raises :class:`RequestError`."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in kinds:
        names = " or ".join(name for name in kinds if name not in MSGPACK[1:])
        raise RequestError(f"Content-Type: got {kind[:80]!r}; expected {names}", 415, field="Content-Type")
    if kind in MSGPACK:
        return unpack(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"body: not valid {kind}: {error}", field="body") from None


async def parse(
    model: type[_Model], body: bytes, content_type: str, kinds: tuple[str, ...] = (*JSON, *MSGPACK)
) -> _Model:
    """:func:`decode` and :func:`check`, on a thread if there is much of it."""
    return await unhurried(body, lambda: check(model, decode(body, content_type, kinds)))


async def unhurried(body: bytes, work: Callable[[], _Result]) -> _Result:
    """Do what is to be done with a body: on the event loop if it is small, and on a thread else."""
    return work() if len(body) < LARGE_BYTES else await asyncio.to_thread(work)


def unpack(data: bytes, where: str = "body") -> Any:
    """The value of a msgpack message, of which no more than ``LARGE_BYTES`` are for the event loop.

    Raises :class:`RequestError`.
    """
    if len(data) > LARGE_BYTES and not few_values(data, MAX_VALUES):
        raise RequestError(f"{where}: more than {MAX_VALUES} values in {len(data)} bytes", 413, field=where)
    try:
        return ormsgpack.unpackb(data)
    except ormsgpack.MsgpackDecodeError as error:
        raise RequestError(f"{where}: not valid msgpack: {error}", field=where) from None


def _expectation(message: str) -> str:
    """What pydantic says should have been, as the end of "expected ..."."""
    for start in ("Input should be ", "Value error, "):
        message = message.removeprefix(start)
    return message[:1].lower() + message[1:]
