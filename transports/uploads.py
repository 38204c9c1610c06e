"""Bodies with files in them: forms, whose files go to the disk as they come, and msgpack or JSON maps."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from transports.errors import RequestError, invalid
from transports.fields import JSON, MSGPACK, check_kind, decode, from_json
from transports.speech import read_body

MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"
MAX_FIELDS = 200
MAX_FIELD_BYTES = 256 * 1024
_SEPARATOR = re.compile("[,，]")
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file: its length in bytes, and how to read it."""

    size: int
    read: Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Fields:
    """What was in a body, by name. A field may come several times, also as ``name[]``, or with a list in it.

    A map may hold what is neither text nor a file, which is wrong only if it is asked for.
    """

    values: Mapping[str, list[object]]

    def text(self, name: str) -> str | None:
        """The only text of that name. Raises :class:`RequestError`, as all of these do."""
        texts = self._texts(name)
        if len(texts) > 1:
            raise RequestError(f"{name}: got {len(texts)} of them; expected one", field=name)
        return texts[0] if texts else None

    def texts(self, name: str) -> list[str]:
        """All texts of that name, or those of a JSON list that is the only one."""
        texts = self._texts(name)
        return texts if len(texts) != 1 or (listed := _listed(texts[0])) is None else listed

    def words(self, name: str) -> list[str] | None:
        """The same, of short ones that may also stand in one text with commas. None without such a field."""
        if name not in self.values:
            return None
        words = self.texts(name)
        if len(words) == 1:
            words = _SEPARATOR.split(words[0])
        return [word.strip() for word in words if word.strip()]

    def flag(self, name: str) -> bool | None:
        """True or false."""
        text = self.text(name)
        if not text:
            return None
        if text.lower() not in _FLAGS:
            raise invalid(name, text, "true or false")
        return _FLAGS[text.lower()]

    def files(self, name: str) -> list[Upload]:
        """All files of that name. A form of a browser has an empty one where none was chosen."""
        files = []
        for value in self.values.get(name, []):
            if isinstance(value, Upload):
                if value.size:
                    files.append(value)
            elif value != "":
                raise invalid(name, value, "a file")
        return files

    def file(self, name: str) -> Upload | None:
        """The only file of that name."""
        files = self.files(name)
        if len(files) > 1:
            raise RequestError(f"{name}: got {len(files)} files; expected one", field=name)
        return files[0] if files else None

    async def content(self, name: str) -> bytes | None:
        """All of the only file of that name."""
        file = self.file(name)
        return await file.read() if file else None

    def _texts(self, name: str) -> list[str]:
        texts = []
        for value in self.values.get(name, []):
            if isinstance(value, Upload):
                raise RequestError(f"{name}: got a file; expected text", field=name)
            if not isinstance(value, str):
                raise invalid(name, value, "text")
            texts.append(value)
        return texts


@contextlib.asynccontextmanager
async def uploaded(
    request: Request,
    *,
    max_files: int,
    max_bytes: int,
    max_in_memory: int = 0,
    kinds: tuple[str, ...] = (MULTIPART, URLENCODED, *JSON, *MSGPACK),
) -> AsyncIterator[Fields]:
    """The fields of a body, whose files are there for the time of the context.

    A form may have ``max_bytes``, of which no more than a megabyte of each file is held in memory; a msgpack or
    JSON map ``max_in_memory``. Raises :class:`RequestError`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    check_kind(kind, kinds)
    if kind not in (MULTIPART, URLENCODED):
        body = await read_body(request, max_in_memory)
        yield _of_map(await asyncio.to_thread(decode, body, kind))
        return
    if (charset := _charset(request)) != "utf-8":  # others of Python's give half characters
        raise invalid("Content-Type", f"charset={charset}", "charset=utf-8, or none")
    async with contextlib.AsyncExitStack() as stack:
        form = _limited(request, max_bytes).form(
            max_files=max_files, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES
        )
        try:
            parts = await stack.enter_async_context(form)
        except (HTTPException, MultiPartException) as error:
            reason = error.detail if isinstance(error, HTTPException) else error.message
            raise RequestError(f"body: {reason}", field="body") from None
        except ClientDisconnect:
            raise RequestError("body: cut off") from None  # nobody is there to read it
        values: dict[str, list[object]] = {}
        for name, part in parts.multi_items():
            value = Upload(part.size or 0, part.read) if isinstance(part, UploadFile) else part
            values.setdefault(name.removesuffix("[]"), []).append(value)
        yield Fields(values)


def _charset(request: Request) -> str:
    """The one that a form's fields are said to be in."""
    _, options = parse_options_header(request.headers["content-type"])
    return options.get(b"charset", b"utf-8").decode("latin-1").lower()


def _limited(request: Request, limit: int) -> Request:
    """The same request, which fails as soon as it is known to be too large."""
    left = limit

    async def receive() -> Message:
        nonlocal left
        message = await request.receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise RequestError(f"body: larger than the limit of {limit} bytes", 413)
        return message

    return Request(request.scope, receive)


def _of_map(fields: Any) -> Fields:
    if not isinstance(fields, dict):
        raise invalid("body", fields, "a map of request fields")
    values: dict[str, list[object]] = {}
    for name, value in fields.items():
        if isinstance(name, str) and value is not None:
            several = value if isinstance(value, list) else [value]
            values[name.removesuffix("[]")] = [_value(item) for item in several if item is not None]
    return Fields(values)


def _value(value: object) -> object:
    match value:
        case bytes():
            return Upload(len(value), _reader(value))
        case bool():
            return "true" if value else "false"
        case _:
            return value


def _reader(data: bytes) -> Callable[[], Awaitable[bytes]]:
    async def read() -> bytes:
        return data

    return read


def _listed(text: str) -> list[str] | None:
    """The texts of a JSON list; None if it is none."""
    if not text.lstrip().startswith("["):
        return None
    try:
        items = from_json(text.encode())
    except RequestError:
        return None
    return items if all(isinstance(item, str) for item in items) else None
