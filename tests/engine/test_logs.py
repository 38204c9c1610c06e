"""What is in a log, and what is not."""

import asyncio
import io
import json
import logging
import os
import threading
from collections.abc import Iterator

import pytest

from engine import logs
from engine.logs import LogConfig, UserText
from engine.origin import Origin, TraceParent, within

SECRET = "my card number is 4111 1111 1111 1111"
ORIGIN = Origin("req-1", "live", "pf_key0000001", TraceParent("a" * 32, "b" * 16, True))


class Log:
    """A log that was configured for a test."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def configure(self, **config: str | bool) -> None:
        logging.getLogger().handlers.clear()  # pytest's own, which raise what goes wrong in a log call
        logs.configure(LogConfig(**config), self.stream)  # type: ignore[arg-type]

    def read(self) -> str:
        """All that was written; nothing can be written any more."""
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logs._Writer):
                handler.close()
        return self.stream.getvalue()


@pytest.fixture
def log() -> Iterator[Log]:
    root = logging.getLogger()
    level, levels = root.level, {name: logging.getLogger(name).level for name in logs.OURS}
    yield Log()
    logs.show_texts(False)
    for handler in [one for one in root.handlers if isinstance(one, logs._Writer)]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    for name, of in levels.items():
        logging.getLogger(name).setLevel(of)


ours = logging.getLogger("transports.something")


def fails() -> None:
    try:
        int(SECRET)
    except ValueError as error:
        raise KeyError(SECRET) from error


def test_a_json_line_is_an_object_with_the_ids(log: Log) -> None:
    log.configure(level="info", format="json")
    with within(ORIGIN):
        ours.info("%d streams", 3, extra={"fields": {"streams": 3}})
    ours.info("idle")
    first, second = map(json.loads, log.read().splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "info",
        "logger": "transports.something",
        "message": "3 streams",
        "request_id": "req-1",
        "transport": "live",
        "key": "pf_key0000001",
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
        "streams": 3,
    }
    assert set(second) == {"time", "level", "logger", "message"}


def test_a_text_line_is_one_line_with_the_ids(log: Log) -> None:
    log.configure(level="info")
    with within(ORIGIN):
        ours.info("said %s", "one\ntwo\x1b[2J\u2028")
    (line,) = log.read().splitlines()
    assert "INFO transports.something: said one\\ntwo\\x1b[2J\\u2028 [request_id=req-1 " in line
    assert f"trace_id={'a' * 32}" in line


@pytest.mark.parametrize("format_", ["text", "json"])
def test_no_password_in_a_url_is_told_in_any_case(log: Log, format_: str) -> None:
    log.configure(level="info", format=format_, texts=True)
    logging.getLogger("httpx").info('POST %s "200 OK"', "https://me:hunter2@host/v1?key=hunter2")
    told = log.read()
    assert "https://***@host/v1?***" in told
    assert "hunter2" not in told


@pytest.mark.parametrize("format_", ["text", "json"])
@pytest.mark.parametrize("shown", [False, True])
def test_texts_are_told_only_if_asked_for(log: Log, format_: str, shown: bool) -> None:
    log.configure(level="debug", format=format_, texts=shown)
    ours.debug("heard %s", UserText(SECRET))
    ours.warning("failed: %s", ValueError(SECRET))
    ours.warning("failed: %(error)r", {"error": ValueError(SECRET)})
    logging.getLogger("some.library").info("got %s", SECRET)
    try:
        fails()
    except KeyError:
        ours.exception("it broke")
    try:
        raise ExceptionGroup(SECRET, [ValueError(SECRET), TypeError(SECRET)])
    except ExceptionGroup as error:
        ours.error("all broke", exc_info=error)
    told = log.read()
    assert (SECRET in told) == shown
    assert ("some.library" in told) == shown
    assert ("(37 characters)" in told) != shown
    for name in ("ValueError", "KeyError", "TypeError", "in fails", "all broke"):
        assert name in told


def test_what_of_an_exception_is_fit_for_a_log_is_told(log: Log) -> None:
    class Full(Exception):
        brief = "8 of 8 are taken"

    log.configure()
    ours.warning("%s", Full(SECRET))
    ours.warning("%s", FileNotFoundError(2, os.strerror(2), SECRET))
    ours.warning("%s", ConnectionAbortedError(SECRET))
    told = log.read()
    assert "Full: 8 of 8 are taken" in told
    assert "FileNotFoundError: No such file or directory" in told
    assert "ConnectionAbortedError\n" in told
    assert SECRET not in told


def test_a_chain_of_exceptions_that_is_a_ring_ends(log: Log) -> None:
    log.configure()
    first, second = ValueError("a"), TypeError("b")
    first.__cause__, second.__context__ = second, first
    ours.error("a ring", exc_info=first)
    assert log.read().count("TypeError") == 1


@pytest.mark.parametrize("shown", [False, True])
@pytest.mark.parametrize("format_", ["text", "json"])
def test_no_key_is_told_ever(log: Log, format_: str, shown: bool) -> None:
    key = "pf_abcdefghij_" + "k" * 43
    log.configure(level="debug", format=format_, texts=shown)
    ours.info("with %s", key)
    ours.info("with %s", UserText(f"Authorization: Bearer {key}"))
    try:
        raise ValueError(key)
    except ValueError:
        ours.exception("broke")
    assert "k" * 43 not in log.read()


def test_a_wrong_log_call_is_told_without_what_it_was_called_with(log: Log) -> None:
    log.configure()
    ours.warning("%d", UserText(SECRET))
    told = log.read()
    assert "a line of transports.something cannot be logged" in told
    assert SECRET not in told


async def test_what_asyncio_tells_of_callbacks_and_tasks_has_no_texts(log: Log) -> None:
    log.configure()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(logs.loop_error)
    told = asyncio.Event()

    def breaks(text: str) -> None:
        loop.call_soon(told.set)
        raise ValueError(text)

    loop.call_soon(breaks, SECRET)
    await told.wait()
    loop.set_exception_handler(None)
    lines = log.read()
    assert "ERROR asyncio: Exception in\n" in lines
    assert "in breaks" in lines
    assert SECRET not in lines


def test_what_dies_in_a_thread_is_logged_without_texts(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threading.excepthook", threading.excepthook)
    monkeypatch.setattr("sys.unraisablehook", None)
    log.configure()
    logs.catch_strays()
    thread = threading.Thread(target=fails, name="worker-7")
    thread.start()
    thread.join()
    told = log.read()
    assert "thread worker-7 died" in told
    assert "in fails" in told
    assert SECRET not in told


def test_a_record_for_another_process_is_harmless() -> None:
    try:
        fails()
    except KeyError:
        record = ours.makeRecord(
            ours.name, logging.ERROR, "", 0, "no %s", (UserText(SECRET),), __import__("sys").exc_info()
        )
    told = logs.plain(record)
    assert told.startswith("no (37 characters)\n")
    assert "in fails" in told
    assert SECRET not in told


def test_a_log_that_is_not_read_holds_up_nobody(monkeypatch: pytest.MonkeyPatch, log: Log) -> None:
    monkeypatch.setattr(logs, "MAX_WAITING", 10)
    gate, begun = threading.Event(), threading.Event()

    class Slow(io.StringIO):
        def write(self, text: str) -> int:
            begun.set()
            gate.wait()
            return super().write(text)

    log.stream = Slow()
    log.configure(level="info")
    ours.info("the first")
    assert begun.wait(10)
    for number in range(100):
        ours.info("line %d", number)
    gate.set()
    lines = log.read().splitlines()
    assert "the first" in lines[0]
    assert lines[1] == "90 lines of the log were lost: they were not read in time"
    assert len(lines) == 12
