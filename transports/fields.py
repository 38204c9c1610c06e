"""The fields of a request, checked against a model of them; whatever is wrong is told by name."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import orjson
import ormsgpack
from pydantic import BaseModel, ValidationError

from transports.errors import RequestError, expectation, invalid
from transports.values import few_in_json, few_in_msgpack, shallow

MSGPACK = ("application/msgpack", "application/x-msgpack", "application/vnd.msgpack")
JSON = ("application/json",)

LARGE_BYTES = 64 * 1024
"""What is larger is decoded on a thread."""
# No request has more: recordings are large, but each is one value. A decoder holds Python's lock until it is
# done, in a thread, too, which for millions of values is seconds.
MAX_VALUES = 10_000
MAX_DEPTH = 32
"""Of lists and maps in one another; recordings of several speakers take four."""

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
        raise invalid(name, first["input"], expectation(first["msg"])) from None


def check_kind(kind: str, kinds: tuple[str, ...]) -> None:
    """Refuse a body of a media type that is none of these. Raises :class:`RequestError`."""
    if kind not in kinds:
        names = " or ".join(name for name in kinds if name not in MSGPACK[1:])
        raise RequestError(f"Content-Type: got {kind[:80]!r}; expected {names}", 415, field="Content-Type")


def decode(body: bytes, content_type: str, kinds: tuple[str, ...] = (*JSON, *MSGPACK)) -> Any:
    """The JSON or msgpack of a body. Raises :class:`RequestError`."""
    kind = content_type.partition(";")[0].strip().lower()
    check_kind(kind, kinds)
    return unpack(body) if kind in MSGPACK else from_json(body)


async def parse(
    model: type[_Model], body: bytes, content_type: str, kinds: tuple[str, ...] = (*JSON, *MSGPACK)
) -> _Model:
    """:func:`decode` and :func:`check`, on a thread if there is much of it."""
    return await unhurried(body, lambda: check(model, decode(body, content_type, kinds)))


async def unhurried(body: bytes | str, work: Callable[[], _Result]) -> _Result:
    """Do what is to be done with a body: on the event loop if it is small, and on a thread else."""
    return work() if len(body) < LARGE_BYTES else await asyncio.to_thread(work)


def unpack(data: bytes, where: str = "body") -> Any:
    """The value of a msgpack message, of which no more than ``LARGE_BYTES`` are for the event loop.

    Raises :class:`RequestError`.
    """
    if len(data) > LARGE_BYTES and not few_in_msgpack(data, MAX_VALUES):
        raise _too_many(data, where)
    try:
        return _flat(ormsgpack.unpackb(data), where)
    except ormsgpack.MsgpackDecodeError as error:
        raise RequestError(f"{where}: not valid msgpack: {error}", field=where) from None


def from_json(data: bytes, where: str = "body") -> Any:
    """The same of JSON."""
    if len(data) > LARGE_BYTES and not few_in_json(data, MAX_VALUES):
        raise _too_many(data, where)
    try:
        return _flat(orjson.loads(data), where)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"{where}: not valid JSON: {error}", field=where) from None


def _too_many(data: bytes, where: str) -> RequestError:
    return RequestError(f"{where}: more than {MAX_VALUES} values in {len(data)} bytes", 413, field=where)


def _flat(value: Any, where: str) -> Any:
    if not shallow(value, MAX_DEPTH):
        raise RequestError(f"{where}: lists and maps more than {MAX_DEPTH} deep", field=where)
    return value
