"""Bodies of ``multipart/form-data``, in memory."""

from collections.abc import Mapping
from dataclasses import dataclass

from python_multipart import FormParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, parse_options_header

from transports.errors import RequestError, invalid

MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"
MAX_PARTS = 200


@dataclass(frozen=True, slots=True)
class Form:
    """What was in a form, by name; whether a part came as a file or as a field makes no difference."""

    parts: Mapping[str, list[bytes]]

    def data(self, name: str) -> bytes | None:
        """The only part of that name. Raises :class:`RequestError` if there are several."""
        found = self.parts.get(name, [])
        if len(found) > 1:
            raise RequestError(f"{name}: got {len(found)} of them; expected one", field=name)
        return found[0] if found else None

    def text(self, name: str) -> str | None:
        """The same as text; None if it is empty. Raises :class:`RequestError` if it is no UTF-8."""
        data = self.data(name)
        return _text(name, data) if data else None

    def texts(self, name: str) -> list[str]:
        """All parts of that name as text."""
        return [_text(name, data) for data in self.parts.get(name, [])]

    def flag(self, name: str) -> bool | None:
        """The only part of that name as true or false. Raises :class:`RequestError`."""
        text = self.text(name)
        if text is None:
            return None
        if text.lower() not in _FLAGS:
            raise invalid(name, text, "true or false")
        return _FLAGS[text.lower()]


_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def parse_form(body: bytes, content_type: str) -> Form:
    """The parts of a multipart form. Takes some milliseconds for each megabyte: not for an event loop.

    Raises :class:`RequestError`.
    """
    kind, options = parse_options_header(content_type)
    if kind.decode("latin-1") != MULTIPART:
        raise invalid("Content-Type", kind.decode("latin-1"), MULTIPART)
    parts: dict[str, list[bytes]] = {}

    def add(name: bytes | None, data: bytes) -> None:
        if sum(map(len, parts.values())) >= MAX_PARTS:
            raise RequestError(f"body: more than {MAX_PARTS} parts", 413, field="body")
        parts.setdefault((name or b"").decode("utf-8", "replace"), []).append(data)

    def on_field(field: Field) -> None:
        add(field.field_name, field.value or b"")

    def on_file(file: File) -> None:
        file.file_object.seek(0)
        add(file.field_name, file.file_object.read())
        file.close()

    try:
        parser = FormParser(
            MULTIPART,
            on_field,
            on_file,
            boundary=options.get(b"boundary"),
            config={"MAX_MEMORY_FILE_SIZE": len(body) + 1},  # no file of it is ever written to the disk
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise RequestError(f"body: not a valid form: {error}", field="body") from None
    return Form(parts)


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise invalid(name, data, "text in UTF-8") from None
