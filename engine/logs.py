"""Logs: what happened, for which request, and nothing of what users say unless the operator asks for it.

Three things keep texts out, whoever calls the logger:

- an argument that is a user's is wrapped in :class:`UserText`;
- of an exception, in a traceback or as an argument, only the class is told, and its ``brief`` if it has one:
  many name the value that was wrong;
- libraries are not asked for more than warnings, since some log every message that they carry.

Keys of ours are taken out in any case.
"""

import logging
import queue
import re
import sys
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, TextIO

import orjson

from engine import origin
from engine.urls import hide_in_urls

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]

OURS = ("engine", "realtime", "transports")
# Lines that wait for a slow reader, before some are lost: a log must not hold up what it tells of.
MAX_WAITING = 10_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SECRET = re.compile(
    r"(?i)(authorization: *(?:(?:bearer|basic|digest) +)?)[^\r\n]+"
    r"|([?&]token=|parrotfish\.key\.)[^\s&,'\"]+"
    r"|(pf_[a-z0-9]{10}_)[a-z0-9_-]{43}"
)

_texts_shown = False


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What is logged, and how. Only with ``texts`` anything of what users say, and of what libraries tell."""

    level: LogLevel = "warning"
    format: LogFormat = "text"
    texts: bool = False

    @property
    def libraries(self) -> int:
        """The level of all loggers that are not ours."""
        level = logging.getLevelNamesMapping()[self.level.upper()]
        return level if self.texts else max(level, logging.WARNING)


class UserText:
    """Something of a user's, as an argument of a log call: its length unless texts are to be shown."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text if _texts_shown else f"({len(self._text)} characters)"

    __repr__ = __str__


class _Error:
    """An exception as an argument of a log call."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __str__(self) -> str:
        return _told(self._error)

    __repr__ = __str__


def hide_secrets(text: str) -> str:
    """The same without API keys, and what else opens doors."""
    return hide_in_urls(_SECRET.sub(lambda found: f"{found[found.lastindex or 0]}***", text))


def show_texts(shown: bool) -> None:
    """Whether this process tells texts of users in what it logs; it does not unless this was called."""
    global _texts_shown
    _texts_shown = shown


def texts_shown() -> bool:
    """Whether it does: for another process to do the same."""
    return _texts_shown


def plain(record: logging.LogRecord) -> str:
    """The message of a record and its traceback, without what may not be told: for the log of another process."""
    formatter = _Formatter()
    told = formatter.exception(record)
    return hide_secrets(f"{formatter.message(record)}\n{told}" if told else formatter.message(record))


def configure(config: LogConfig, stream: TextIO | None = None) -> None:
    """Have everything that this process logs written to ``stream``, or stderr. Replaces what was configured."""
    show_texts(config.texts)
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, _Writer)]:
        root.removeHandler(handler)
        handler.close()
    writer = _Writer(stream or sys.stderr)
    writer.setFormatter(JsonFormatter() if config.format == "json" else TextFormatter())
    root.addHandler(writer)
    root.setLevel(config.libraries)
    for name in OURS:
        logging.getLogger(name).setLevel(config.level.upper())


def catch_strays() -> None:
    """Have what Python would print of errors outside of any request logged in its place."""
    threading.excepthook = _thread_died
    sys.unraisablehook = _not_raised


def loop_error(_: object, context: Mapping[str, Any]) -> None:
    """An exception handler of event loops: asyncio's own tells of the values in what has failed."""
    # "Exception in callback f(x)": what was called, and with what, follows.
    message = str(context["message"]).partition(" callback ")[0]
    logging.getLogger("asyncio").error("%s", message, exc_info=context.get("exception"))


def _thread_died(about: threading.ExceptHookArgs) -> None:
    if about.exc_value is not None and not isinstance(about.exc_value, SystemExit):
        name = about.thread.name if about.thread else "?"
        logging.getLogger("threading").error("thread %s died", name, exc_info=about.exc_value)


def _not_raised(about: "sys.UnraisableHookArgs") -> None:
    logging.getLogger("python").error("an exception could not be raised", exc_info=about.exc_value)


class _Formatter(logging.Formatter):
    """What texts and JSON have in common."""

    def formatException(
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        """The traceback; what the exceptions say only if texts are shown."""
        if _texts_shown or ei[1] is None:
            return super().formatException(ei)
        return "".join(_traceback(ei[1], set())).rstrip("\n")

    def message(self, record: logging.LogRecord) -> str:
        """The message of a record with its arguments."""
        if _texts_shown or not record.args:
            return record.getMessage().strip("\n")
        if isinstance(record.args, Mapping):
            message = str(record.msg) % {name: _harmless(value) for name, value in record.args.items()}
        else:
            message = str(record.msg) % tuple(_harmless(value) for value in record.args)
        return message.strip("\n")

    def exception(self, record: logging.LogRecord) -> str:
        """The traceback of a record, if it has one: its own, or a ``traceback`` that another process has told."""
        if record.exc_info and record.exc_info[1] is not None:
            return self.formatException(record.exc_info)
        return str(getattr(record, "traceback", ""))


class TextFormatter(_Formatter):
    """One line for people, with the ids of the request in brackets behind it; a traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines of a record."""
        message = _CONTROL.sub(lambda found: repr(found[0])[1:-1], self.message(record))
        line = f"{self.formatTime(record)} {record.levelname} {record.name}: {message}"
        if ids := _ids():
            line += f" [{' '.join(f'{name}={value}' for name, value in ids.items())}]"
        if told := self.exception(record):
            line += f"\n{told}"
        return hide_secrets(line)


class JsonFormatter(_Formatter):
    """One object a line, for programs. ``fields`` of a record become members of their own."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        message = self.message(record).encode(errors="backslashreplace").decode()
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": hide_secrets(message),
            **_ids(),
            **getattr(record, "fields", {}),
        }
        if trace := self.exception(record):
            told["exception"] = hide_secrets(trace)
        return orjson.dumps(told, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


class _Writer(logging.Handler):
    """Writes from a thread of its own: whoever reads the log slowly, or not at all, holds up nobody."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(MAX_WAITING)
        self._lost = 0
        self._thread = threading.Thread(target=self._write, name="parrotfish-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Have a record written soon."""
        try:
            line = self.format(record)
        except Exception as error:  # a log call that is wrong itself
            line = f"a line of {record.name} cannot be logged: {type(error).__name__}: {record.pathname}"
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        """Write what waits, and end."""
        if self._thread.is_alive():
            try:
                self._lines.put(None, timeout=1)
            except queue.Full:
                return  # nobody reads
            self._thread.join(5)
        super().close()

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            lost, self._lost = self._lost, 0
            if lost:
                line = f"{lost} lines of the log were lost: they were not read in time\n{line}"
            try:
                self._stream.write(line + "\n")
                if self._lines.empty():
                    self._stream.flush()
            except (OSError, ValueError):
                return  # nobody is there to read


def _ids() -> dict[str, str]:
    """Of the request that something is logged for."""
    if (now := origin.current()) is None:
        return {}
    ids = {"request_id": now.request, "transport": now.transport}
    if now.key is not None:
        ids["key"] = now.key
    if now.trace is not None:
        ids |= {"trace_id": now.trace.trace_id, "span_id": now.trace.span_id}
    return ids


def _harmless(value: object) -> object:
    return _Error(value) if isinstance(value, BaseException) else value


def _told(error: BaseException) -> str:
    """What may be said of an exception."""
    if _texts_shown:
        return f"{type(error).__name__}: {error}"
    brief = getattr(error, "brief", None)
    if isinstance(error, OSError) and error.errno is not None:
        brief = error.strerror
    return f"{type(error).__name__}: {brief}" if brief else type(error).__name__


def _traceback(error: BaseException, seen: set[int]) -> list[str]:
    """As Python prints it, without what the exceptions say."""
    seen.add(id(error))
    lines: list[str] = []
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        how = "the cause of" if error.__cause__ else "being handled at"
        lines += [*_traceback(before, seen), f"\nThat was {how} the following exception:\n\n"]
    if error.__traceback__ is not None:
        lines += ["Traceback (most recent call last):\n", *traceback.format_tb(error.__traceback__)]
    lines.append(f"{_told(error)}\n")
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            if id(inner) not in seen:
                lines += [f"  | {line}" for line in "".join(_traceback(inner, seen)).splitlines(True)]
    return lines
